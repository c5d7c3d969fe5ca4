"""Ports for servers that come and go: nobody gets one by chance while its server is down.

So they lie below those that Linux gives to outgoing connections (from 32768), and a client that dials a dead
server again and again never meets itself. A cluster node takes a second port, 10,000 higher.
"""

from __future__ import annotations

import random
import socket

BUS_OFFSET = 10_000
"""How far above its port a cluster node talks to the others."""

_CHOICE = range(10_000, 32_768 - BUS_OFFSET)


def free_port() -> int:
    """One at which nothing listens just now, nor at its bus port."""
    while True:
        port = random.choice(_CHOICE)
        if _is_free(port) and _is_free(port + BUS_OFFSET):
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
