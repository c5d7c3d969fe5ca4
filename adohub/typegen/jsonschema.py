"""An offer as one JSON document, with JSON Schemas (draft 2020-12) in it, for everyone who has no TypeScript.

Of it the schema hash is made, without what only people are told: it changes with every type, and with
nothing else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from adohub.typegen.router import Offer, Operation, TopicTypes
from adohub.typegen.shapes import (
    ANY_OBJECT,
    PUBLICATION_PARTS,
    TEXT,
    WHOLE_PARTS,
    AllOf,
    AnyOf,
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

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]

_KINDS: Mapping[Kind, Schema] = {
    "anything": {},
    "text": {"type": "string"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "truth": {"type": "boolean"},
    "null": {"type": "null"},
    "time": {"type": "string", "format": "date-time"},
    "octets": {"type": "string", "contentEncoding": "base64"},
}

_EVENT, _REQUEST = "HubEvent", "PublishRequest"


def document(offer: Offer) -> dict[str, Any]:
    """`{schemaHash, transformer, topics, procedures, channels, $defs}`.

    Refer into it: `{"$ref": "#/topics/task.progress/payload"}`. Schemas are of what JSON says, times as text,
    also where the transformer makes dates of them.
    """
    return {
        "$schema": DIALECT,
        "title": "adohub",
        "schemaHash": schema_hash(offer),
        **_described(offer, told=True),
    }


def schema_hash(offer: Offer) -> str:
    """What tells these types from any others: 64 hexadecimal digits."""
    text = json.dumps(_described(offer, told=False), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _described(offer: Offer, *, told: bool) -> dict[str, Any]:
    out = _Side(offer.names.out, told)
    into = _Side(offer.names.into, told, incoming=True)
    called = [one for one in offer.operations if one.kind != "subscription"]
    subscribed = [one for one in offer.operations if one.kind == "subscription"]
    return {
        "transformer": "superjson" if offer.dates else "none",
        "topics": {topic.name: _topic(topic, out, into) for topic in offer.topics},
        "procedures": {one.path: _operation(one, out, into, told) for one in called},
        "channels": {one.path: _operation(one, out, into, told) for one in subscribed},
        "$defs": dict(sorted(_definitions(offer, out, into).items())),
    }


@frozen
class _Side:
    """What comes out of the hub, or is `incoming`, as schemas; `told`: with what they are about."""

    names: Mapping[type[Any], str]
    told: bool
    incoming: bool = False

    def schema(self, shape: Shape) -> Schema:  # noqa: PLR0911 - a line for each shape
        """The schema of `shape`."""
        match shape:
            case Plain(kind):
                return dict(_KINDS[kind])
            case OneOf(values):
                return {"enum": [*values]} if values else {"not": {}}
            case ListOf(item):
                return {"type": "array", "items": self.schema(item)}
            case RowOf(items):
                size = len(items)
                places = {"prefixItems": [*map(self.schema, items)]} if items else {}
                return {"type": "array", **places, "minItems": size, "maxItems": size}
            case MapOf(key, value):
                keys = {} if key == TEXT else {"propertyNames": self.schema(key)}
                return {"type": "object", **keys, "additionalProperties": self.schema(value)}
            case AnyOf(members):
                return {"anyOf": [*map(self.schema, members)]} if members else {"not": {}}
            case AllOf(members):
                return {"allOf": [*map(self.schema, members)]}
            case ObjectOf(parts):
                return self._object(parts)
            case _:
                return self._named(shape)

    def _named(self, shape: Ref | Tracked | Whole | Publication) -> Schema:
        match shape:
            case Ref(cls):
                return _reference(self.names[cls])
            case Tracked(data):
                return self._object((Part("id", TEXT), Part("data", data)))
            case Whole():
                return _reference(_EVENT)
            case Publication():
                return _reference(_REQUEST)

    def _object(self, parts: Sequence[Part]) -> Schema:
        needed = [part.name for part in parts if (part.required if self.incoming else part.sent)]
        return {
            "type": "object",
            "properties": {part.name: self._part(part) for part in parts},
            **({"required": needed} if needed else {}),
        }

    def _part(self, part: Part) -> Schema:
        schema = self.schema(part.shape if self.incoming else sent_shape(part))
        return schema | ({"description": part.doc} if part.doc and self.told else {})

    def definition(self, definition: Definition) -> Schema:
        """The schema of a class."""
        told = {"description": definition.doc} if definition.doc and self.told else {}
        return told | self._object(definition.parts)

    def whole(self, topic: Schema, payload: Shape, parts: Sequence[Part]) -> Schema:
        """An object of `parts`, of which `topic` and `payload` are told here."""
        schema = self._object(parts)
        schema["properties"] |= {"topic": topic, "payload": self.schema(payload)}
        return schema


def _reference(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _definitions(offer: Offer, out: _Side, into: _Side) -> dict[str, Schema]:
    schemas = {
        side.names[definition.cls]: side.definition(definition)
        for side in (into, out)
        for definition in offer.definitions
        if definition.cls in side.names
    }
    events = [_told_by_topic(one, out, WHOLE_PARTS) for one in offer.topics]
    requests = [_told_by_topic(one, into, PUBLICATION_PARTS) for one in offer.topics if one.published]
    if offer.undeclared:
        other = {"type": "string", "not": {"enum": [topic.name for topic in offer.topics]}}
        events.append(out.whole(other, ANY_OBJECT, WHOLE_PARTS))
        requests.append(into.whole(other, ANY_OBJECT, PUBLICATION_PARTS))
    return schemas | {_EVENT: {"anyOf": events}, _REQUEST: {"anyOf": requests}}


def _told_by_topic(topic: TopicTypes, side: _Side, parts: Sequence[Part]) -> Schema:
    return side.whole({"const": topic.name}, topic.payload, parts)


def _topic(topic: TopicTypes, out: _Side, into: _Side) -> dict[str, Any]:
    published = {"publish": into.schema(topic.payload)} if topic.published else {}
    return {"key": topic.key, "payload": out.schema(topic.payload), **published}


def _operation(operation: Operation, out: _Side, into: _Side, told: bool) -> dict[str, Any]:
    return {
        **({"description": operation.doc} if operation.doc and told else {}),
        "kind": operation.kind,
        "input": None if operation.input is None else into.schema(operation.input),
        "inputRequired": not operation.optional,
        "output": out.schema(operation.output),
    }
