"""The answers of a batch line by line, each as soon as it is there: two notations of the same.

@trpc/client 11's `httpBatchStreamLink` reads JSON lines: first what there is to come, a promise for each
call, then each promise as it is kept. 10's `unstable_httpBatchStreamLink` reads one JSON object whose lines
are its members. In both every line ends with a newline; one that does not is not read.
"""

from __future__ import annotations

from typing import Protocol

from attrs import frozen

from adohub.wire.dialect import Transformer
from adohub.wire.encode import error_shape
from adohub.wire.http import Bodies, Letter, is_v10_stream
from adohub.wire.messages import Data, Failure


class Lines(Protocol):
    """How a stream of answers is written; `number` is that of a call in its batch."""

    def head(self, count: int) -> bytes:
        """What goes before the answers to so many calls."""
        ...

    def line(self, number: int, answer: Data | Failure) -> bytes:
        """One answer."""
        ...

    @property
    def end(self) -> bytes:
        """What goes after the last of them."""
        ...


@frozen
class JsonLines:
    """Version 11's. With a transformer each line is one value, and what it notes are paths into that line."""

    transformer: Transformer
    end = b""

    def head(self, count: int) -> bytes:
        """See `Lines`: `[0]` with `[null, 0, n]` is a value that promise n takes the place of."""
        promises = {str(number): [[0], [None, 0, number]] for number in range(count)}
        return self.transformer.value(promises) + b"\n"

    def line(self, number: int, answer: Data | Failure) -> bytes:
        """See `Lines`: `[n, 0, [[value]]]` keeps promise n with a value that holds no others."""
        if isinstance(answer, Failure):
            name, value = b'"error":', self.transformer.value(error_shape(answer))
            return self._kept(number, b"{" + name, value, b"}", "error")
        if answer.body is None:
            return self._kept(number, b"", self.transformer.value({"result": {}}), b"", "result")
        return self._kept(number, b'{"result":{"data":', answer.body, b"}}", "result.data")

    def _kept(self, number: int, before: bytes, value: bytes, after: bytes, path: str) -> bytes:
        before = b"[%d,0,[[%b" % (number, before)
        return self.transformer.embed(before, value, after + b"]]]", f"2.0.0.{path}") + b"\n"


MOST_REFUSALS = 1000
"""How many calls of one request are refused one by one; clients get no longer batch into an address."""


def whole_refusal(letter: Letter, failure: Failure, bodies: Bodies) -> bytes:
    """The body that refuses all of a request: one error, which clients take for each of their calls.

    Only version 10's stream reads nothing but its own lines.
    """
    if not is_v10_stream(letter):
        return bodies.answer(failure)
    lines = V10Lines(bodies)
    count = min(letter.path.count(",") + 1, MOST_REFUSALS)
    return b"".join([*(lines.line(number, failure) for number in range(count)), lines.end])


class V10Lines:
    """Version 10's: the number stands in quotes right behind the line's first character."""

    end = b"}\n"

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self._is_first = True

    def head(self, count: int) -> bytes:
        """See `Lines`."""
        del count
        return b""

    def line(self, number: int, answer: Data | Failure) -> bytes:
        """See `Lines`."""
        opening, self._is_first = b"{" if self._is_first else b",", False
        return b'%b"%d":%b\n' % (opening, number, self._bodies.answer(answer))
