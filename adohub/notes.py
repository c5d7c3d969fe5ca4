"""Notes: beside a value in plain JSON, what JSON cannot say of it, each with its place.

Law: the plain form is the value. Whoever reads JSON needs no notes to understand it, whoever has lost them
has lost no data. A time is its ISO text, noted "Date"; octets are base64 text, noted "bytes"; what superjson
knows more (`adohub.wire.superjson`) is its JSON, noted with superjson's word for it.

A noted value carries its notes with it, so they survive whatever hands it on unread. It is to be handed on
and not to be changed; `dict(value)`, `list(value)` and `str(value)` are the plain value without any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import is_
from types import NoneType
from typing import Any

import orjson
from attrs import define

Path = tuple[str | int, ...]
"""Where something is: keys of objects and indices of lists, from the outside in."""

Kind = str | tuple[str, str]
"""What stands there: a word of superjson's ("Date", "bigint", "map"), two of them, or our own "bytes"."""

Note = tuple[Path, Kind]

Notes = tuple[Note, ...]

MOST_STEPS = 64
"""How deep a note may lie: every note says its whole path."""

MOST_NOTES = 10_000
"""How many notes one value may have when it comes in: each costs some microseconds, and others wait."""

MOST_STEPS_IN_ALL = 50_000
"""How many steps the paths of all notes of a value may have together when it comes in: for that reason."""

MOST_LEVELS = 254
"""How many containers may lie in one another: more cannot be written as JSON."""

MOST_CONTAINERS = 30_000
"""How many containers are looked into for what JSON cannot say: less than 0.1 s in which nobody else runs."""


class Tree:
    """Notes by their steps: those that share the beginning of their paths share it here, too."""

    __slots__ = ("kind", "parts")

    def __init__(self, kind: Kind | None = None, parts: dict[str | int, Tree] | None = None) -> None:
        self.kind = kind
        self.parts: dict[str | int, Tree] = {} if parts is None else parts

    @staticmethod
    def of(notes: Iterable[Note]) -> Tree:
        """The tree of `notes`; of two with one place the first counts."""
        root = Tree()
        for path, kind in notes:
            tree = root
            for step in path:
                tree = tree.parts.setdefault(step, Tree())
            if tree.kind is None:
                tree.kind = kind
        return root

    def __bool__(self) -> bool:
        return self.kind is not None or bool(self.parts)

    def notes(self, path: Path = ()) -> Iterator[Note]:
        """The notes in it, which lies at `path`."""
        if self.kind is not None:
            yield path, self.kind
        for step, part in self.parts.items():
            yield from part.notes((*path, step))


# ── noted values ─────────────────────────────────────────────────────────────────────────────────────────


class _Noted:
    __slots__ = ()
    tree: Tree

    @property
    def notes(self) -> Notes:
        """Its notes, relative to itself."""
        return tuple(self.tree.notes())


class NotedText(_Noted, str):
    """A text that stands for something else."""

    __slots__ = ("tree",)


class NotedList(_Noted, list[Any]):
    """A list with notes about itself or what it holds."""

    __slots__ = ("tree",)


class NotedObject(_Noted, dict[str, Any]):
    """An object with notes about itself or what it holds."""

    __slots__ = ("tree",)


NOTED: frozenset[type[Any]] = frozenset((NotedText, NotedList, NotedObject))
"""The classes of noted values, to be compared with a value's own."""


def noted_text(text: str, kind: Kind) -> NotedText:
    """A text that stands for something of this kind."""
    value = NotedText(text)
    value.tree = Tree(kind)
    return value


def noted(value: Any, notes: Iterable[Note]) -> Any:
    """A copy of `value` that carries `notes` besides those it has; every container on the way carries them.

    A number, a boolean or null cannot, so what is noted about it is known to what it lies in, and lost at
    the root.
    """
    tree = Tree.of((*notes, *notes_of(value)))
    return with_tree(value, tree) if tree else value


def with_tree(value: Any, tree: Tree) -> Any:
    """A copy of `value` that carries `tree` and no other notes."""
    if isinstance(value, dict):
        parts = {step: with_tree(value[step], part) for step, part in tree.parts.items() if step in value}
        return carrying(value | parts, tree)
    if isinstance(value, list):
        things = list(value)
        for step, part in tree.parts.items():
            if isinstance(step, int) and step < len(things):
                things[step] = with_tree(things[step], part)
        return carrying(things, tree)
    return carrying(value, tree)


def carrying(value: Any, tree: Tree) -> Any:
    """`value` as it is, carrying `tree`, which the parts of it carry already."""
    carrier: NotedText | NotedList | NotedObject
    if isinstance(value, dict):
        carrier = NotedObject(value)
    elif isinstance(value, list):
        carrier = NotedList(value)
    elif isinstance(value, str):
        carrier = NotedText(value)
    else:
        return value
    carrier.tree = tree
    return carrier


