"""Where Redis is: what `storage.redis.url` says, and nothing else.

    redis://[[user]:password@]host[:port][/database]          one server
    unix://[[user]:password@]/path/of/socket[?db=database]    the same, beside us
    redis+sentinel://…@host[:port],host[:port]/service[/database]
    redis+cluster://…@host[:port],host[:port]

`rediss` in place of `redis` is TLS. Options after `?` are in `OPTIONS`. No error holds a password.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from attrs import field, frozen

from adohub import StorageError

Kind = Literal["single", "unix", "sentinel", "cluster"]

PORT = 6379
SENTINEL_PORT = 26379

_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
OPTIONS = ("db", *_FILES, "ssl_cert_reqs", "sentinel_username", "sentinel_password")
"""`ssl_cert_reqs=none` trusts any certificate; Sentinels may have another user."""

_KINDS: Mapping[str, Kind] = {
    "redis": "single",
    "rediss": "single",
    "unix": "unix",
    "redis+sentinel": "sentinel",
    "rediss+sentinel": "sentinel",
    "redis+cluster": "cluster",
    "rediss+cluster": "cluster",
}


@frozen
class Endpoint:
    """A TCP port of a host, or else a unix socket."""

    host: str
    port: int = 0

    def __str__(self) -> str:
        if not self.port:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@frozen
class Login:
    """What a server is told about who comes."""

    username: str | None = None
    password: str | None = field(default=None, repr=False)


@frozen
class Address:
    """`endpoints`: the server, the Sentinels, or nodes of the cluster; `service`: what Sentinels call it."""

    kind: Kind
    endpoints: Sequence[Endpoint]
    login: Login = field(factory=Login)
    sentinel_login: Login = field(factory=Login)
    database: int = 0
    service: str = ""
    tls: ssl.SSLContext | None = field(default=None, eq=False, repr=False)

    @staticmethod
    def parse(url: str) -> Address:
        """Raises StorageError in words for an operator, without the URL."""
        try:
            return _parse(url)
        except (ValueError, OSError, ssl.SSLError) as error:
            raise StorageError(f"storage.redis.url: {error}") from None


def _parse(url: str) -> Address:
    try:
        parts = urlsplit(url)
    except ValueError:  # whose words may hold all of it
        raise ValueError("is no URL") from None
    kind = _KINDS.get(parts.scheme)
    if kind is None:
        raise ValueError(f"begins with none of {', '.join(f'{scheme}://' for scheme in _KINDS)}")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = [name for name in options if name not in OPTIONS]
    if unknown:
        raise ValueError(
            f"after ? there are {', '.join(OPTIONS)}, and nothing else; in a password ? is written %3F"
        )
    user, _, where = parts.netloc.rpartition("@")
    username, _, password = user.partition(":")
    path = unquote(parts.path)
    service, database = "", options.get("db", "")
    if kind == "sentinel":
        service, _, rest = path.strip("/").partition("/")
        database = rest or database
        if not service:
            raise ValueError("after the Sentinels it must name their service, as in /mymaster")
    elif kind != "unix":
        database = path.strip("/") or database
    if not (database or "0").isdecimal():
        raise ValueError("a database is a number")
    if kind == "cluster" and database not in ("", "0"):
        raise ValueError("a cluster has no database but 0")
    return Address(
        kind,
        _endpoints(kind, where, path),
        Login(unquote(username) or None, unquote(password) or None),
        Login(options.get("sentinel_username"), options.get("sentinel_password")),
        int(database or 0),
        service,
        _tls(options) if parts.scheme.startswith("rediss") else None,
    )


def _endpoints(kind: Kind, where: str, path: str) -> Sequence[Endpoint]:
    if kind == "unix":
        if len(path) < 2:
            raise ValueError("it names no socket")
        return [Endpoint(path)]
    port = SENTINEL_PORT if kind == "sentinel" else PORT
    endpoints = [_endpoint(one, port) for one in where.split(",")]
    if kind == "single" and len(endpoints) > 1:
        raise ValueError("several hosts need redis+sentinel:// or redis+cluster://")
    return endpoints


def _endpoint(text: str, port: int) -> Endpoint:
    host, colon, number = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    if not colon:
        host, number = text, str(port)
    host = host.removeprefix("[").removesuffix("]") or "localhost"
    if not number.isdecimal() or not 0 < int(number) < 65536:
        raise ValueError("a port is a number from 1 to 65535")
    return Endpoint(host, int(number))


def _tls(options: Mapping[str, str]) -> ssl.SSLContext:
    verify = options.get("ssl_cert_reqs", "required")
    if verify not in ("required", "none"):
        raise ValueError('ssl_cert_reqs is "required" or "none"')
    for name in _FILES:
        if name in options and not Path(options[name]).is_file():
            raise ValueError(f"{name}: there is no file {options[name]}")
    context = ssl.create_default_context(cafile=options.get("ssl_ca_certs"))
    if verify == "none":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if "ssl_certfile" in options:
        context.load_cert_chain(options["ssl_certfile"], options.get("ssl_keyfile"))
    return context
