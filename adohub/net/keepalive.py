"""All connections' keep-alive in one task: who has been silent is pinged, who stays silent is dropped.

Who listens to an event stream says nothing at all: it is pinged for its own and its proxies' sake, and TCP
gives up on it when it acknowledges none of that.

Any inbound byte counts as life. A text `PING` breaks @trpc/client 10, which parses it as JSON and stops
reading; so in mode "auto" protocol-level ping frames, which every client answers below the application,
are used until the client has shown itself a v11 one.
"""

from __future__ import annotations

from typing import Protocol

import trio

from adohub.config import Keepalive as KeepaliveConfig
from adohub.net.outbox import Outbox
from adohub.wire.encode import encode
from adohub.wire.frame import PING_FRAME, text_frame
from adohub.wire.messages import Ping

CHECKS_AT_A_TIME = 1000
"""After how many connections others may run."""

_TEXT_PING = text_frame(encode(Ping()))


class Watched(Protocol):
    """One connection, as keep-alive sees it."""

    @property
    def outbox(self) -> Outbox: ...

    @property
    def speaks_v11(self) -> bool:
        """Whether its client is known to understand a text PING."""
        ...

    def abandon(self) -> None:
        """End it without a word."""
        ...


class Streamed(Protocol):
    """An event stream, as keep-alive sees it: nothing is ever heard of its peer but by TCP."""

    @property
    def outbox(self) -> Outbox: ...

    def ping(self) -> None:
        """Say something."""
        ...


class Keepalive:
    """Watches connections by the `[keepalive]` configuration."""

    def __init__(self, config: KeepaliveConfig) -> None:
        self._config = config
        self._ping_s = config.ping_ms / 1000
        self._pong_wait_s = config.pong_wait_ms / 1000
        self._pinged_at: dict[Watched, float | None] = {}
        """Who is watched, and since when a sign of life is awaited from it, if it is."""
        self._streams: dict[Streamed, float] = {}
        """Who is only talked to, and when it was pinged last."""

    def watch(self, connection: Watched) -> None:
        """Begin to look after `connection`."""
        self._pinged_at[connection] = None

    def forget(self, connection: Watched) -> None:
        """`connection` is over."""
        self._pinged_at.pop(connection, None)

    @property
    def silence_ms(self) -> int | None:
        """After how much silence an event stream's peer may take the hub for dead, in milliseconds."""
        return self._config.ping_ms + self._config.pong_wait_ms if self._config.enabled else None

    def accompany(self, stream: Streamed) -> None:
        """Ping `stream` now and then, and let TCP find out that its peer is dead."""
        self._streams[stream] = trio.current_time()
        if self._config.enabled:
            stream.outbox.give_up_after(self._ping_s + self._pong_wait_s)

    def part(self, stream: Streamed) -> None:
        """`stream` is over."""
        self._streams.pop(stream, None)

    async def run(self) -> None:
        """The task; returns at once when keep-alive is off."""
        if not self._config.enabled:
            return
        tick = min(self._ping_s, self._pong_wait_s) / 4
        while True:
            await trio.sleep(tick)
            now = trio.current_time()
            for number, (connection, pinged_at) in enumerate(list(self._pinged_at.items()), start=1):
                if number % CHECKS_AT_A_TIME == 0:
                    await trio.lowlevel.checkpoint()
                if connection in self._pinged_at:
                    self._check(connection, pinged_at, now)
            for number, (stream, spoken_at) in enumerate(list(self._streams.items()), start=1):
                if number % CHECKS_AT_A_TIME == 0:
                    await trio.lowlevel.checkpoint()
                if stream in self._streams and now - spoken_at >= self._ping_s:
                    self._streams[stream] = now
                    stream.ping()

    def _check(self, connection: Watched, pinged_at: float | None, now: float) -> None:
        heard_at = connection.outbox.last_received
        if pinged_at is not None:
            if heard_at > pinged_at:
                self._pinged_at[connection] = None
            elif now - pinged_at >= self._pong_wait_s:
                connection.abandon()
        elif now - heard_at >= self._ping_s:
            self._pinged_at[connection] = now
            connection.outbox.send(self._ping(connection))

    def _ping(self, connection: Watched) -> bytes:
        text = self._config.mode == "text" or (self._config.mode == "auto" and connection.speaks_v11)
        return _TEXT_PING if text else PING_FRAME
