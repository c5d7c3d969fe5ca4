"""TLS beneath an outbox: a socket that encrypts, and the certificate in force.

Law: to its outbox it is a non-blocking socket like any other, so that a push is one `send` here as well. It
asks for one thing more, that what it did not take comes again first and as it was; that is what an outbox
does anyway: its queue has one order.
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

PIECE_BYTES = 16_384
"""How much of what has come is looked at before others may run."""

RECORD_BYTES = 16_384
"""How much data is encrypted at a time: what one record holds at most (RFC 8446, section 5.1)."""

ASIDE_BYTES = 64 * 1024
"""How much that is not data may wait for a peer that makes us say it."""

_HANDSHAKE_RECORD = 0x16
"""What a TLS client's first byte is (RFC 8446, section 5.1)."""

_log = structlog.get_logger("adohub.tls")


class TlsSocket:
    """One connected, non-blocking socket, which it owns; `handshake` comes first.

    OpenSSL is given what has come piece by piece, and never the socket: reading from that, it goes on for as
    long as there is anything but data to read. Measured reason: ten megabytes of key updates, which whoever
    can connect may send, held everybody up for six seconds.
    """

    __slots__ = ("_incoming", "_is_over", "_is_shut", "_outgoing", "_owed", "_rest", "_socket", "_tls")

    def __init__(self, connected: socket.socket, context: ssl.SSLContext) -> None:
        self._socket = connected
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._rest = b""
        """What is encrypted and the socket has not taken."""
        self._owed = 0
        """How many bytes of data are in `_rest` that `send` has not said it took."""
        self._is_over = False
        """Whether the peer has said its end."""
        self._is_shut = False

    @property
    def family(self) -> int:
        """The family of its address."""
        return self._socket.family

    def fileno(self) -> int:
        """Its descriptor."""
        return self._socket.fileno()

    def pending(self) -> bool:
        """Whether `recv` has something to look at, or to tell, without the descriptor's being readable."""
        return self._is_over or self._incoming.pending > 0 or self._tls.pending() > 0

    def setsockopt(self, level: int, option: int, value: int) -> None:
        """See `socket.socket.setsockopt`."""
        self._socket.setsockopt(level, option, value)

    def handshake(self) -> bool:
        """Take in what has come, and go on with the handshake: whether it is done. Raises OSError."""
        try:
            if not self._take_in():
                raise ConnectionAbortedError("the peer has left")
            self._tls.do_handshake()
        except BlockingIOError:
            return False
        except ssl.SSLWantReadError:
            return False
        finally:
            self.flushed()
        return True

    def flushed(self) -> bool:
        """Write what is encrypted, be it data or not: whether the socket has taken all. Raises OSError."""
        try:
            self._pass_on()
        except BlockingIOError:
            return False
        return True

    def send(self, data: bytes | memoryview) -> int:
        """How many bytes of `data` it took, record after record. Raises BlockingIOError if none, OSError.

        Data is encrypted when it is first seen here: if not all of it is taken, the next call is to begin
        with the first byte that was not.
        """
        self._pass_on()
        sent, self._owed = self._owed, 0
        with memoryview(data) as view:
            while sent < len(view):
                record = view[sent : sent + RECORD_BYTES]
                self._tls.write(record)
                try:
                    self._pass_on()
                except BlockingIOError:
                    self._owed = len(record)
                    if not sent:
                        raise
                    break
                sent += len(record)
        return sent

    def recv(self, limit: int) -> bytes:
        """What has come, b"" at the peer's end. Raises BlockingIOError if nothing, OSError.

        A peer may end without a word of TLS: what travels here tells by itself where it ends, so nothing can
        be cut short unnoticed. What comes after `shutdown` is given as it is.
        """
        if self._is_shut:
            return self._socket.recv(limit)
        data = self._understood(limit)
        if data is None:
            data = self._understood(limit) if self._take_in() else b""
        if self._outgoing.pending and not self.flushed() and len(self._rest) > ASIDE_BYTES:
            raise ConnectionAbortedError("the peer has us say more than it listens to")
        if data is None:
            raise BlockingIOError
        return data

    def shutdown(self, how: int) -> None:
        """Say the end, or what was wrong, in TLS and beneath it.

        Raises OSError: BlockingIOError till the socket has taken it.
        """
        with suppress(ssl.SSLError):  # it raises once it has said so, since the peer has not answered
            self._tls.unwrap()
        self._is_shut = True
        self._pass_on()
        self._socket.shutdown(how)

    def close(self) -> None:
        """Close it, without a word."""
        self._socket.close()

    def _take_in(self) -> bool:
        """Take in a piece of what has come; False if that was all that ever will. Raises OSError."""
        piece = self._socket.recv(PIECE_BYTES)
        self._incoming.write(piece)
        return piece != b""

    def _understood(self, limit: int) -> bytes | None:
        """What was in what has been taken in, b"" if the peer has said its end there; None if nothing."""
        data: list[bytes] = []
        try:
            while limit and (some := self._tls.read(limit)):
                data.append(some)
                limit -= len(some)
        except ssl.SSLWantReadError:
            return b"".join(data) if data else None
        self._is_over = limit > 0
        return b"".join(data)

    def _pass_on(self) -> None:
        if self._outgoing.pending:
            self._rest += self._outgoing.read()
        if self._rest:
            self._rest = self._rest[self._socket.send(self._rest) :]
            if self._rest:
                raise BlockingIOError


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
        is_done = False
        while not is_done:
            await trio.lowlevel.wait_readable(secure)
            async with self._slots:
                is_done = secure.handshake()
                await trio.lowlevel.checkpoint()
            while not secure.flushed():
                await trio.lowlevel.wait_writable(secure)


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
    except OSError as error:  # ssl.SSLError is one; or a file has gone since it was looked at
        reason = getattr(error, "reason", None)
        if reason == "KEY_VALUES_MISMATCH":
            raise _fault("server.tls_key", f"{key} is not the key of {certificate}") from None
        message = f"{certificate} and {key} cannot be used: {reason or error.strerror or error}"
        raise _fault("server.tls_cert", message) from None
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
