"""What systemd is told, and what it gives: sd_notify(3) and sd_listen_fds(3), in their own words.

Law: without systemd's variables in the environment nothing is told, nobody is asked, and nothing fails; and
with them nothing that goes wrong in the telling harms the hub.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, MutableMapping, Sequence

import structlog
import trio
from attrs import frozen

from adohub.errors import ConfigError, Problem

FIRST_DESCRIPTOR = 3
"""Where inherited sockets begin (sd_listen_fds(3))."""

STATUS_S = 5.0
"""How often the status is told anew if it has changed, in seconds."""

WATCHDOG_SHARE = 0.4
"""After what share of its time the watchdog is fed; sd_watchdog_enabled(3) advises half, at most."""

_log = structlog.get_logger("adohub.systemd")


@frozen
class Manager:
    """The service manager at `address`, a unix socket; empty for none.

    `watchdog_s`: within how long it wants to hear from the event loop, in seconds; 0 for never.
    """

    address: str = ""
    watchdog_s: float = 0.0

    def tell(self, *words: str) -> None:
        """Send `words`, assignments as sd_notify(3) has them. Never waits, never raises."""
        if not self.address:
            return
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sending:
                sending.sendto("\n".join(words).encode(), address)
        except OSError as error:
            _log.debug("the service manager cannot be told", words=words, error=error.strerror)

    def ready(self) -> None:
        """The hub serves."""
        self.tell("READY=1")

    def reloading(self) -> None:
        """It reads its files again; `ready` follows."""
        self.tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, most_s: float) -> None:
        """It drains, and will have ended in `most_s` seconds."""
        self.tell("STOPPING=1", "STATUS=draining", f"EXTEND_TIMEOUT_USEC={round(most_s * 1e6)}")

    async def keep_informed(self, status: Callable[[], str]) -> None:
        """Tell the status when it changes, and feed the watchdog: a task of the loop that it watches."""
        if not self.address:
            return
        feed_s = self.watchdog_s * WATCHDOG_SHARE or STATUS_S
        told, told_at = "", -STATUS_S
        while True:
            if self.watchdog_s:
                self.tell("WATCHDOG=1")
            now = trio.current_time()
            if now - told_at >= STATUS_S and (text := status()) != told:
                self.tell(f"STATUS={text}")
                told, told_at = text, now
            await trio.sleep(min(feed_s, STATUS_S))


NOBODY = Manager()


def manager_in(environment: MutableMapping[str, str]) -> Manager:
    """The manager that `environment` tells of. Its variables go: nobody whom the hub starts is meant."""
    address = environment.pop("NOTIFY_SOCKET", "")
    watchdog_us, watched = environment.pop("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", "")
    is_watched = watchdog_us.isdecimal() and watched in ("", str(os.getpid()))
    return Manager(
        address if address[:1] in ("/", "@") else "", int(watchdog_us) / 1e6 if is_watched else 0.0
    )


def inherited_in(environment: MutableMapping[str, str]) -> Sequence[socket.socket]:
    """The sockets that `environment` tells of, if they are for this process; its variables go.

    Raises ConfigError for a descriptor that is no socket.
    """
    meant_for, count = environment.pop("LISTEN_PID", ""), environment.pop("LISTEN_FDS", "")
    environment.pop("LISTEN_FDNAMES", "")
    if meant_for != str(os.getpid()) or not count.isdecimal():
        return ()
    return [_adopted(descriptor) for descriptor in range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + int(count))]


def _adopted(descriptor: int) -> socket.socket:
    try:
        os.set_inheritable(descriptor, False)
        return socket.socket(fileno=descriptor)
    except OSError as error:
        message = f"descriptor {descriptor} is no socket: {error.strerror}"
        raise ConfigError([Problem("", "LISTEN_FDS", message)]) from error
