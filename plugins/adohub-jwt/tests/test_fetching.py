"""Keys come only from whom is trusted: not from a server whose certificate is not good."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trustme
from adohub_jwt.fetching import Fetcher, FetchFailed

BODY = b'{"keys": []}'


@asynccontextmanager
async def issuer(certificate: trustme.LeafCert) -> AsyncIterator[str]:
    """The address of a server that shows `certificate`, as localhost."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)

    async def serve(stream: trio.SSLStream[trio.SocketStream]) -> None:
        try:
            await stream.receive_some()
            await stream.send_all(
                b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY)
            )
            await stream.aclose()
        except (trio.BrokenResourceError, ssl.SSLError):
            return

    [listener] = await trio.open_ssl_over_tcp_listeners(0, context, host="127.0.0.1")
    assert isinstance(listener.transport_listener, trio.SocketListener)
    port = listener.transport_listener.socket.getsockname()[1]
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, serve, [listener])
            yield f"https://localhost:{port}/"
            nursery.cancel_scope.cancel()


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """One that is trusted, as operators say it."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return authority


async def test_whose_certificate_is_of_a_trusted_authority_is_heard(authority: trustme.CA) -> None:
    async with issuer(authority.issue_cert("localhost")) as url:
        assert await Fetcher().fetch(url) == BODY


async def test_whose_certificate_is_of_any_other_is_not(authority: trustme.CA) -> None:
    async with issuer(trustme.CA().issue_cert("localhost")) as url:
        with pytest.raises(FetchFailed, match="certificate verify failed"):
            await Fetcher().fetch(url)


async def test_nor_is_whoever_has_one_of_another_name(authority: trustme.CA) -> None:
    async with issuer(authority.issue_cert("other.example")) as url:
        with pytest.raises(FetchFailed, match="certificate verify failed"):
            await Fetcher().fetch(url)
