"""What a hub asks the server for: each of these is one or a few commands over a link."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from secrets import token_hex
from typing import Any

from attrs import field, frozen

from adohub import Draft, Neighbour, Position, Receipt, Record, StorageError, StorageSettings, from_fields
from adohub_redis import entries
from adohub_redis.entries import Arrived
from adohub_redis.keys import Keys
from adohub_redis.link import Link
from adohub_redis.scripts import APPEND, ARRIVE, MARK, MIRROR, TIDY, TURN

OLDEST_VERSION = 7
"""The oldest Redis that will do; Valkey names the version of Redis that it is compatible with."""

LEASE_S = 4.0
"""For how long a hub that is not heard of is taken to live, in seconds."""

SENT_S = 600
"""How long the answer to a hub's last append is kept, for it to ask again, in seconds."""

HEARD = "redis-channel"
"""The source that takes in what is said on the channel, and so how the author of its events is named."""

WORD_S = 600
"""How long word is kept of how far something is that no hub does any more, in seconds."""

READ_S = 10.0
"""How long an answer that holds many events may take, in seconds."""

NEWEST_PLACES = 128
"""How many newest events are read at a time."""

TIDY_PLACES = 500
"""How many newest events are let go of at a time."""


_position, _new_receipt = from_fields(Position), from_fields(Receipt)


@frozen
class Standing:
    """What the server holds: `head` is the newest event of its `epoch`, `moment` its own time, in seconds.

    `lineage` are the epochs before this one, oldest first, whose offsets mean the same; between the two of
    each of `holes` (after, up to) there are no events, but there may have been some.
    """

    epoch: str
    head: int
    lineage: Sequence[str]
    holes: Sequence[tuple[int, int]]
    moment: float
    hubs: Mapping[str, Neighbour] = field(repr=False)

    def holds(self, position: Position) -> bool:
        """Whether an event has been there, and nothing of it is lost."""
        return (
            position.epoch == self.epoch
            and position.offset <= self.head
            and not any(after < position.offset <= until for after, until in self.holes)
        )


