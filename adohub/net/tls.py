"""TLS beneath an outbox: a socket that encrypts, and the certificate in force.

Law: to its outbox it is a non-blocking socket like any other, so that a push is one `send` here as well. What
OpenSSL asks for, that a write which could not be done is tried again with the same bytes first, is what an
outbox does anyway: its queue has one order.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from pathlib import Path

import structlog
import trio

from adohub.errors import ConfigError, Problem

HANDSHAKES_A_TURN = 4
"""How many handshakes are worked on in one turn of the scheduler: each takes about a millisecond."""

_HANDSHAKE_RECORD = 0x16
"""What a TLS client's first byte is (RFC 8446, section 5.1)."""

_WANTS = (ssl.SSLWantReadError, ssl.SSLWantWriteError)

_log = structlog.get_logger("adohub.tls")


class TlsSocket:
    """One connected, non-blocking socket, which it owns; `handshake` comes first."""

    __slots__ = ("_socket",)

    def __init__(self, connected: socket.socket, context: ssl.SSLContext) -> None:
        self._socket = context.wrap_socket(connected, server_side=True, do_handshake_on_connect=False)

    @property
    def family(self) -> int:
        """The family of its address."""
        return self._socket.family

    def fileno(self) -> int:
        """Its descriptor."""
        return self._socket.fileno()

    def pending(self) -> int:
        """How many bytes can be read without the descriptor's being readable."""
        return self._socket.pending()

    def setsockopt(self, level: int, option: int, value: int) -> None:
        """See `socket.socket.setsockopt`."""
        self._socket.setsockopt(level, option, value)

    def handshake(self) -> None:
        """Go on with the handshake. Raises SSLWantReadError or SSLWantWriteError till it is done; OSError."""
        self._socket.do_handshake()

    def send(self, data: bytes | memoryview) -> int:
        """How many bytes of `data` it took, record after record. Raises BlockingIOError if none, OSError."""
        sent, view = 0, memoryview(data)
        try:
            while sent < len(view):
                sent += self._socket.send(view[sent:])
        except _WANTS:
            if not sent:
                raise BlockingIOError from None
        return sent

    def recv(self, limit: int, flags: int = 0) -> bytes:
        """What has come, b"" at the peer's end. Raises BlockingIOError if nothing, OSError."""
        try:
            return self._socket.recv(limit, flags)
        except _WANTS:
            raise BlockingIOError from None

    def shutdown(self, how: int) -> None:
        """Say the end, in TLS and beneath it; what comes then is not understood. Raises OSError."""
        with suppress(OSError, ValueError):  # it raises once it has said so, since the peer has not answered
            self._socket.unwrap()
        self._socket.shutdown(how)

    def close(self) -> None:
        """Close it, without a word."""
        self._socket.close()


class Certificate:
    """The certificate and key in two PEM files. Raises ConfigError if they cannot be used."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._certificate = certificate
        self._key = key
        self._context = context_of(certificate, key)
        self._slots = trio.Semaphore(HANDSHAKES_A_TURN)

    def reload(self) -> None:
        """Read the files again, for connections from now on. Raises ConfigError, and changes nothing then."""
        self._context = context_of(self._certificate, self._key)

    async def secured(self, connected: socket.socket) -> TlsSocket | None:
        """`connected` once its handshake is done; None if its peer does not begin one, but speaks plainly.

        Raises trio.BrokenResourceError if there is no agreement; trio.ClosedResourceError.
        """
        await trio.lowlevel.wait_readable(connected)
        try:
            first = connected.recv(1, socket.MSG_PEEK)
        except OSError as error:
            raise trio.BrokenResourceError("the peer is gone") from error
        if first and first[0] != _HANDSHAKE_RECORD:
            return None
        try:
            return await self._shaken_hands(TlsSocket(connected, self._context))
        except OSError as error:
            _log.debug("no TLS connection", reason=getattr(error, "reason", None) or str(error))
            raise trio.BrokenResourceError("there is no agreement on TLS") from error

    async def _shaken_hands(self, secure: TlsSocket) -> TlsSocket:
        """`secure` once its handshake is done; if it never is, it is closed."""
        try:
            await self._shake_hands(secure)
        except BaseException:
            trio.lowlevel.notify_closing(secure)
            secure.close()
            raise
        return secure

    async def _shake_hands(self, secure: TlsSocket) -> None:
        while True:
            try:
                async with self._slots:
                    secure.handshake()
                    await trio.lowlevel.checkpoint()
            except ssl.SSLWantReadError:
                await trio.lowlevel.wait_readable(secure)
            except ssl.SSLWantWriteError:
                await trio.lowlevel.wait_writable(secure)
            else:
                return


def context_of(certificate: Path, key: Path) -> ssl.SSLContext:
    """TLS 1.2 and later with this certificate, and what OpenSSL takes for safe. Raises ConfigError."""
    _check(certificate, "server.tls_cert", "-----BEGIN CERTIFICATE-----", "a certificate")
    text = _check(key, "server.tls_key", "PRIVATE KEY-----", "a private key")
    if "ENCRYPTED" in text:
        raise _fault("server.tls_key", f"{key} needs a passphrase, which nobody is there to type")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise _fault("server.tls_key", f"{key} is not the key of {certificate}") from None
        raise _fault(
            "server.tls_cert", f"{certificate} and {key} cannot be used: {error.reason or error}"
        ) from None
    return context


def _check(file: Path, setting: str, mark: str, what: str) -> str:
    try:
        text = file.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise _fault(setting, f"{file} cannot be read: {error.strerror}") from None
    if mark not in text:
        raise _fault(setting, f"{file} holds no {what.removeprefix('a ')} in PEM")
    return text


def _fault(setting: str, message: str) -> ConfigError:
    return ConfigError([Problem("", setting, message)])
