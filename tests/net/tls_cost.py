"""What TLS costs a hub, beside the same without: memory of a connection, a handshake, a delivery.

python -m tests.net.tls_cost [--connections 500] [--events 200]
"""

from __future__ import annotations

import argparse
import selectors
import socket
import ssl
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import tomli_w
import trio
import trustme
from attrs import frozen

from tests.bench.machine import processor_seconds, raise_descriptor_limit, resident_bytes
from tests.cli.processes import Hub, progress, serving
from tests.net import raw

PATIENCE_S = 60.0
SUBSCRIPTION = raw.text(
    {
        "id": 1,
        "method": "subscription",
        "params": {"path": "stream.onTaskProgress", "input": {"taskId": "t", "replay": "none"}},
    }
)
LAST = "this is the last one"


@frozen
class Cost:
    """Of one hub: bytes of its memory for each connection, processor seconds for what is named."""

    connection_bytes: float
    connect_s: float
    delivery_s: float


async def cost(*, secure: bool, connections: int, events: int) -> Cost:
    """Let so many subscribe over one way, then deliver so many events to each of them."""
    with tempfile.TemporaryDirectory() as folder:
        context, server = secured(Path(folder)) if secure else (None, {})
        async with serving(Path(folder), tomli_w.dumps({"server": server}), deadline_s=300) as hub:
            return await trio.to_thread.run_sync(measured, hub, context, connections, events)


def secured(folder: Path) -> tuple[ssl.SSLContext, dict[str, str]]:
    """A client's context, and what the hub's configuration says for it."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(str(folder / "hub.pem"))
    issued.private_key_pem.write_to_path(str(folder / "hub.key"))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context, {"tls_cert": str(folder / "hub.pem"), "tls_key": str(folder / "hub.key")}


def measured(hub: Hub, context: ssl.SSLContext | None, connections: int, events: int) -> Cost:
    pid, port = hub.run.process.pid, urlsplit(hub.url).port or 0
    with ExitStack() as opened:
        subscribers = [opened.enter_context(subscriber(port, context)) for _ in range(10)]
        memory, used = resident_bytes(pid), processor_seconds(pid)
        subscribers += [opened.enter_context(subscriber(port, context)) for _ in range(connections)]
        connect_s = (processor_seconds(pid) - used) / connections
        connection_bytes = (resident_bytes(pid) - memory) / connections
        used = processor_seconds(pid)
        with connected(port, context) as publisher:
            for number in range(events):
                message = LAST if number == events - 1 else "on its way"
                given = {"topic": "task.progress", "payload": progress("t", number % 100, message)}
                publisher.sendall(
                    raw.text(
                        {
                            "id": number,
                            "method": "mutation",
                            "params": {"path": "events.publish", "input": given},
                        }
                    )
                )
            until_heard(publisher, b'"result"')
            read_to_the_last(subscribers)
        delivery_s = (processor_seconds(pid) - used) / events / len(subscribers)
    return Cost(connection_bytes, connect_s, delivery_s)


@contextmanager
def connected(port: int, context: ssl.SSLContext | None) -> Iterator[socket.socket]:
    """A WebSocket that blocks."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as plain:
        peer = plain if context is None else context.wrap_socket(plain, server_hostname="127.0.0.1")
        with peer:
            peer.sendall(raw.upgrade())
            until_heard(peer, b"\r\n\r\n")
            yield peer


@contextmanager
def subscriber(port: int, context: ssl.SSLContext | None) -> Iterator[socket.socket]:
    with connected(port, context) as peer:
        peer.sendall(SUBSCRIPTION)
        until_heard(peer, b'"started"')
        yield peer


def until_heard(peer: socket.socket, mark: bytes) -> None:
    heard = b""
    while mark not in heard:
        if b'"error"' in heard:
            raise RuntimeError(heard.decode())
        heard += peer.recv(4096)


def read_to_the_last(subscribers: Sequence[socket.socket]) -> None:
    """Read from all of them until each has the last event."""
    waited_for: dict[socket.socket, bytes] = {}
    with selectors.DefaultSelector() as selector:
        for subscriber in subscribers:
            subscriber.setblocking(False)
            selector.register(subscriber, selectors.EVENT_READ, subscriber)
            waited_for[subscriber] = b""
        while waited_for:
            for key, _ in selector.select(PATIENCE_S):
                peer: socket.socket = key.data
                waited_for[peer] = waited_for[peer][-len(LAST) :] + all_of(peer)
                if LAST.encode() in waited_for[peer]:
                    selector.unregister(peer)
                    del waited_for[peer]


def all_of(peer: socket.socket) -> bytes:
    """What has come, also what TLS has understood already."""
    data = b""
    try:
        while chunk := peer.recv(65_536):
            data += chunk
    except (BlockingIOError, ssl.SSLWantReadError):
        pass
    return data


async def main(connections: int, events: int) -> None:
    plain = await cost(secure=False, connections=connections, events=events)
    secure = await cost(secure=True, connections=connections, events=events)
    for name, one, other, unit in (
        ("memory of a connection", plain.connection_bytes / 1024, secure.connection_bytes / 1024, "KiB"),
        ("processor to connect", 1e6 * plain.connect_s, 1e6 * secure.connect_s, "µs"),
        ("processor of a delivery", 1e6 * plain.delivery_s, 1e6 * secure.delivery_s, "µs"),
    ):
        sys.stdout.write(f"{name:24} plain {one:.1f} {unit}, TLS {other:.1f} {unit}: {other / one:.2f} x\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--connections", type=int, default=500)
    parser.add_argument("--events", type=int, default=200)
    given = parser.parse_args()
    raise_descriptor_limit()
    trio.run(main, given.connections, given.events)
