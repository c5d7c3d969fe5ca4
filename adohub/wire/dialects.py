"""All the ways to say the same with one transformer, and which transformer a connection is spoken to with."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from adohub.errors import PeerError
from adohub.notes import Path
from adohub.wire.binary import BinaryFrames
from adohub.wire.dialect import JSON_FRAMES, PLAIN, Dialect, TextFrames, Transformer
from adohub.wire.http import Bodies
from adohub.wire.jsonl import JsonLines
from adohub.wire.noting import Noting
from adohub.wire.sse import ServerSentEvents
from adohub.wire.superjson import Superjson


@frozen(eq=False)
class Dialects:
    """The dialects of WebSockets, event streams and HTTP bodies that share a transformer.

    `at` is where in what it makes of a value that value itself lies.
    """

    transformer: Transformer
    noting: Noting
    at: Path = ()
    frames: Dialect = field(init=False)
    binary: Dialect = field(init=False)
    events: ServerSentEvents = field(init=False)
    bodies: Bodies = field(init=False)
    lines: JsonLines = field(init=False)

    @frames.default
    def _(self) -> Dialect:
        return JSON_FRAMES if self.transformer is PLAIN else TextFrames(self.transformer)

    @binary.default
    def _(self) -> Dialect:
        return BinaryFrames(self.transformer, self.noting, self.at)

    @events.default
    def _(self) -> ServerSentEvents:
        return ServerSentEvents(self.transformer)

    @bodies.default
    def _(self) -> Bodies:
        return Bodies(self.transformer)

    @lines.default
    def _(self) -> JsonLines:
        return JsonLines(self.transformer)


@frozen(eq=False)
class Choice:
    """The hub's transformers by name. Who says `?transformer=NAME` gets that one, others the `usual`."""

    offered: Mapping[str, Dialects]
    usual: str

    @property
    def standard(self) -> Dialects:
        """What those who ask for nothing are spoken to in."""
        return self.offered[self.usual]

    def by(self, query: Mapping[str, str]) -> Dialects:
        """What the peer with this query is spoken to in. Raises PeerError BAD_REQUEST."""
        name = query.get("transformer", self.usual)
        found = self.offered.get(name)
        if found is None:
            known = " or ".join(sorted(self.offered))
            raise PeerError("BAD_REQUEST", f'there is no transformer "{name[:80]}", but {known}')
        return found


def every_choice(noting: Noting, usual: str) -> Choice:
    """All transformers; `usual` is the name of the one that the configuration asks for."""
    offered = {"none": Dialects(PLAIN, noting), "superjson": Dialects(Superjson(noting), noting, ("json",))}
    return Choice(offered, usual)
