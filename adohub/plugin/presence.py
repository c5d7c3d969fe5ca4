"""Who is present: what a channel has to say of it, and the records that tell every hub.

A subscriber is present under a key, wherever it is connected; how a record changes is in `adohub.hub.roll`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

from attrs import frozen

from adohub.model import Right
from adohub.topics import is_topic

Phase = Literal["arriving", "here", "away", "left", "gone"]
"""Not announced yet; attending; its subscription has ended; being announced as removed; and that is done."""


@frozen
class Present:
    """Somebody who is present, `since` when, and what is said `about` it: the payload of a presence topic.

    `hub` is the instance that answers for it, `ticket` tells its subscription from all others. It has been
    given what the channel carries up to `after`, an event id, or else nothing since it began.
    """

    key: str
    about: Any
    since: datetime
    phase: Phase
    hub: str
    ticket: str
    after: str


Announce = Callable[[Present, Literal["added", "removed"]], tuple[str, Any]]
"""What is published when somebody has come or gone: a topic, and a payload as in `Publish`."""


@frozen
class Presence:
    """While somebody subscribes to a channel, it is present under the key that `key(input)` tells.

    `topic` is a state topic with payloads of the class `Present` and the key "key"; the hub alone changes it.
    `about(input)` is what its record says besides, JSON-ready. `announce` makes the one event that tells that
    somebody has come, and the one that tells that it has gone, once it has not come back for
    `presence.grace_ms`. Of several subscriptions with one key the newest stays, the others end with CONFLICT.

    `attend` is the right to subscribe, and `list` that to see the records.
    """

    topic: str
    key: Callable[[Any], str]
    about: Callable[[Any], Any]
    announce: Announce
    attend: Right
    list: Right

    def __attrs_post_init__(self) -> None:
        if not is_topic(self.topic):
            raise ValueError(f"{self.topic!r} is no topic name (dotted lower-case segments)")
