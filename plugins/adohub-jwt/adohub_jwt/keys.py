"""The keys that tokens may be signed with, and how they change.

Law: keys that are there stay in use until better ones are: no broken file, no server that is away takes them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import structlog
import trio

from adohub import PeerError, Publish
from adohub_jwt import fetching
from adohub_jwt.fetching import Fetcher, FetchFailed
from adohub_jwt.reading import Key, read_jwks, read_key_file

LOOK_S = 1.0
"""How often a file is looked at at most, in seconds."""

FIRST_REST_S, LONGEST_REST_S = 1.0, 60.0
"""How long it rests after a fetch that failed, in seconds: longer each time."""

_log = structlog.get_logger("adohub.jwt")


class Keys(Protocol):
    """Where keys are looked up."""

    def version(self) -> int:
        """Another number whenever they have changed; looks whether they have, if that is cheap."""
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

    def __init__(self, keys: Sequence[Key]) -> None:
        self._keys = keys

    def version(self) -> int:
        """See `Keys`."""
        return 0

    async def find(self, kid: str | None) -> Sequence[Key]:
        """See `Keys`."""
        return _chosen(self._keys, kid)


class FileKeys:
    """What a file holds, read again when it has changed."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._seen = _stamp(path)
        self._keys = read_key_file(path)
        self._look_at = -math.inf
        self._version = 0

    def version(self) -> int:
        """See `Keys`."""
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK_S
            self._look()
        return self._version

    async def find(self, kid: str | None) -> Sequence[Key]:
        """See `Keys`."""
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
            self._version += 1
            _log.info("the keys have been read again", file=self._path, keys=len(self._keys))


class FetchedKeys:
    """What a URL gives. `run` is the one task that fetches, however many ask."""

    def __init__(self, url: str, *, max_age_s: float, refetch_s: float, stale_s: float) -> None:
        self._url = url
        self._fetcher = Fetcher()
        self._max_age_s = max_age_s
        self._refetch_s = refetch_s
        self._stale_s = stale_s
        self._keys: Sequence[Key] = ()
        self._fetched_at = -math.inf
        self._tried_at = -math.inf
        self._is_trying = False
        self._wanted = trio.Event()
        self._tried = trio.Event()
        self._version = 0

    def version(self) -> int:
        """See `Keys`."""
        return self._version

    async def run(self, publish: Publish) -> None:
        """The source: it has nothing to publish."""
        del publish
        rest_s = FIRST_REST_S
        while True:
            if await self._try():
                rest_s, next_s = FIRST_REST_S, self._max_age_s
            else:
                rest_s, next_s = min(2 * rest_s, LONGEST_REST_S), rest_s
            with trio.move_on_after(next_s):
                await self._wanted.wait()

    async def _try(self) -> bool:
        """Fetch once; whoever waits for it goes on."""
        self._is_trying = True
        self._tried_at = trio.current_time()
        try:
            return await self._fetch()
        finally:
            self._is_trying = False
            self._wanted = trio.Event()
            self._tried.set()
            self._tried = trio.Event()

    async def _fetch(self) -> bool:
        try:
            keys = read_jwks(await self._fetcher.fetch(self._url))
        except (FetchFailed, ValueError) as error:
            _log.error("keys cannot be fetched; those of before stay in use", url=self._url, error=str(error))
            return False
        self._fetched_at = trio.current_time()
        if [key.as_dict() for key in keys] != [key.as_dict() for key in self._keys]:
            self._keys = keys
            self._version += 1
            _log.info("keys fetched", url=self._url, keys=len(keys))
        return True

    async def find(self, kid: str | None) -> Sequence[Key]:
        """See `Keys`. For a `kid` that is not known they are fetched once more, unless that was just now."""
        if self._are_stale or not _chosen(self._keys, kid):
            await self._newer()
        if self._are_stale:
            raise PeerError("SERVICE_UNAVAILABLE", "the keys to check tokens with are not there; try again")
        return _chosen(self._keys, kid)

    @property
    def _are_stale(self) -> bool:
        return trio.current_time() - self._fetched_at > self._stale_s

    async def _newer(self) -> None:
        """Wait for a fetch: the one that is under way, else one that is asked for, if it is time for one."""
        if not self._is_trying:
            if trio.current_time() - self._tried_at < self._refetch_s:
                return
            self._wanted.set()
        with trio.move_on_after(fetching.FETCH_S):
            await self._tried.wait()


def _stamp(path: str) -> tuple[int, int, int] | None:
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
