"""Marks are where reading would make a time or octets of a text: compared with the typed value itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, NewType

import attrs
import pytest
from attrs import field, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from adohub.notes import Note, Path
from adohub.structuring import strict, wire, wire_name
from tests.structuring.shapes import MOMENTS, TEXT, Progress, Span, Tree

patiently = settings(deadline=None)

Seen = NewType("Seen", datetime)


@frozen
class Photo:
    """Told from the others by its tag."""

    kind: Literal["photo"]
    data: bytes
    taken_at: datetime | None = None


@frozen
class Memo:
    """The same member, of another type."""

    kind: Literal["memo"]
    data: str
    written_at: datetime | str = ""


@frozen
class Album:
    """Times and octets in parts of every kind, and itself among them."""

    name: str
    seen: Annotated[Seen, "by someone"]
    items: Sequence[Photo | Memo] = ()
    cover: Photo | None = None
    place: tuple[int, datetime, bytes] | None = None
    moments: list[datetime] = field(factory=list)
    thumbnails: Mapping[str, bytes] = field(factory=dict)
    mixed: Sequence[str | bytes] = ()
    pages: dict[str, list[Album]] = field(factory=dict)
    parent: Album | None = None
    anything: Any = None
    raw_fields: dict[str, Any] = field(factory=dict)


PHOTOS = st.builds(Photo, st.just("photo"), st.binary(max_size=4), st.none() | MOMENTS)
MEMOS = st.builds(Memo, st.just("memo"), TEXT, MOMENTS)


def albums(parents: st.SearchStrategy[Any], pages: st.SearchStrategy[Any]) -> st.SearchStrategy[Album]:
    return st.builds(
        Album,
        name=TEXT,
        seen=MOMENTS,
        items=st.lists(PHOTOS | MEMOS, max_size=3),
        cover=st.none() | PHOTOS,
        place=st.none() | st.tuples(st.integers(), MOMENTS, st.binary(max_size=4)),
        moments=st.lists(MOMENTS, max_size=3),
        thumbnails=st.dictionaries(TEXT, st.binary(max_size=4), max_size=3),
        mixed=st.lists(TEXT, max_size=2),
        pages=pages,
        parent=parents,
        anything=st.just({"at": "2026-01-02T03:04:05.678Z"}),
    )


small_albums = albums(st.none(), st.just({}))
ALBUMS = albums(
    st.none() | small_albums, st.dictionaries(TEXT, st.lists(small_albums, max_size=2), max_size=2)
)


def told(value: Any, path: Path = ()) -> Iterator[Note]:
    """Where there are times and octets in `value`, an instance."""
    if isinstance(value, datetime):
        yield path, "Date"
    elif isinstance(value, bytes):
        yield path, "bytes"
    elif attrs.has(type(value)):
        for attribute in attrs.fields(type(value)):
            yield from told(getattr(value, attribute.name), (*path, wire_name(attribute.name)))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from told(item, (*path, key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from told(item, (*path, index))


@patiently
@given(ALBUMS)
def test_times_and_octets_are_marked_and_nothing_else(album: Album) -> None:
    assert dict(wire.marks(Album).find(wire.unstructure(album))) == dict(told(album))


def test_of_a_union_the_type_counts_that_reads_the_value() -> None:
    marks = wire.marks(Memo)
    assert marks.find({"kind": "memo", "data": "", "writtenAt": "2026-01-02"}) == ((("writtenAt",), "Date"),)
    assert marks.find({"kind": "memo", "data": "", "writtenAt": "on a Sunday"}) == ()
    assert wire.marks(str | bytes).find("AAE=") == ()
    assert wire.marks(bytes | str).find("AAE=") == (((), "bytes"),)
    assert wire.marks(bytes | str).find("on a Sunday!") == ()
    assert wire.marks(int | datetime).find(5) == ()


@pytest.mark.parametrize(
    "value", [None, 1, "x", [], [1], {"items": 1}, {"moments": {}, "place": [1]}, {"cover": []}]
)
def test_what_is_not_of_the_type_has_no_marks(value: Any) -> None:
    assert wire.marks(Album).find(value) == ()


def test_what_is_not_there_and_null_are_left_out() -> None:
    album = {"name": "a", "seen": "2026-01-02T00:00:00.000Z", "cover": {"kind": "photo", "data": None}}
    assert wire.marks(Album).find(album) == ((("seen",), "Date"),)


def test_names_are_those_of_the_structurer() -> None:
    assert strict.marks(Photo).find({"taken_at": "x", "takenAt": "x"}) == ((("taken_at",), "Date"),)


@frozen
class Loop:
    """Only itself, and itself."""

    inner: Loop | None = None
    others: list[Loop] = field(factory=list)


@pytest.mark.parametrize(
    ("type_", "is_plain"),
    [
        (Span, True),
        (Progress, False),
        (Tree, False),
        (Loop, True),
        (Any, True),
        (dict[str, Any], True),
        (list[list[datetime]], False),
        (str | int | None, True),
        (Mapping[str, Photo | int], False),
        (tuple[int, bytes], False),
    ],
)
def test_a_type_says_whether_there_is_anything_to_mark(type_: Any, is_plain: bool) -> None:
    assert wire.marks(type_).is_plain is is_plain


@pytest.mark.parametrize(
    ("type_", "is_closed"),
    [
        (Any, False),
        (Album, False),
        (Photo, True),
        (Loop, True),
        (dict[str, list[object]], False),
        (list[int], True),
    ],
)
def test_a_type_says_whether_anything_may_be_in_it(type_: Any, is_closed: bool) -> None:
    assert wire.marks(type_).is_closed is is_closed


def test_a_type_without_json_form_has_no_marks_either() -> None:
    with pytest.raises(TypeError, match="has no JSON form"):
        wire.marks(set[int])


@pytest.mark.parametrize(
    ("path", "is_free"),
    [
        ((), False),
        (("anything",), True),
        (("anything", "at", 0), True),
        (("rawFields",), False),
        (("rawFields", "x"), True),
        (("parent", "anything"), True),
        (("pages", "x", 3, "anything", 1), True),
        (("pages", "x", 3, "name"), False),
        (("cover", "takenAt"), False),
        (("place", 1), False),
        (("place", 9), False),
        (("items", 0, "data"), False),
        (("unheardOf",), False),
        ((0,), False),
    ],
)
def test_a_path_is_free_where_anything_may_stand(path: Path, is_free: bool) -> None:
    assert wire.marks(Album).free(path) is is_free


def test_all_of_anything_is_free() -> None:
    for type_ in (Any, object, Any | None):
        assert wire.marks(type_).free(())
        assert wire.marks(type_).free(("a", 0))
    assert wire.marks(list[Any]).free((0, "a"))
    assert wire.marks(tuple[int, Any]).free((1,))
    assert not wire.marks(tuple[int, Any]).free((0,))
    assert wire.marks(int | list[Any]).free((0,))
