"""An offer as one TypeScript module: an interface for each class, and `AppRouter` for tRPC's clients.

The module imports types alone; the only thing it holds at run time is `schemaHash`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import define, field, frozen

from adohub.typegen.jsonschema import schema_hash
from adohub.typegen.router import Offer, Operation
from adohub.typegen.shapes import (
    ANY_OBJECT,
    PUBLICATION_PARTS,
    TEXT,
    WHOLE_PARTS,
    AllOf,
    AnyOf,
    Constant,
    Definition,
    Kind,
    ListOf,
    MapOf,
    ObjectOf,
    OneOf,
    Part,
    Plain,
    Publication,
    Ref,
    RowOf,
    Shape,
    Tracked,
    Whole,
    sent_shape,
)
from adohub.typegen.trpc import DIALECTS, Dialect, TrpcVersion
from adohub.version import __version__

_MADE_BY = "// Made by adohub "

HEADER = f"{_MADE_BY}{__version__} with `adohub typegen`. Do not edit; make it anew.\n"
"""The first line of the module: the only one that another version of adohub must write otherwise."""

_KINDS: Mapping[Kind, str] = {
    "anything": "unknown",
    "text": "string",
    "integer": "number",
    "number": "number",
    "truth": "boolean",
    "null": "null",
    "octets": "string",
}

_HASH = """
/** What `hub.info` says as `schemaHash` as long as these are the hub's types. */
export const schemaHash = '{schema_hash}';

/** An event of a `tracked.*` subscription, with its id. */
export type Tracked<T> = {{ id: string; data: T }};
"""

_UNDECLARED = """\

/** An event of a topic that nobody has declared. */
export type UndeclaredEvent = {event};

/** An event to publish, of a topic that nobody has declared. */
export type UndeclaredPublishRequest = {request};
"""


def typescript(offer: Offer, trpc: TrpcVersion = "11") -> str:
    """The module's text, for @trpc/server of this version; the same offer gives the same text."""
    dialect = DIALECTS[trpc]
    out = _Side(offer.names.out, offer)
    into = _Side(offer.names.into, offer, incoming=True)
    return "".join(
        [
            HEADER,
            "\n",
            dialect.with_dates if offer.dates else dialect.plain,
            _HASH.format(schema_hash=schema_hash(offer)),
            *_interfaces(offer, out, into),
            *_events(offer, out, into),
            *_router(offer.operations, dialect, out, into),
        ]
    )


def body(text: str) -> str:
    """A module's text without what tells which version of adohub has made it."""
    first, _, rest = text.partition("\n")
    return rest if first.startswith(_MADE_BY) else text


@frozen
class _Side:
    """What comes out of the hub, or is `incoming`, in TypeScript's words."""

    names: Mapping[type[Any], str]
    offer: Offer
    incoming: bool = False

    def text(self, shape: Shape) -> str:  # noqa: PLR0911 - a line for each shape
        """The type of `shape`."""
        match shape:
            case Plain("time"):
                return "Date" if self.offer.dates else "string"
            case Plain(kind):
                return _KINDS[kind]
            case OneOf(values):
                return " | ".join(map(_literal, values)) or "never"
            case ListOf(item):
                return f"{self._inner(item)}[]"
            case RowOf(items):
                return f"[{', '.join(map(self.text, items))}]"
            case MapOf(key, value):
                record = f"Record<{self.text(key)}, {self.text(value)}>"
                return record if key == TEXT else f"Partial<{record}>"
            case AnyOf(members):
                return " | ".join(map(self.text, members)) or "never"
            case AllOf(members):
                return " & ".join(map(self._inner, members))
            case ObjectOf(parts):
                return f"{{ {'; '.join(map(self.part, parts))} }}" if parts else "{}"
            case _:
                return self._name(shape)

    def _name(self, shape: Ref | Tracked | Whole | Publication) -> str:
        match shape:
            case Ref(cls):
                return self.names[cls]
            case Tracked(data):
                return f"Tracked<{self.text(data)}>"
            case Whole():
                return "HubEvent | UndeclaredEvent" if self.offer.undeclared else "HubEvent"
            case Publication():
                undeclared = " | UndeclaredPublishRequest" if self.offer.undeclared else ""
                return f"PublishRequest{undeclared}"

    def _inner(self, shape: Shape) -> str:
        """The type of `shape`, where it is a part of another's."""
        text = self.text(shape)
        is_joined = isinstance(shape, AnyOf | AllOf) or (
            " | " in text and isinstance(shape, OneOf | Whole | Publication)
        )
        return f"({text})" if is_joined else text

    def part(self, part: Part) -> str:
        """A member of an object type."""
        if self.incoming:
            return _member(part.name, self.text(part.shape), optional=not part.required)
        return _member(part.name, self.text(sent_shape(part)), optional=not part.sent)

    def interface(self, definition: Definition) -> str:
        """The interface of a class."""
        lines = [f"\n{_tsdoc(definition.doc)}export interface {self.names[definition.cls]} {{"]
        lines += [f"{_tsdoc(part.doc, '  ')}  {self.part(part)};" for part in definition.parts]
        return "\n".join([*lines, "}\n"])

    def whole(self, topic: str, payload: str, parts: Sequence[Part]) -> str:
        """An object type of `parts`, of which `topic` and `payload` are told here."""
        told = {"topic": topic, "payload": payload}
        members = (
            _member(part.name, told[part.name]) if part.name in told else self.part(part) for part in parts
        )
        return f"{{ {'; '.join(members)} }}"


