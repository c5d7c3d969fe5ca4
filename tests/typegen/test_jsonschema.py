"""JSON Schemas say what the wire takes and sends; the hash changes with types, and with nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import jsonschema
import orjson
import pytest
from attrs import field, frozen, make_class
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adohub.hub.intake import Intake
from adohub.model import now
from adohub.plugin.contracts import Channel, Procedure, PublishRequest, Topic
from adohub.plugin.loader import load
from adohub.structuring import StructureError, wire
from adohub.typegen import document, schema_hash
from tests.typegen.every import Circle, Colour, Every, Later, Outer, Square, Tree
from tests.typegen.making import config, offer_of, offered

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
WHOLE = st.integers(-5, 5)
NUMBER = WHOLE | st.floats(-5, 5, allow_nan=False)
MOMENTS = st.integers(0, 10**9).map(lambda s: datetime.fromtimestamp(s, UTC))
TREES = st.recursive(
    st.builds(Tree, TEXT, st.just([])),
    lambda inner: st.builds(Tree, TEXT, st.lists(inner, max_size=2)),
    max_leaves=3,
)
CIRCLES = st.builds(Circle, st.just("circle"), NUMBER)
FIGURES = CIRCLES | st.builds(Square, st.just("square"), NUMBER, MOMENTS)
EVERY = st.builds(
    Every,
    TEXT,
    st.builds(Later, MOMENTS, TREES),
    st.sampled_from(["it's", 'a "quote"', 3, -1, True, None]),
    st.sampled_from(Colour),
    st.none() | FIGURES,
    st.tuples(WHOLE, TEXT, st.none() | TREES),
    st.lists(FIGURES, max_size=2).map(tuple),
    st.lists(st.none() | NUMBER, max_size=2),
    st.dictionaries(TEXT, TREES, max_size=1),
    st.dictionaries(st.sampled_from(["one", "two"]), WHOLE),
    st.binary(max_size=3),
    st.none() | TEXT,
    st.booleans(),
    st.builds(Outer.Artifact, WHOLE),
    st.none(),
    st.none() | TEXT,
    st.sampled_from(["a", "b", None]),
    st.none() | NUMBER,
    st.integers(0, 3),
    MOMENTS,
)
STRAY: st.SearchStrategy[Any] = st.sampled_from([None, True, 0, 3, 1.5, "text", "circle", [], {}, ...])
UNTOLD = ('expected ISO 8601 time, got "', 'expected base64 text, got "')
"""What schemas leave to the hub."""


SchemaAt = Callable[..., jsonschema.Draft202012Validator]


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The document of a hub."""
    return document(offered(config(tmp_path_factory.mktemp("hub"))))


@pytest.fixture(scope="module")
def schema_at(described: Mapping[str, Any]) -> SchemaAt:
    """What holds at a path in the document."""

    def at(*path: str) -> jsonschema.Draft202012Validator:
        schema: Any = described
        for step in path:
            schema = schema[step]
        return jsonschema.Draft202012Validator({**schema, "$defs": described["$defs"]})

    return at


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


def replaced(value: Any, path: Sequence[Any], stray: Any) -> Any:
    """`value` with `stray` at `path`; without what is there if `stray` is Ellipsis, as far as a key is."""
    if not path:
        return None if stray is ... else stray
    first, *rest = path
    if isinstance(value, list):
        return [replaced(item, rest, stray) if at == first else item for at, item in enumerate(value)]
    if not rest and stray is ...:
        return {key: item for key, item in value.items() if key != first}
    return {key: replaced(item, rest, stray) if key == first else item for key, item in value.items()}


def faults(value: object) -> Sequence[str]:
    """What the hub has against `value` as an `Every`."""
    try:
        wire.structure(value, Every)
    except StructureError as error:
        return [fault.message for fault in error.faults]
    return ()


def test_every_schema_is_one(described: Mapping[str, Any]) -> None:
    for schema in described["$defs"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    for operation in [*described["procedures"].values(), *described["channels"].values()]:
        jsonschema.Draft202012Validator.check_schema(operation["output"])
        assert operation["input"] is not None or not operation["inputRequired"]


@given(every=EVERY)
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=50)
def test_what_is_published_is_what_the_schemas_say(every: Every, schema_at: SchemaAt) -> None:
    """Through the intake itself: what it takes as it goes in, what it stores as it comes out."""
    intake = Intake({"every.thing": Topic("every.thing", Every, key="keyField")}, allow_undeclared=False)
    sent = orjson.loads(orjson.dumps(wire.unstructure(every)))
    stored = orjson.loads(intake.draft(PublishRequest("every.thing", sent), "ann").body)
    assert stored == sent
    schema_at("topics", "every.thing", "publish").validate(sent)
    schema_at("topics", "every.thing", "payload").validate(stored)