def notes_of(value: Any) -> Notes:
    """The notes that `value` carries; those of its fields, if it is an object that carries none itself."""
    if value.__class__ in NOTED:
        return value.notes  # type: ignore[no-any-return]
    if not isinstance(value, dict) or NOTED.isdisjoint(map(type, value.values())):
        return ()
    fields = [(name, field) for name, field in value.items() if field.__class__ in NOTED]
    return tuple(note for name, field in fields for note in below(field.notes, name))


def gathered(value: Any) -> Notes:
    """The notes of all noted values in `value`, however deep they lie in what is not noted."""
    return tuple(_gathered(value).notes())


def _gathered(value: Any) -> Tree:
    if value.__class__ in NOTED:
        return value.tree  # type: ignore[no-any-return]
    if not isinstance(value, dict | list | tuple):
        return _BARE
    items: Iterable[Any] = value.values() if isinstance(value, dict) else value
    if _SCALARS.issuperset(map(type, items)):
        return _BARE
    steps: Iterable[Any] = value.items() if isinstance(value, dict) else enumerate(value)
    parts = {step: tree for step, item in steps if (tree := _gathered(item))}
    return Tree(None, parts) if parts else _BARE


_BARE = Tree()

_TOLD: frozenset[type[Any]] = frozenset((str, int, bool, NoneType))
_SCALARS = _TOLD | {float}
"""What JSON can say always; and what carries no notes. Looked for among many with one call."""


def below(notes: Sequence[Note], *steps: str | int) -> Notes:
    """`notes` as they are called further out, where `steps` lead to what they are about."""
    return tuple(((*steps, *path), kind) for path, kind in notes)


# ── what JSON cannot say ─────────────────────────────────────────────────────────────────────────────────


class TooRich(ValueError):
    """There is more that JSON cannot say, or it lies deeper, than is worth noting."""


def spelled(value: Any, spell: Callable[[Any], Any]) -> Any:
    """`value`, or a copy, in which `spell` has replaced what JSON cannot say, by a noted text perhaps.

    `spell` is asked about whatever is no container and no text, integer, boolean or null. Raises TooRich.
    """
    return _Spelling(spell).of(value, 0)


@define
class _Spelling:
    """One value's; `room` is how many notes may yet be made, `containers` how many may yet be looked into."""

    spell: Callable[[Any], Any]
    room: int = MOST_NOTES
    steps: int = MOST_STEPS_IN_ALL
    containers: int = MOST_CONTAINERS

    def of(self, value: Any, level: int) -> Any:
        if value.__class__ in _TOLD or value.__class__ in NOTED:
            return value
        if not isinstance(value, dict | list | tuple):
            return self._of_leaf(value, level)
        if level == MOST_LEVELS:
            raise TooRich("is nested too deeply")
        self.containers -= 1
        if self.containers < 0:
            raise TooRich(
                f"has more than {MOST_CONTAINERS} lists and objects, and something to look for in them"
            )
        items: Iterable[Any] = value.values() if isinstance(value, dict) else value
        if _TOLD.issuperset(map(type, items)):
            return value
        steps: Iterable[Any] = value.items() if isinstance(value, dict) else enumerate(value)
        spelt = {step: self.of(item, level + 1) for step, item in steps}
        parts = {step: part.tree for step, part in spelt.items() if part.__class__ in NOTED}
        if not parts and all(map(is_, spelt.values(), items)):
            return value
        copy = spelt if isinstance(value, dict) else list(spelt.values())
        return carrying(copy, Tree(None, parts)) if parts else copy

    def _of_leaf(self, value: Any, level: int) -> Any:
        leaf = self.spell(value)
        if leaf.__class__ in NOTED:
            self.room -= 1
            self.steps -= level
            if level > MOST_STEPS or self.steps < 0:
                raise TooRich("is nested too deeply")
            if self.room < 0:
                raise TooRich(f"has more than {MOST_NOTES} values that JSON has no form for")
        return leaf


# ── as bytes ─────────────────────────────────────────────────────────────────────────────────────────────


def to_bytes(notes: Iterable[Note]) -> bytes:
    """`notes` as storage keeps them: JSON, empty for none.

    A tree is a list: its kind, then each step and the tree there.
    """
    tree = Tree.of(notes)
    return orjson.dumps(_as_list(tree)) if tree else b""


def _as_list(tree: Tree) -> list[Any]:
    return [tree.kind, *(it for step, part in tree.parts.items() for it in (step, _as_list(part)))]


def from_bytes(kept: bytes) -> Notes:
    """What `to_bytes` was given, or the same notes in another order."""
    return tuple(tree_from_bytes(kept).notes()) if kept else ()


def tree_from_bytes(kept: bytes) -> Tree:
    """The tree of what `to_bytes` was given, which is some."""
    return _from_list(orjson.loads(kept))


def _from_list(kept: list[Any]) -> Tree:
    kind, *rest = kept
    parts = zip(rest[::2], map(_from_list, rest[1::2]), strict=True)
    return Tree(tuple(kind) if isinstance(kind, list) else kind, dict(parts))
