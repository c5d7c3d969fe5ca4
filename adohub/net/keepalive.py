"""All connections' keep-alive in one task: who has been silent is pinged, who stays silent is dropped.

Any inbound byte counts as life. A text `PING` breaks @trpc/client 10, which parses it as JSON and stops
reading; so in mode "auto" protocol-level ping frames, which every client answers below the application,
are used until the client has shown itself a v11 one.
"""

from __future__ import annotations

from collections.abc import Callable

import trio
from attrs import define, frozen

from adohub.config import Keepalive as KeepaliveConfig
from adohub.net.outbox import Outbox
from adohub.wire.encode import encode
from adohub.wire.frame import PING_FRAME, text_frame
from adohub.wire.messages import Ping

_TEXT_PING = text_frame(encode(Ping()))


@frozen(eq=False)
class Watched:
    """One connection: its outbox, whether its client is known as v11, and how to end it."""

    outbox: Outbox
    speaks_v11: Callable[[], bool]
    give_up: Callable[[], None]


@define
class _Silence:
    pinged_at: float | None = None


class Keepalive:
    """Watches connections by the `[keepalive]` configuration."""

    def __init__(self, config: KeepaliveConfig) -> None:
        self._config = config
        self._ping_s = config.ping_ms / 1000
        self._pong_wait_s = config.pong_wait_ms / 1000
        self._watched: dict[Watched, _Silence] = {}

    def watch(self, connection: Watched) -> None:
        """Begin to look after `connection`."""
        self._watched[connection] = _Silence()

    def forget(self, connection: Watched) -> None:
        """`connection` is over."""
        self._watched.pop(connection, None)

    async def run(self) -> None:
        """The task; returns at once when keep-alive is off."""
        if not self._config.enabled:
            return
        tick = min(self._ping_s, self._pong_wait_s) / 4
        while True:
            await trio.sleep(tick)
            now = trio.current_time()
            for connection, silence in list(self._watched.items()):
                self._check(connection, silence, now)

    def _check(self, connection: Watched, silence: _Silence, now: float) -> None:
        heard_at = connection.outbox.last_received
        if silence.pinged_at is not None:
            if heard_at > silence.pinged_at:
                silence.pinged_at = None
            elif now - silence.pinged_at >= self._pong_wait_s:
                connection.give_up()
        elif now - heard_at >= self._ping_s:
            silence.pinged_at = now
            connection.outbox.send(self._ping(connection))

    def _ping(self, connection: Watched) -> bytes:
        text = self._config.mode == "text" or (self._config.mode == "auto" and connection.speaks_v11())
        return _TEXT_PING if text else PING_FRAME
