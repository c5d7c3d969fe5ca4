"""What a hub offers, as types: every topic, query, mutation and subscription, in order of their names.

Made of the registry alone, so whatever a plugin or the configuration declares is in it; the order in which
plugins were loaded is not.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from attrs import define, field, frozen

from adohub.config import Config
from adohub.hub.admission import SubscriptionInput, by_field, derived_input
from adohub.plugin.contracts import Channel, Procedure, Topic
from adohub.plugin.registry import Registry
from adohub.topics import is_wild, matches
from adohub.typegen.names import Names, name_all, references
from adohub.typegen.shapes import (
    ANY_OBJECT,
    ANYTHING,
    AllOf,
    Definition,
    ObjectOf,
    Part,
    Plain,
    Shape,
    Shapes,
    Tracked,
    Whole,
    any_of,
    constant,
)

OperationKind = Literal["query", "mutation", "subscription"]


@frozen
class TopicTypes:
    """A topic's payload. `published`: anyone may, if they have the right; else its own procedures do."""

    name: str
    key: str | None
    payload: Shape
    published: bool


@frozen
class Operation:
    """A path and its types. `input` None means none; where `optional`, leaving it out is as good as `{}`."""

    path: str
    kind: OperationKind
    input: Shape | None
    optional: bool
    output: Shape
    doc: str


@frozen
class Offer:
    """All of it. `dates`: times travel as dates; `undeclared`: any other topic may be published, too."""

    topics: Sequence[TopicTypes]
    operations: Sequence[Operation]
    definitions: Sequence[Definition]
    names: Names
    dates: bool
    undeclared: bool


def offer(registry: Registry, config: Config) -> Offer:
    """What a hub of this `config` offers. Raises TypeError for a type without JSON form."""
    return _Survey(registry, config.topics.allow_undeclared).offer(
        dates=config.server.transformer == "superjson"
    )


@define
class _Survey:
    _registry: Registry
    _undeclared: bool
    _shapes: Shapes = field(factory=Shapes, init=False)

    def offer(self, *, dates: bool) -> Offer:
        topics = [self._topic(topic) for _, topic in sorted(self._registry.topics.items())]
        operations = [
            *(self._procedure(one) for one in self._registry.procedures.values()),
            *(self._channel(path, *one) for path, one in self._registry.subscriptions.items()),
        ]
        operations.sort(key=lambda operation: operation.path)
        definitions = self._in_order(topics, operations)
        return Offer(
            topics,
            operations,
            definitions,
            name_all(
                definitions,
                out=self._reached(_outputs(topics, operations)),
                into=self._reached(_inputs(topics, operations)),
            ),
            dates=dates,
            undeclared=self._undeclared,
        )

    def _in_order(self, topics: Sequence[TopicTypes], operations: Sequence[Operation]) -> list[Definition]:
        """The definitions in the order in which one meets them, not in that in which they were made."""
        met = self._reached([*_outputs(topics, operations), *_inputs(topics, operations)])
        return [self._shapes.definitions[cls] for cls in met]

    def _reached(self, shapes: Iterable[Shape]) -> dict[type[Any], None]:
        """The classes that `shapes` refer to, and those that these refer to, in order."""
        found: dict[type[Any], None] = {}
        ahead = [cls for shape in shapes for cls in references(shape)][::-1]
        while ahead:
            cls = ahead.pop()
            if cls not in found:
                found[cls] = None
                parts = self._shapes.definitions[cls].parts
                ahead += [inner for part in parts for inner in references(part.shape)][::-1]
        return found

    # ── topics and procedures ────────────────────────────────────────────────────────────────────────

    def _topic(self, topic: Topic) -> TopicTypes:
        return TopicTypes(topic.name, topic.key, self._payload(topic), published=not topic.state_keys)

    def _payload(self, topic: Topic) -> Shape:
        return ANY_OBJECT if topic.type is None else self._shapes.of(topic.type)

    def _procedure(self, procedure: Procedure) -> Operation:
        takes, optional = None, True
        if procedure.input is not None:
            takes = self._shapes.of(procedure.input)
            optional = not any(part.required for part in self._shapes.parts(procedure.input))
        gives = ANYTHING if procedure.output is None else self._shapes.of(procedure.output)
        doc = inspect.getdoc(procedure.run) or ""
        return Operation(procedure.path, procedure.kind, takes, optional, gives, doc)

    # ── subscriptions ────────────────────────────────────────────────────────────────────────────────

    def _channel(self, path: str, channel: Channel, tracked: bool) -> Operation:
        takes, optional = self._taken(channel)
        gives = self._given(channel)
        return Operation(
            path,
            "subscription",
            takes,
            optional,
            Tracked(gives) if tracked else gives,
            _told(channel),
        )

    def _taken(self, channel: Channel) -> tuple[Shape, bool]:
        shared = self._shapes.of(SubscriptionInput)
        if channel.input is not None:
            parts = self._shapes.parts(channel.input)
            own = self._shapes.of(channel.input)
        else:
            parts = self._shapes.parts(derived_input(channel), by_field)
            own = ObjectOf(parts)
        return AllOf((own, shared)) if parts else shared, not any(part.required for part in parts)

    def _given(self, channel: Channel) -> Shape:
        shape = Whole() if channel.whole else any_of(self._payloads(channel.topics or ("**",)))
        if channel.synced is not None:
            shape = any_of((shape, constant(channel.synced)))
        if channel.revised:
            shape = AllOf((shape, ObjectOf((Part("revision", Plain("integer")),))))
        return shape

    def _payloads(self, patterns: Sequence[str]) -> Iterable[Shape]:
        """Those of all topics that the channel may carry; of anything at all if there is none."""
        topics = self._registry.topics
        carried = [
            self._payload(topic)
            for name, topic in sorted(topics.items())
            if any(matches(pattern, name) for pattern in patterns)
        ]
        unknown = self._undeclared and any(is_wild(one) or one not in topics for one in patterns)
        return [*carried, *([ANY_OBJECT] if unknown or not carried else [])]


def _outputs(topics: Sequence[TopicTypes], operations: Sequence[Operation]) -> list[Shape]:
    return [*(topic.payload for topic in topics), *(one.output for one in operations)]


def _inputs(topics: Sequence[TopicTypes], operations: Sequence[Operation]) -> list[Shape]:
    return [
        *(topic.payload for topic in topics if topic.published),
        *(one.input for one in operations if one.input is not None),
    ]


_BEGINS = {
    "none": "",
    "last": " Begins with the newest of each key.",
    "all": " Begins with all that is kept.",
}


def _told(channel: Channel) -> str:
    """What a subscription of `channel` gets, in words."""
    carried = f"Carries {', '.join(channel.topics)}." if channel.topics else "Carries what its input chooses."
    begins = _BEGINS[channel.replay] if channel.synced is None else " Begins with all there is."
    ends = f" Completes with {channel.completes_on}." if channel.completes_on else ""
    return carried + begins + ends