@frozen
class Server:
    """The keys of `prefix`, as hub `settings.instance` uses them. `skew` gives seconds that are added
    to the server's time.

    All methods raise UnreachableError and StorageError.
    """

    keys: Keys
    settings: StorageSettings
    skew: Callable[[], float] = lambda: 0.0

    async def arrive(self, link: Link, known: Position, delivered: Position, lease_s: float) -> Standing:
        """Say that this hub is there, and what it knows; learn what there is."""
        skew = self.skew()
        names = ("meta", "hubs", "newest", "order", "state", "ending", "live", "arrivals")
        epoch, head, lineage, holes, moment, hubs = await link.run(
            ARRIVE,
            [self.keys(name) for name in names],
            [
                self.keys.stream(""),
                skew,
                known.epoch,
                known.offset,
                token_hex(2),
                self.settings.instance,
                lease_s,
                str(delivered),
            ],
        )
        now = float(moment)
        return Standing(
            epoch.decode(),
            int(head),
            lineage.decode().split(),
            [_hole(one) for one in holes.decode().split()],
            now - skew,
            {name.decode(): _neighbour(said, now) for name, said in zip(hubs[::2], hubs[1::2], strict=True)},
        )

    async def append(
        self, link: Link, epoch: str, number: int, drafts: Sequence[Draft], within_s: float
    ) -> Sequence[Receipt] | None:
        """Keep `drafts`; None if that has to be asked again, of who holds what now.

        `number` grows from append to append; one that is sent again under its number is done once. Whatever
        comes after a later one is refused with StorageError.
        """
        settings = self.settings
        names = ("newest", "order", "state", "ending", "live", "arrivals")
        limits = [part for topic, most in settings.state_keys.items() for part in (topic, most)]
        answer = await link.run(
            APPEND,
            [
                self.keys("meta"),
                self.keys.stream(epoch),
                *map(self.keys, names),
                self.keys(f"sent:{settings.instance}"),
            ],
            [
                epoch,
                number,
                self.skew(),
                settings.max_events,
                settings.max_age_s,
                settings.idempotency_window_s,
                settings.ended_s,
                SENT_S,
                self.keys("repeat:"),
                f"source:{HEARD}\n",
                len(settings.state_keys),
                *limits,
                *entries.arguments(drafts),
            ],
            within_s=within_s,
        )
        if answer[0] == b"anew":
            return None
        return [_receipt(epoch, draft, verdict) for draft, verdict in zip(drafts, answer[2], strict=True)]

    async def tidy(self, link: Link) -> bool:
        """Let go of some of what is too old or too much; whether there may be more of it."""
        names = ("meta", "newest", "order", "state", "ending", "arrivals", "hubs")
        settings = self.settings
        gone = await link.run(
            TIDY,
            [self.keys(name) for name in names],
            [self.keys.stream(""), self.skew(), settings.max_events, settings.max_age_s, TIDY_PLACES],
        )
        return bool(gone >= TIDY_PLACES)

    async def inspect(self, link: Link) -> Sequence[str]:
        """What an operator should know of how the server is set up. Raises StorageError if it is too old."""
        said: dict[str, str] = {}
        for section in ("server", "memory", "persistence"):
            lines = (await link.request("INFO", section)).decode(errors="replace").splitlines()
            said |= {name: value for name, _, value in (line.partition(":") for line in lines)}
        version = said.get("redis_version", "0")
        if int(version.partition(".")[0]) < OLDEST_VERSION:
            raise StorageError(
                f"Redis at {link.endpoint} is of version {version}; {OLDEST_VERSION} or newer is needed"
            )
        warnings: list[str] = []
        if said.get("aof_enabled") == "0":
            warnings.append(
                "Redis keeps no log of its writes: with each restart of it clients are told of a gap"
            )
        if said.get("maxmemory", "0") != "0" and said.get("maxmemory_policy") != "noeviction":
            warnings.append('Redis may throw events away: set its maxmemory-policy to "noeviction"')
        return warnings

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────

    async def page(self, link: Link, epoch: str, after: int, count: int) -> Sequence[Arrived]:
        """What the stream has after `after`, oldest first, at most `count` of it."""
        found = await link.request(
            "XRANGE", self.keys.stream(epoch), f"({after}-0", "+", "COUNT", count, within_s=READ_S
        )
        return [entries.arrived(entry) for entry in found]

    async def first(self, link: Link, epoch: str) -> int | None:
        """The offset of the oldest event in the stream."""
        found = await link.request("XRANGE", self.keys.stream(epoch), "-", "+", "COUNT", 1)
        return entries.offset_of(found[0][0]) if found else None

    async def following(
        self, link: Link, epoch: str, after: int, count: int, wait_s: float
    ) -> Sequence[Arrived]:
        """What comes after `after`, at most `count` of it, if need be after waiting for it."""
        found = await link.request(
            "XREAD",
            "COUNT",
            count,
            "BLOCK",
            int(1000 * wait_s),
            "STREAMS",
            self.keys.stream(epoch),
            f"{after}-0",
            within_s=wait_s + READ_S,
        )
        if not found:
            return ()
        [events] = found.values() if isinstance(found, dict) else [found[0][1]]
        return [entries.arrived(entry) for entry in events]

    async def beyond(self, link: Link, first: int) -> Sequence[tuple[Record, float | None]]:
        """The newest of each place that lies before `first`, in order, and when it goes if it has ended."""
        found: list[tuple[Record, float | None]] = []
        for order in ("order", "state"):
            places = await link.request(
                "ZRANGEBYSCORE", self.keys(order), "-inf", f"({first}", within_s=READ_S
            )
            for start in range(0, len(places), NEWEST_PLACES):
                some = places[start : start + NEWEST_PLACES]
                kept = await link.request("HMGET", self.keys("newest"), *some, within_s=READ_S)
                goes = await link.request("ZMSCORE", self.keys("ending"), *some)
                found += [
                    (entries.newest(place, value), None if due is None else float(due))
                    for place, value, due in zip(some, kept, goes, strict=True)
                    if value is not None
                ]
        return sorted((one for one in found if one[0][0] < first), key=lambda one: one[0][0])

    # ── the channel ──────────────────────────────────────────────────────────────────────────────────

    async def mark(self, link: Link, newest: int) -> None:
        """Put a mark among what is said on the channel, greater than `newest` and all others."""
        await link.run(MARK, [self.keys("mark"), self.keys("word:intake")], [self.keys.marks, newest])

    async def turn(self, link: Link, what: str, hold_s: float, so_far: str) -> tuple[bool, str]:
        """Whether it is this hub's turn to do `what` for so long from now, and how far that is.

        `so_far` is how far this hub is with it, if it had the turn; it gives it up by holding it for no time.
        """
        is_its, word = await link.run(
            TURN,
            [self.keys(f"turn:{what}"), self.keys(f"word:{what}")],
            [self.settings.instance, int(1000 * hold_s), so_far, 1000 * WORD_S],
        )
        return bool(is_its), word.decode()

    async def mirror(self, link: Link, after: str, upto: str, texts: Sequence[bytes]) -> str:
        """Publish `texts` on the channel, which tell of the events between two positions.

        Returns the position up to which there was something published; if that is not `upto`, these were not.
        """
        reached = await link.run(
            MIRROR, [self.keys("word:mirror")], [self.keys.channel, after, upto, 1000 * WORD_S, *texts]
        )
        return bytes(reached).decode()


def _hole(text: str) -> tuple[int, int]:
    after, _, until = text.partition(":")
    return int(after), int(until)


def _neighbour(said: bytes, now: float) -> Neighbour:
    until, _, delivered = said.decode().partition(" ")
    return Neighbour(float(until) > now, Position.parse(delivered) or Position("", 0))


def _receipt(epoch: str, draft: Draft, verdict: Any) -> Receipt:
    if verdict.__class__ is int:
        return _new_receipt((_position((epoch, verdict)), draft.timestamp, False, ""))
    what, offset, *rest = verdict.decode().split(" ", 2)
    position = Position(epoch, int(offset))
    if what == "again":
        return Receipt(position, rest[0], repeated=True)
    return Receipt(position, "", rejected="full" if what == "full" else "revision")
