"""TLS in front of a server that has none, with a certificate of its own for 127.0.0.1 and localhost."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlencode

import trio
import trustme
from attrs import frozen

from adohub_redis.testing.forwarding import join
from adohub_redis.testing.server import Server


@frozen
class Encrypted:
    """A server as it is reached by TLS. `authority`: a PEM file of who signed its certificate."""

    server: Server
    port: int
    authority: Path

    @property
    def url(self) -> str:
        """Where clients find it, and whom they trust."""
        plain = self.server.url_at(self.port)
        return f"{plain.replace('redis:', 'rediss:', 1)}?{urlencode({'ssl_ca_certs': self.authority})}"

    @property
    def untrusted_url(self) -> str:
        """The same without whom to trust: clients refuse it."""
        return self.url.partition("?")[0]


@asynccontextmanager
async def tls(server: Server, directory: Path) -> AsyncIterator[Encrypted]:
    """`server`, also reached by TLS. `directory`: where the authority's certificate is written."""
    authority = trustme.CA()
    trusted = directory / "authority.pem"
    authority.cert_pem.write_to_path(trusted)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)

    async def forward(client: trio.SSLStream[trio.SocketStream]) -> None:
        try:
            target = await trio.open_tcp_stream("127.0.0.1", server.port)
        except OSError:
            await trio.aclose_forcefully(client)
        else:
            await join(client, target)

    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port: int = listener.socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, forward, [trio.SSLListener(listener, context)])
        yield Encrypted(server, port, trusted)
        nursery.cancel_scope.cancel()
