"""Which value a type reads, and that the quick reader and the careful one agree on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final, Generic, NewType, TypeVar

import attrs
import pytest
from attrs import field, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from adohub.structuring import StructureError, wire
from adohub.structuring.careful import CarefulReader
from adohub.structuring.faults import Refusal
from adohub.structuring.leaves import Hook
from adohub.structuring.readers import STOPPED, QuickReader
from tests.structuring.shapes import JSON, PROGRESS, TREES, Circle, Progress, Span, Square, Tree

Name = NewType("Name", str)
T = TypeVar("T")


@pytest.mark.parametrize(
    ("type_", "value", "result"),
    [
        (list[int], [1, 2], [1, 2]),
        (list, [1, "a"], [1, "a"]),
        (tuple[int, ...], [1, 2], (1, 2)),
        (tuple[int, str], [1, "a"], (1, "a")),
        (tuple, [], ()),
        (Sequence[int], [1, 2], (1, 2)),
        (dict[str, int], {"a": 1}, {"a": 1}),
        (Mapping[str, list[int]], {"a": [1]}, {"a": [1]}),
        (dict, {"a": None}, {"a": None}),
        (int | None, None, None),
        (int | str, "a", "a"),
        (int | list[int] | None, [1], [1]),
        (Circle | Square, {"kind": "square", "side": 2}, Square("square", 2)),
        (Circle | dict[str, int], {"a": 1}, {"a": 1}),
        (Name, "a", "a"),
        (Annotated[int, "metres"], 5, 5),
        (Final[int], 5, 5),
    ],
)
def test_a_type_reads_its_values(type_: Any, value: object, result: object) -> None:
    read = wire.structure(value, type_)
    assert read == result
    assert type(read) is type(result)


@pytest.mark.parametrize(
    ("type_", "value", "message"),
    [
        (list[int], "ab", 'expected list, got "ab"'),
        (list[int], {"a": 1}, 'expected list, got {"a": 1}'),
        (list[int], ["a", 1, None], '[0]: expected integer, got "a"; [2]: expected integer, got null'),
        (tuple[int, str], [1], "expected list of 2, got [1]"),
        (tuple[int, str], ["a", 1], '[0]: expected integer, got "a"; [1]: expected string, got 1'),
        (dict[str, int], [], "expected object, got []"),
        (
            dict[str, int],
            {"a": "x", "b": 1, "c": None},
            'a: expected integer, got "x"; c: expected integer, got null',
        ),
        (dict[str, int], {5: 1}, "5: expected string, got 5"),
        (Circle, 5, "expected object, got 5"),
        (int | str, [1], "expected integer or string, got [1]"),
        (int | None, "a", 'expected integer, got "a"'),
        (int | str | None, [], "expected integer or string or null, got []"),
        (int | list[int], ["a"], '[0]: expected integer, got "a"'),
        (Circle | Square, {"kind": "square", "side": "a"}, 'side: expected number, got "a"'),
        (Circle | Square, {"kind": "circle", "radius": 0}, "radius: expected more than 0, got 0"),
        (Circle | int, "a", 'expected object or integer, got "a"'),
    ],
)
def test_a_type_refuses_other_values_at_their_path(type_: Any, value: object, message: str) -> None:
    with pytest.raises(StructureError) as caught:
        wire.structure(value, type_)
    assert str(caught.value) == message


def test_a_class_that_holds_itself_is_read_to_its_depth() -> None:
    value = {"name": "a", "branches": [{"name": "b", "branches": [{"name": "c"}]}]}
    assert wire.structure(value, Tree) == Tree("a", branches=[Tree("b", branches=[Tree("c")])])
    value["branches"][0]["branches"][0]["name"] = 5  # type: ignore[index]
    with pytest.raises(StructureError, match=r"^branches\[0\]\.branches\[0\]\.name: expected string, got 5$"):
        wire.structure(value, Tree)


def test_a_value_nested_beyond_reason_is_refused() -> None:
    value: dict[str, Any] = {"name": "a"}
    for _ in range(5000):
        value = {"name": "a", "branches": [value]}
    with pytest.raises(StructureError, match="nested too deeply"):
        wire.structure(value, Tree)


@frozen
class Left:
    """One side of a union that holds itself."""

    left: Left | Right | int


@frozen
class Right:
    """The other."""

    right: Left | Right | int


def test_a_union_inside_itself_is_read_in_linear_time() -> None:
    """60 levels would be 2 ** 60 readings, were each class of the union tried at each."""
    value: Any = {"left": "x"}
    for _ in range(60):
        value = {"left": value, "noise": 1}
    with pytest.raises(StructureError, match=r'left: expected object or integer, got "x"$'):
        wire.structure(value, Left)


@frozen
class Generous(Generic[T]):
    """A class whose parameter no JSON can tell."""

    it: T


@frozen
class Unresolved:
    """A class that names a type nobody knows."""

    it: Unknown  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    "type_", [set[int], complex, Generous, Generous[int], Callable[[], None], Unresolved]
)
def test_a_type_without_json_form_is_refused_before_any_value(type_: Any) -> None:
    for _ in range(2):
        with pytest.raises(TypeError):
            wire.compile(type_)


def test_a_broken_type_leaves_no_broken_hook_behind() -> None:
    @frozen
    class Broken:
        them: list[Any] = field(factory=list)
        it: complex = 0j

    for type_ in (Broken, list[Broken]):
        with pytest.raises(TypeError, match="complex"):
            wire.compile(type_)


def _outcome(hook: Hook, value: object) -> object:
    try:
        return hook(value, None)
    except STOPPED:
        return "refused"


def _same_keys(name: str) -> str:
    return name


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("type_", [Progress, Tree, Span, list[Progress], Circle | Square | int])
def test_the_quick_reader_and_the_careful_one_agree(type_: Any, closed: bool) -> None:
    quick = QuickReader(_same_keys, closed=closed).hook(type_)
    careful = CarefulReader(_same_keys, closed=closed).hook(type_)

    @settings(deadline=None)
    @given(_nearly(type_) | JSON)
    def agree(value: object) -> None:
        assert repr(_outcome(quick, value)) == repr(_outcome(careful, value))

    agree()


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("type_", [Progress, Tree, list[Tree], dict[str, Progress], Circle | Square | int])
def test_the_careful_reader_finds_the_same_with_the_quick_one_s_help(type_: Any, closed: bool) -> None:
    alone = CarefulReader(_same_keys, closed=closed).hook(type_)
    quick = QuickReader(_same_keys, closed=closed)
    helped = CarefulReader(_same_keys, closed=closed, quick=quick).hook(type_)

    @settings(deadline=None)
    @given(_nearly(type_) | st.lists(_nearly(Tree)) | st.dictionaries(st.text(), _nearly(Progress)) | JSON)
    def agree(value: object) -> None:
        assert repr(_found(alone, value)) == repr(_found(helped, value))

    agree()


def _found(hook: Hook, value: object) -> object:
    try:
        return hook(value, None)
    except Refusal as refusal:
        return refusal.flaws
    except RecursionError:
        return "nested too deeply"


def _nearly(type_: Any) -> st.SearchStrategy[Any]:
    """Values that are right but for one key."""
    right = {Progress: PROGRESS, Tree: TREES}.get(type_, st.builds(Span, first=st.integers(0, 5)))
    writer = attrs.asdict
    return st.builds(
        lambda instance, key, junk: writer(instance) | {key: junk},
        right,
        st.sampled_from([attribute.name for attribute in attrs.fields(type_)])
        if attrs.has(type_)
        else st.just("a"),
        JSON,
    )
