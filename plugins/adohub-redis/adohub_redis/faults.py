"""What goes wrong with Redis, in words for an operator, and whether trying again may help."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import anyio
from coredis import exceptions

from adohub import StorageError
from adohub_redis.address import Endpoint


class UnreachableError(Exception):
    """It does not answer, or is not the one to ask just now: another connection may do."""


_PASSING = (
    exceptions.ConnectionError,
    exceptions.ReadOnlyError,
    exceptions.ClusterDownError,
    exceptions.MovedError,
    exceptions.AskError,
    exceptions.TryAgainError,
    TimeoutError,
    OSError,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.EndOfStream,
)

_PASSING_CODES = ("LOADING", "MASTERDOWN", "BUSY", "NOREPLICAS", "UNBLOCKED", "CLUSTERDOWN")
"""How answers begin that say so of themselves (https://redis.io/docs/latest/develop/reference/protocol-spec/)."""

_WORDS: Mapping[type[BaseException], str] = {
    exceptions.AuthenticationFailureError: "refuses the user or password of storage.redis.url",
    exceptions.AuthenticationRequiredError: "wants a password: put one into storage.redis.url",
    exceptions.AuthorizationError: "does not let this user do all that adohub needs (see docs/cluster.md)",
    exceptions.ReadOnlyError: "is a replica just now",
    exceptions.BusyLoadingError: "is loading its data",
    TimeoutError: "does not answer",
    exceptions.ConnectionError: "cannot be reached",
    OSError: "cannot be reached",
    anyio.BrokenResourceError: "cannot be reached",
    anyio.ClosedResourceError: "cannot be reached",
    anyio.EndOfStream: "cannot be reached",
}

_CODES: Mapping[str, str] = {
    "OOM ": "has no memory left: raise its maxmemory, or lower storage.max_events",
    "maxmemory": "has no memory left: raise its maxmemory, or lower storage.max_events",
    "ACL failure in script": "does not let this user do all that adohub needs (see docs/cluster.md)",
    "MISCONF": "cannot write to its disk, and takes nothing",
}


def words(endpoint: Endpoint, error: BaseException) -> str:
    """What `error` says of the server at `endpoint`; at most a line, and never a password."""
    text = str(error).partition("\n")[0][:200]
    said = next((said for kind, said in _WORDS.items() if isinstance(error, kind)), None) or next(
        (said for code, said in _CODES.items() if code in text), f"answers: {text}"
    )
    return f"Redis at {endpoint} {said}"


@contextmanager
def translated(endpoint: Endpoint) -> Iterator[None]:
    """What the client says of `endpoint` is raised as UnreachableError, or as StorageError if it lasts."""
    try:
        yield
    except exceptions.NoScriptError:
        raise
    except exceptions.AuthenticationError as error:
        raise StorageError(words(endpoint, error)) from error
    except _PASSING as error:
        raise UnreachableError(words(endpoint, error)) from error
    except exceptions.RedisError as error:
        said = words(endpoint, error)
        if str(error).startswith(_PASSING_CODES):
            raise UnreachableError(said) from error
        raise StorageError(said) from error