def _interfaces(offer: Offer, out: _Side, into: _Side) -> Iterator[str]:
    """Every class: as it comes out, and as it goes in where it is called otherwise."""
    texts: dict[str, str] = {}
    for side in (into, out):
        texts |= {
            side.names[definition.cls]: side.interface(definition)
            for definition in offer.definitions
            if definition.cls in side.names
        }
    yield from (text for _, text in sorted(texts.items()))


def _events(offer: Offer, out: _Side, into: _Side) -> Iterator[str]:
    """Topics and their payloads, and the events that these are in."""
    published = [topic for topic in offer.topics if topic.published]
    yield _by_topic(
        "Events",
        "What subscribers get, by topic.",
        ((topic.name, out.text(topic.payload)) for topic in offer.topics),
    )
    yield _by_topic(
        "EventInputs",
        "What may be published, by topic.",
        ((topic.name, into.text(topic.payload)) for topic in published),
    )
    yield _for_each_topic(
        "HubEvent", "An event whole, told by its topic.", "Events", out.whole("K", "Events[K]", WHOLE_PARTS)
    )
    yield _for_each_topic(
        "PublishRequest",
        "An event to publish, told by its topic.",
        "EventInputs",
        into.whole("K", "EventInputs[K]", PUBLICATION_PARTS),
    )
    if offer.undeclared:
        yield _UNDECLARED.format(
            event=out.whole("string", out.text(ANY_OBJECT), WHOLE_PARTS),
            request=into.whole("string", into.text(ANY_OBJECT), PUBLICATION_PARTS),
        )


def _by_topic(name: str, doc: str, payloads: Iterable[tuple[str, str]]) -> str:
    members = "".join(f"  {_quoted(topic)}: {payload};\n" for topic, payload in payloads)
    return f"\n{_tsdoc(doc)}export interface {name} {{\n{members}}}\n"


def _for_each_topic(name: str, doc: str, payloads: str, event: str) -> str:
    """A type that is told by its topic: a union over all of them, or over those that are asked for."""
    return (
        f"\n{_tsdoc(doc)}"
        f"export type {name}<T extends keyof {payloads} = keyof {payloads}> = {{\n"
        f"  [K in T]: {event};\n"
        f"}}[T];\n"
    )


# ── the router ───────────────────────────────────────────────────────────────────────────────────────────


@define
class _Namespace:
    """A node of the router: a procedure, or what is below this name. tRPC's types cannot have both here."""

    operation: Operation | None = None
    inner: dict[str, _Namespace] = field(factory=dict)
    hidden: list[str] = field(factory=list)

    def add(self, operation: Operation) -> None:
        """Put `operation` where its path leads; what is below a procedure is `hidden` there."""
        node = self
        for name in operation.path.split("."):
            node = node.inner.setdefault(name, _Namespace())
            if node.operation is not None:
                node.hidden.append(operation.path)
                return
        node.operation = operation


def _router(operations: Sequence[Operation], dialect: Dialect, out: _Side, into: _Side) -> Iterator[str]:
    root = _Namespace()
    for operation in operations:  # in order of their paths: what hides comes before what it hides
        root.add(operation)
    yield "\n/** Every procedure of the hub: what a tRPC client is made for. */\n"
    yield "export type AppRouter = Router<{\n"
    yield from _below(root, "  ", dialect, out, into)
    yield "}>;\n"


def _below(node: _Namespace, indent: str, dialect: Dialect, out: _Side, into: _Side) -> Iterator[str]:
    for name, below in node.inner.items():
        operation = below.operation
        if operation is None:
            yield f"{indent}{name}: {dialect.opening}\n"
            yield from _below(below, indent + "  ", dialect, out, into)
            yield f"{indent}{dialect.closing};\n"
        else:
            yield f"{_tsdoc(operation.doc, indent)}{indent}{name}: {_procedure(operation, out, into)};\n"
        for path in below.hidden:
            yield f"{indent}// {path} has no type: it is below a procedure, where tRPC has no place for it.\n"


def _procedure(operation: Operation, out: _Side, into: _Side) -> str:
    takes = "void" if operation.input is None else into.text(operation.input)
    if operation.input is not None and operation.optional:
        takes += " | void"
    return f"{operation.kind.capitalize()}<{takes}, {out.text(operation.output)}>"


# ── words ────────────────────────────────────────────────────────────────────────────────────────────────


def _member(name: str, type_: str, *, optional: bool = False) -> str:
    key = name if re.fullmatch(r"[A-Za-z_$][\w$]*", name, re.ASCII) else _quoted(name)
    return f"{key}{'?' if optional else ''}: {type_}"


def _literal(value: Constant) -> str:
    return _quoted(value) if isinstance(value, str) else json.dumps(value)


def _quoted(text: str) -> str:
    inner = json.dumps(text)[1:-1].replace('\\"', '"').replace("'", "\\'")
    return f"'{inner}'"


def _tsdoc(doc: str, indent: str = "") -> str:
    """A comment that says `doc`, whatever that holds; nothing if there is nothing to say."""
    lines = doc.replace("*/", "*\\/").splitlines()
    if not lines:
        return ""
    if len(lines) == 1:
        return f"{indent}/** {lines[0]} */\n"
    inner = "".join(f"{indent} * {line}".rstrip() + "\n" for line in lines)
    return f"{indent}/**\n{inner}{indent} */\n"
