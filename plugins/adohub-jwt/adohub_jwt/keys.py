"""The keys that tokens may be signed with, and how they change.

Law: keys that are there stay in use until better ones are: no broken file, no server that is away takes them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import structlog
import trio
from joserfc import jwk
from joserfc.errors import JoseError

from adohub import PeerError, Publish
from adohub_jwt.fetching import FETCH_S, FetchFailed, fetch

Key = jwk.OctKey | jwk.RSAKey | jwk.ECKey | jwk.OKPKey

LEAST_SECRET_BYTES = 32
MOST_KEYS = 100
LOOK_S = 1.0
"""How often a file is looked at at most, in seconds."""

FIRST_REST_S, LONGEST_REST_S = 1.0, 60.0
"""How long it rests after a fetch that failed, in seconds: longer each time."""

_log = structlog.get_logger("adohub.jwt")


class Keys(Protocol):
    """Where keys are looked up."""

    @property
    def version(self) -> int:
        """Another number whenever they have changed."""
        ...

    async def find(self, kid: str | None) -> Sequence[Key]:
        """Those that a token with this `kid` can be signed with: without one, all.

        Raises PeerError SERVICE_UNAVAILABLE if there are no keys to look among.
        """
        ...


def _chosen(keys: Sequence[Key], kid: str | None) -> Sequence[Key]:
    """A key without a name of its own may be meant by any."""
    return keys if kid is None else [key for key in keys if key.kid in (None, kid)]


class FixedKeys:
    """What was given once."""

    version = 0

    def __init__(self, keys: Sequence[Key]) -> None:
        self._keys = keys

    async def find(self, kid: str | None) -> Sequence[Key]:
        """See `Keys`."""
        return _chosen(self._keys, kid)


class FileKeys:
    """What a file holds, read again when it has changed."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._keys = read_key_file(path)
        self._seen = _stamp(path)
        self._look_at = -math.inf
        self.version = 0

    async def find(self, kid: str | None) -> Sequence[Key]:
        """See `Keys`."""
        now = trio.current_time()
        if now >= self._look_at:
            self._look_at = now + LOOK_S
            self._look()
        return _chosen(self._keys, kid)

    def _look(self) -> None:
        seen = _stamp(self._path)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._keys = read_key_file(self._path)
        except ValueError as error:
            _log.error("the keys of before stay in use", file=self._path, error=str(error))
        else:
            self.version += 1
            _log.info("the keys have been read again", file=self._path, keys=len(self._keys))


class FetchedKeys:
    """What a URL gives. `run` is the one task that fetches, however many ask."""

    def __init__(self, url: str, *, max_age_s: float, refetch_s: float, stale_s: float) -> None:
        self._url = url
        self._max_age_s = max_age_s
        self._refetch_s = refetch_s
        self._stale_s = stale_s
        self._keys: Sequence[Key] = ()
        self._fetched_at = -math.inf
        self._tried_at = -math.inf
        self._wanted = trio.Event()
        self._tried = trio.Event()
        self.version = 0

    async def run(self, publish: Publish) -> None:
        """The source: it has nothing to publish."""
        del publish
        rest_s = FIRST_REST_S
        while True:
            if await self._fetch():
                rest_s, next_s = FIRST_REST_S, self._max_age_s
            else:
                rest_s, next_s = min(2 * rest_s, LONGEST_REST_S), rest_s
            self._tried.set()
            self._tried = trio.Event()
            self._wanted = trio.Event()
            with trio.move_on_after(next_s):
                await self._wanted.wait()

    async def _fetch(self) -> bool:
        self._tried_at = trio.current_time()
        try:
            keys = parse_keys(await fetch(self._url))
        except (FetchFailed, ValueError) as error:
            _log.error("keys cannot be fetched; those of before stay in use", url=self._url, error=str(error))
            return False
        self._fetched_at = trio.current_time()
        if [key.as_dict() for key in keys] != [key.as_dict() for key in self._keys]:
            self._keys = keys
            self.version += 1
            _log.info("keys fetched", url=self._url, keys=len(keys))
        return True

    async def find(self, kid: str | None) -> Sequence[Key]:
        """See `Keys`. For a `kid` that is not known they are fetched once more, unless that was just now."""
        if trio.current_time() - self._fetched_at > self._stale_s:
            raise PeerError("SERVICE_UNAVAILABLE", "the keys to check tokens with are not there; try again")
        found = _chosen(self._keys, kid)
        if found or trio.current_time() - self._tried_at < self._refetch_s:
            return found
        self._wanted.set()
        with trio.move_on_after(FETCH_S):
            await self._tried.wait()
        return _chosen(self._keys, kid)


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────


def _stamp(path: str) -> tuple[int, int, int] | None:
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error


def read_secret_file(path: str) -> Sequence[Key]:
    """The secret in a file. Raises ValueError."""
    secret = _read(path).rstrip(b"\r\n")
    if len(secret) < LEAST_SECRET_BYTES:
        raise ValueError(
            f"{path}: a secret has at least {LEAST_SECRET_BYTES} bytes; openssl rand -hex 32 makes one"
        )
    return [jwk.OctKey.import_key(secret)]


def read_key_file(path: str) -> Sequence[Key]:
    """The public keys in a file: one in PEM, a JWK or a set of them. Raises ValueError."""
    text = _read(path)
    try:
        keys = parse_keys(text) if text.lstrip().startswith(b"{") else [_pem(text)]
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return keys


def parse_keys(text: bytes) -> Sequence[Key]:
    """The public keys for signatures in a JWK or a set of them (RFC 7517). Raises ValueError.

    Of a set those are passed over that are not understood (section 5), or are for something else.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError("this is no JSON") from error
    if not isinstance(value, dict):
        raise ValueError("expected a JWK, or an object with keys")
    listed = value.get("keys", [value])
    if not isinstance(listed, list) or len(listed) > MOST_KEYS:
        raise ValueError(f"expected at most {MOST_KEYS} keys")
    keys = [key for each in listed if (key := _jwk(each)) is not None]
    if not keys:
        raise ValueError("there is no public key for signatures in it")
    return keys


def _jwk(value: Any) -> Key | None:
    if not isinstance(value, dict) or value.get("use", "sig") != "sig" or value.get("kty") == "oct":
        return None
    try:
        key = jwk.import_key(value)
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return _public(key)


def _pem(text: bytes) -> Key:
    for kind in (jwk.RSAKey, jwk.ECKey, jwk.OKPKey):
        try:
            return _public(kind.import_key(text))
        except PrivateKey:
            raise
        except (JoseError, TypeError, ValueError, AttributeError):
            continue
    raise ValueError("expected a public key in PEM, or JSON")


class PrivateKey(ValueError):
    """What should be given to nobody."""


def _public(key: Key) -> Key:
    if getattr(key, "is_private", False):
        raise PrivateKey("this is a private key: give the public one, and keep this where tokens are made")
    return key
