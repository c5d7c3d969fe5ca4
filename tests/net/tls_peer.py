"""The other end of a TLS 1.3 connection, held in memory, which can do what no library lets a client do."""

from __future__ import annotations

import hashlib
import hmac
import ssl
import struct
from contextlib import suppress
from pathlib import Path

from attrs import define
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

HANDSHAKE, APPLICATION_DATA = 22, 23
KEY_UPDATE = 24


class TlsPeer:
    """A client that says and hears bytes. `key_log`: a file for its secrets, which `key_updates` needs."""

    def __init__(self, trusting: ssl.SSLContext, key_log: Path | None = None) -> None:
        if key_log is not None:
            trusting.keylog_filename = str(key_log)
        self._key_log = key_log
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = trusting.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")

    def shake_hands(self, heard: bytes = b"") -> tuple[bool, bytes]:
        """Whether the handshake is done once `heard` is, and what is to be said."""
        self._incoming.write(heard)
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return False, self._outgoing.read()
        return True, self._outgoing.read()

    def said(self, data: bytes) -> bytes:
        """`data` in records."""
        for start in range(0, len(data), 16_384):
            self.tls.write(data[start : start + 16_384])
        return self._outgoing.read()

    def ended(self) -> bytes:
        """The end of what this side says."""
        with suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        return self._outgoing.read()

    def understood(self, heard: bytes) -> bytes:
        """The data in `heard`, and in what was left over before."""
        self._incoming.write(heard)
        data = bytearray()
        try:
            while some := self.tls.read(65_536):
                data += some
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            pass
        return bytes(data)

    def key_updates(self, number: int, *, requested: bool) -> bytes:
        """`number` key updates (RFC 8446, section 4.6.3), each asking for one in return if `requested`.

        They are the first and last thing that this side can say after the handshake.
        """
        assert self._key_log is not None
        assert self.tls.cipher() == ("TLS_AES_256_GCM_SHA384", "TLSv1.3", 256)
        (line,) = (one for one in self._key_log.read_text().splitlines() if one.startswith("CLIENT_TRAFFIC_"))
        traffic = _Traffic(bytes.fromhex(line.split()[2]))
        message = bytes((KEY_UPDATE, 0, 0, 1, requested, HANDSHAKE))
        return b"".join(traffic.sealed_and_updated(message) for _ in range(number))


@define
class _Traffic:
    """The keys of one direction (RFC 8446, sections 5.2 and 7)."""

    _secret: bytes

    def sealed_and_updated(self, inner: bytes) -> bytes:
        """One record, the only one under these keys."""
        key, nonce = self._derived("key", 32), self._derived("iv", 12)  # its number, 0, leaves the nonce so
        head = struct.pack("!BHH", APPLICATION_DATA, 0x0303, len(inner) + 16)
        self._secret = self._derived("traffic upd", 48)
        return head + AESGCM(key).encrypt(nonce, inner, head)

    def _derived(self, label: str, length: int) -> bytes:
        name = b"tls13 " + label.encode()
        info = struct.pack("!HB", length, len(name)) + name + b"\0"
        return hmac.digest(self._secret, info + b"\1", hashlib.sha384)[:length]
