"""What subscriptions and procedures take and give, as far as their declarations say."""

from __future__ import annotations

from typing import Any

from adohub.hub.admission import SubscriptionInput
from adohub.plugin.contracts import Channel, Procedure, Topic
from adohub.structuring import wire_name
from adohub.topics import Selection
from adohub.typegen.router import Operation
from adohub.typegen.shapes import ANY_OBJECT, ANYTHING, AllOf, AnyOf, ListOf, Plain, Ref, Tracked, Whole
from tests.typegen.every import Every, Filter, Tree
from tests.typegen.making import config, offer_of, offered

TOPICS = [Topic("a.every", Every, key="keyField"), Topic("a.tree", Tree), Topic("b.any")]


def operation(given: Channel | Procedure, path: str | None = None) -> Operation:
    channels, procedures = ([given], []) if isinstance(given, Channel) else ([], [given])
    found = {one.path: one for one in offer_of(TOPICS, channels, procedures).operations}
    return found[path or given.path]


def answer(input: object, call: object) -> None:
    """Answers."""


def test_operations_are_in_order_of_their_paths() -> None:
    paths = [one.path for one in offered(config()).operations]
    assert paths == sorted(paths)


def test_a_channel_gives_the_payloads_of_what_its_patterns_choose() -> None:
    assert operation(Channel("c.one", ["a.tree"])).output == Ref(Tree)
    assert operation(Channel("c.some", ["a.*"])).output == AnyOf((Ref(Every), Ref(Tree)))
    assert operation(Channel("c.none", ["z.*"])).output == ANY_OBJECT
    whole = Channel("c.whole", input=Filter, select=lambda _: Selection(["**"]), whole=True)
    assert operation(whole).output == Whole()


def test_a_tracked_twin_gives_the_same_with_its_id() -> None:
    channel = Channel("stream.onTree", ["a.tree"])
    assert operation(channel, "tracked.onTree").output == Tracked(Ref(Tree))


def test_a_subscription_may_say_what_all_may_say() -> None:
    """Its name is used, not what it may hold today: whatever comes to `SubscriptionInput` is in the types."""
    assert operation(Channel("c.one", ["a.tree"])).input == Ref(SubscriptionInput)
    keyed = operation(Channel("c.keyed", ["a.every"], key="keyField", where=["colour"]))
    assert isinstance(keyed.input, AllOf)
    own, shared = keyed.input.members
    assert shared == Ref(SubscriptionInput)
    assert [(part.name, part.required) for part in own.parts] == [("keyField", True), ("colour", False)]  # type: ignore[union-attr]


def test_input_may_be_left_out_only_where_nothing_is_required() -> None:
    assert operation(Channel("c.one", ["a.tree"])).optional
    assert not operation(Channel("c.keyed", ["a.every"], key="keyField")).optional
    assert operation(Procedure("p.list", "query", answer, Filter)).optional
    assert not operation(Procedure("p.echo", "query", answer, Tree)).optional


def test_a_procedure_gives_what_it_says_or_anything() -> None:
    assert operation(Procedure("p.untold", "query", answer)).output == ANYTHING
    assert operation(Procedure("p.list", "query", answer, None, list[int])).output == ListOf(Plain("integer"))


def test_every_built_in_procedure_says_what_it_answers() -> None:
    silent = [one.path for one in offered(config()).operations if one.output == ANYTHING]
    assert silent == []


def test_what_all_subscriptions_may_say_is_named_as_the_wire_names_it() -> None:
    [found] = [each for each in offered(config()).definitions if each.cls is SubscriptionInput]
    fields: Any = SubscriptionInput.__attrs_attrs__
    assert [part.name for part in found.parts] == [wire_name(each.name) for each in fields]