@given(every=EVERY, spot=st.integers(0, 10_000), stray=STRAY)
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=200)
def test_a_schema_takes_what_the_hub_takes(every: Every, spot: int, stray: Any, schema_at: SchemaAt) -> None:
    """But for texts that are no times, no base64: schemas have no say about these."""
    good = orjson.loads(orjson.dumps(wire.unstructure(every)))
    spots = places(good)[1:]
    given_ = replaced(good, spots[spot % len(spots)], stray)
    is_valid = schema_at("topics", "every.thing", "publish").is_valid(given_)
    found = list(faults(given_))
    untold = [fault for fault in found if fault.startswith(UNTOLD)]
    assert is_valid is (len(found) == len(untold)), found


@pytest.mark.parametrize("topic", ["task.completed", "agent.output", "system.provider.status"])
def test_events_of_the_built_ins_are_what_their_schemas_say(topic: str, schema_at: SchemaAt) -> None:
    payloads: Mapping[str, Any] = {
        "task.completed": {
            "taskId": "t",
            "status": "failed",
            "duration": 1,
            "artifacts": [{"name": "log", "uri": None, "size": 3}],
        },
        "agent.output": {"taskId": "t", "agentId": "a", "type": "stdout", "content": ""},
        "system.provider.status": {"type": "provider.status", "payload": [1, None]},
    }
    request = {"topic": topic, "payload": payloads[topic]}
    draft = Intake(load(config()).topics, allow_undeclared=False).draft(PublishRequest(**request), "ann")
    whole = {
        "id": "e-0",
        "topic": topic,
        "key": draft.key,
        "payload": orjson.loads(draft.body),
        "timestamp": draft.timestamp,
    }
    schema_at("procedures", "events.publish", "input").validate(request)
    schema_at("channels", "stream.onEvent", "output").validate(whole)
    schema_at("channels", "tracked.onEvent", "output").validate({"id": "e-0", "data": whole})
    other = {**request, "topic": "task.progress"}
    assert not schema_at("procedures", "events.publish", "input").is_valid(other)
    assert not schema_at("procedures", "events.publish", "input").is_valid({**request, "topic": "no"})


# ── the hash ─────────────────────────────────────────────────────────────────────────────────────────────


def of(type_: Any, **options: Any) -> Any:
    """An attribute of this type."""
    return field(type=type_, **options)


def topic(**fields: Any) -> Topic:
    """A topic whose class is made of these."""
    return Topic("garden.tick", make_class("Tick", fields))


PLAIN = offer_of([topic(count=of(int))])


def answer(input: object, call: object) -> int:
    """It counts."""
    return 3


@frozen
class Told:
    """A class with much to say."""

    at: datetime = field(factory=now, metadata={"doc": "When."})


@frozen
class Untold:
    at: datetime = field(factory=now)


Untold.__name__ = Untold.__qualname__ = "Told"


@pytest.mark.parametrize(
    "other",
    [
        offer_of([topic(count=of(float))]),
        offer_of([topic(count=of(int, default=0))]),
        offer_of([topic(count=of(int | None))]),
        offer_of([topic(count=of(int | None, default=None))]),
        offer_of([topic(count=of(Literal[1]))]),
        offer_of([topic(count=of(Literal[True]))]),
        offer_of([topic(counts=of(int))]),
        offer_of([topic(count=of(int)), Topic("garden.tock")]),
        offer_of([topic(count=of(int))], [Channel("garden.onTick", ["garden.tick"])]),
        offer_of([topic(count=of(int))], [], [Procedure("garden.count", "query", answer, None, int)]),
        offer_of([topic(count=of(int))], [], [Procedure("garden.count", "mutation", answer, None, int)]),
        offer_of([topic(count=of(int))], [], [Procedure("garden.count", "query", answer, None, str)]),
    ],
)
def test_the_hash_changes_with_every_type(other: Any) -> None:
    assert schema_hash(other) != schema_hash(PLAIN)


def test_the_hash_changes_with_the_transformer_and_with_undeclared_topics() -> None:
    configs = [config(), config(transformer="superjson"), config(allow_undeclared=True)]
    assert len({schema_hash(offered(one)) for one in configs}) == 3


def test_the_hash_does_not_change_with_what_people_are_told() -> None:
    told, untold = (offer_of([Topic("garden.told", cls)]) for cls in (Told, Untold))
    assert schema_hash(told) == schema_hash(untold)
    assert document(told) != document(untold)


def test_the_hash_does_not_change_with_the_order_of_declarations(tmp_path: Path) -> None:
    channels = [Channel("garden.onTick", ["garden.tick"]), Channel("garden.onTock", ["garden.tock"])]
    topics = [topic(count=of(int)), Topic("garden.tock", Told)]
    assert schema_hash(offer_of(topics, channels)) == schema_hash(offer_of(topics[::-1], channels[::-1]))
