"""Every class has a name of its own, whatever others are called, and whoever was loaded first."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import pytest
from attrs import field, make_class

from adohub.builtin.tasks import Artifact
from adohub.plugin.contracts import Topic
from tests.typegen.making import offer_of


def cls(name: str, module: str, qualname: str = "", **fields: Any) -> type[Any]:
    made = make_class(name, fields or {"x": field(type=int)})
    made.__module__ = module
    made.__qualname__ = qualname or name
    return made


def names(classes: Sequence[type[Any]]) -> list[str]:
    """What these are called, each the payload of a topic of its own."""
    topics = [Topic(f"topic.{number}", one) for number, one in enumerate(classes)]
    out = offer_of(topics).names.out
    return [out[one] for one in classes]


@pytest.mark.parametrize("reserved", ["Date", "Events", "AppRouter", "HubEvent"])
def test_what_the_module_needs_itself_is_not_taken(reserved: str) -> None:
    assert names([cls(reserved, "adohub_plugin_garden")]) == [f"Garden{reserved}"]


def test_a_word_of_typescript_becomes_a_name() -> None:
    assert names([cls("string", "m"), cls("type", "m")]) == ["String", "Type"]


def test_a_class_of_adohub_keeps_its_name_and_others_are_called_after_where_they_are() -> None:
    nested = cls("Artifact", "adohub_plugin_shed", "Shelf.Artifact")
    plain = cls("Artifact", "adohub_plugin_old_shed")
    assert names([plain, Artifact, nested]) == ["OldShedArtifact", "Artifact", "ShelfArtifact"]


def test_names_do_not_depend_on_the_order_of_plugins() -> None:
    ticks = [cls("Tick", f"adohub_plugin_{name}") for name in ("garden", "shed", "yard")]
    for order in permutations(ticks):
        called = dict(zip(order, names(order), strict=True))
        assert [called[tick] for tick in ticks] == ["GardenTick", "ShedTick", "YardTick"]


def test_those_that_cannot_be_told_apart_are_numbered() -> None:
    assert names([cls("Tick", "m"), cls("Tick", "m"), cls("Tick", "m")]) == ["MTick", "MTick2", "MTick3"]


def test_what_is_no_identifier_becomes_one() -> None:
    assert names([cls("a b", "m"), cls("1st", "m"), cls("Größe", "m")]) == ["a_b", "_1st", "Größe"]


def test_the_input_of_a_class_has_no_name_that_another_class_has() -> None:
    defaulted = cls("Set", "m", x=field(type=int, default=0))
    other = cls("SetInput", "m")
    into = offer_of([Topic("a.b", defaulted), Topic("a.c", other)]).names.into
    assert into == {defaulted: "SetInput2", other: "SetInput"}
