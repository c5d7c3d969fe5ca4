"""A contract checks itself when it is made, and says in plain words what its author got wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from attrs import frozen

from adohub import Channel, Presence, Principal, Procedure, Route, Selection, Topic


@frozen
class Tick:
    plant_name: str


def presence(topic: str) -> Presence:
    return Presence(
        topic, str, str, lambda one, what: (what, one.key), ("workers", "attend"), ("workers", "list")
    )


async def answer(request: object) -> Any: ...


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: Topic("Garden.Tick"), "'Garden.Tick' is no topic name (dotted lower-case segments)"),
        (lambda: Topic("garden.*"), "'garden.*' is no topic name"),
        (lambda: Topic("a.b", dict), "topic a.b: <class 'dict'> is no attrs class"),
        (lambda: Topic("a.b", key="plant name"), "topic a.b: 'plant name' is no field name"),
        (
            lambda: Topic("a.b", Tick, key="plant_name"),
            "topic a.b: Tick has no field plant_name (by wire name)",
        ),
        (lambda: Channel("ticks", topics=["a.b"]), "'ticks' is no procedure path"),
        (lambda: Channel("a.b", topics=["a.b"], tracked="x"), "'x' is no procedure path"),
        (lambda: Channel("a.b"), "channel a.b: carries no topics"),
        (lambda: Channel("a.b", topics="a.b"), "expected a list of texts, got the text 'a.b'"),
        (lambda: Channel("a.b", topics=["a.b", "**.c"]), "channel a.b: ['**.c'] are no topic patterns"),
        (lambda: Channel("a.b", topics=["a.b"], key="a-b"), "channel a.b: 'a-b' is no field name"),
        (lambda: Channel("a.b", topics=["a.b"], where=["x", "1y"]), "channel a.b: '1y' is no field name"),
        (
            lambda: Channel("a.b", topics=["a.b"], completes_on="a.*"),
            "channel a.b: completes_on is 'a.*', no topic name",
        ),
        (
            lambda: Channel("a.b", topics=["a.b"], replay="some"),  # type: ignore[arg-type]
            "channel a.b: replay is 'some', not one of none, last, all",
        ),
        (
            lambda: Channel("a.b", topics=["a.b"], on_gap="panic"),  # type: ignore[arg-type]
            "channel a.b: on_gap is 'panic', not one of continue, error",
        ),
        (
            lambda: Channel("a.b", topics=["a.b"], on_slow="drop"),  # type: ignore[arg-type]
            "channel a.b: on_slow is 'drop', not one of catch-up, disconnect, latest",
        ),
        (lambda: Channel("a.b", input=Tick), "channel a.b: carries no topics"),
        (lambda: Channel("a.b", topics=["a.b"], input=Tick), "channel a.b: input and select go together"),
        (
            lambda: Channel("a.b", select=lambda _: Selection(["a"])),
            "channel a.b: input and select go together",
        ),
        (
            lambda: Channel("a.b", topics=["a.b"], presence=presence("a.c")),
            "channel a.b: presence needs an input",
        ),
        (lambda: presence("A.c"), "'A.c' is no topic name"),
        (lambda: Procedure("double", "query", print), "'double' is no procedure path"),
        (
            lambda: Procedure("a.double", "subscription", print),  # type: ignore[arg-type]
            "procedure a.double: kind 'subscription'",
        ),
        (lambda: Route("GET", "metrics", answer), "route 'metrics' begins with no /"),
        (lambda: Principal("ann", roles="reader"), "expected a list of texts, got the text 'reader'"),
    ],
)
def test_what_is_wrong_is_said_when_it_is_made(make: Callable[[], object], complaint: str) -> None:
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 - the text is compared below
        make()
    assert str(refusal.value).startswith(complaint)


def test_lists_may_be_lists() -> None:
    channel = Channel("a.b", topics=["a.b"], where=["x"])
    assert (channel.topics, channel.where) == (("a.b",), ("x",))
    assert hash(channel) == hash(Channel("a.b", topics=("a.b",), where=("x",)))


@pytest.mark.parametrize(
    ("path", "tracked", "twin"),
    [
        ("stream.onTick", None, "tracked.onTick"),
        ("stream.onTick", "my.twin", "my.twin"),
        ("garden.onTick", None, None),
        ("garden.onTick", "garden.trackedTick", "garden.trackedTick"),
    ],
)
def test_streams_have_a_tracked_twin_without_asking(path: str, tracked: str | None, twin: str | None) -> None:
    assert Channel(path, topics=["a.b"], tracked=tracked).tracked_path == twin
