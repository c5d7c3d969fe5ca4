"""The head of an HTTP response as bytes: nothing that anybody gives can break out of its line."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from email.utils import formatdate
from functools import cache, lru_cache
from http import HTTPStatus

FRAMING = frozenset(("connection", "content-length", "transfer-encoding"))
"""Headers that say where a response ends: only the server itself writes them."""

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t -~\x80-\xff]*")


def response_head(status: int, headers: Iterable[tuple[str, str]], framing: str) -> bytes:
    """The head with these headers; `framing` holds more of them, each line with its end.

    Raises ValueError: no final status, a name that is none or is the server's own, a value that has control
    characters (CR, LF) or is not latin-1.
    """
    lines = [_status_line(status), f"date: {_date(int(time.time()))}\r\n"]
    for name, value in headers:
        if not _NAME.fullmatch(name) or name in FRAMING:
            raise ValueError(f"{name!r} is no header that a response may have")
        if not _VALUE.fullmatch(value):
            raise ValueError(f"the header {name} has a value that cannot be sent")
        lines.append(f"{name}: {value}\r\n")
    lines += (framing, "\r\n")
    return "".join(lines).encode("latin-1")


@cache
def _status_line(status: int) -> str:
    if status not in range(200, 600):
        raise ValueError(f"{status!r} is no status of a response")
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase if status in _KNOWN else 'Unknown'}\r\n"


_KNOWN = frozenset(map(int, HTTPStatus))


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)
