"""The keys in Redis. All share a hash tag, so that a cluster keeps them together and a script may use all."""

from __future__ import annotations

from attrs import field, frozen


@frozen
class Keys:
    """`prefix` is `storage.redis.prefix`.

    meta      hash: epoch, head, base, replid, run_id, lineage, holes
    events:E  stream: the events of epoch E; entry `N-0` is the event of offset N
    newest    hash: place -> the newest event of it, whole
    order     sorted set: place -> offset of its newest, without those of state topics, which are in `state`
    ending    sorted set: place that has ended -> when it goes, in seconds
    live      hash: state topic -> how many keys it has that have not ended
    arrivals  sorted set: offset -> when what comes after it began to arrive, in seconds
    repeat:…  first epoch of the lineage, author and idempotency key -> offset, timestamp, when
    sent:I    what hub I was answered last
    turn:W    the hub whose turn it is to do W: the intake from the channel, the mirror to it
    word:W    how far W is
    mark      the newest mark among what is said on the channel
    hubs      hash: hub -> until when it lives, and what it has delivered

    A place is a topic, or a topic, a line feed and a key.
    """

    prefix: str
    tag: str = field(init=False)

    @tag.default
    def _(self) -> str:
        return self.prefix if "{" in self.prefix else f"{{{self.prefix}}}"

    def __call__(self, name: str) -> str:
        """The key of this name."""
        return f"{self.tag}:{name}"

    def stream(self, epoch: str) -> str:
        """Where the events of `epoch` are."""
        return self(f"events:{epoch}")

    @property
    def channel(self) -> str:
        """Where others publish events for us, and we for them."""
        return f"{self.prefix}:events"

    @property
    def marks(self) -> str:
        """Where hubs put marks among what is said on the channel."""
        return f"{self.prefix}:marks"
