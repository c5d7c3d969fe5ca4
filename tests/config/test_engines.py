"""Engines' tables, in the file and in the class."""

from __future__ import annotations

from adohub.config.engines import gather_engines, spread_engines


def test_tables_of_unknown_name_are_engines_and_other_unknown_keys_are_not() -> None:
    storage = {"engine": "nats", "sqlite": {"path": "a"}, "nats": {"servers": []}, "typo": 5}
    assert gather_engines(storage) == {
        "engine": "nats",
        "sqlite": {"path": "a"},
        "typo": 5,
        "engines": {"nats": {"servers": []}},
    }


def test_even_an_engine_named_engines_has_its_table() -> None:
    assert gather_engines({"engines": {"a": 1}}) == {"engines": {"engines": {"a": 1}}}
    assert spread_engines({"engines": {"engines": {"a": 1}}}) == {"engines": {"a": 1}}


def test_the_way_back() -> None:
    storage = {"engine": "nats", "nats": {"servers": []}}
    assert spread_engines(gather_engines(storage)) == storage
