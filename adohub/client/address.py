"""An address is read from a URL once, and everything that dials or prints uses what was read."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from attrs import frozen

from adohub.client.errors import BadAddress

DEFAULT_PORT = 3001
"""The port of an address written without a scheme and a port: the hub's own default."""

DEFAULT_RESOURCE = "/trpc"

_PORTS = {"ws": 80, "http": 80, "wss": 443, "https": 443}
_TLS = {"wss", "https"}
_FORMS = "ws://HOST:PORT, wss://HOST, HOST:PORT or unix:///PATH"


@frozen
class Address:
    """Where a hub listens: `host` and `port`, or the path of a `unix_socket`.

    `resource` is the request target of the upgrade, query included. `str()` is for people: it leaves out the
    query and the user part, where secrets may be.
    """

    shown: str
    resource: str = DEFAULT_RESOURCE
    host: str = "localhost"
    port: int = DEFAULT_PORT
    tls: bool = False
    unix_socket: str | None = None

    def __str__(self) -> str:
        return self.shown

    @property
    def authority(self) -> str:
        """The value of the `Host` header."""
        if self.unix_socket is not None:
            return self.host
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @staticmethod
    def parse(url: str) -> Address:
        """Reads `ws://`, `wss://`, `http://`, `https://` and `unix:///path` URLs, and a bare `host:port`.

        A URL without a path means `/trpc`. Raises BadAddress.
        """
        try:
            return _parse(url.strip())
        except ValueError as fault:
            raise BadAddress(f'"{url}" is not the address of a hub: {fault} (use {_FORMS})') from None


def _parse(url: str) -> Address:
    bare = "://" not in url
    parts = urlsplit(f"ws://{url}" if bare else url)
    if parts.scheme == "unix":
        return _unix(parts)
    if parts.scheme not in _PORTS:
        raise ValueError(f'unknown scheme "{parts.scheme}"')
    if not parts.hostname:
        raise ValueError("no host")
    return Address(
        shown=_shown(parts, bare),
        resource=_resource(parts),
        host=parts.hostname,
        port=parts.port or (DEFAULT_PORT if bare else _PORTS[parts.scheme]),
        tls=parts.scheme in _TLS,
    )


def _unix(parts: SplitResult) -> Address:
    if parts.netloc or parts.path in ("", "/"):
        raise ValueError("a unix socket needs an absolute path, after three slashes")
    return Address(shown=f"unix://{parts.path}", unix_socket=parts.path)


def _resource(parts: SplitResult) -> str:
    target = (parts.path or DEFAULT_RESOURCE) + (f"?{parts.query}" if parts.query else "")
    if not (target.isascii() and target.isprintable() and " " not in target):
        raise ValueError("its path holds characters that must be percent-encoded")
    return target


def _shown(parts: SplitResult, bare: bool) -> str:
    scheme = "ws" if bare else parts.scheme
    return f"{scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
