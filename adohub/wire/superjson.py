"""superjson: `{"json": plain value, "meta": what JSON cannot say of it}` to noted values, and back.

Law: one peer's annotations must not break another's client. What real superjson has written comes back to it
as it was, but for what some client might throw at: that stays a text, or is refused on the way in.

Source of the format: superjson 2.2 (`plainer.js`, `pathstringifier.js`, `transformer.js`). A tree of
annotations is `[type]`, `[type, {path: tree}]` or `{path: tree}`; a path's keys and indices are joined with
dots, and relative to the nearest annotated container. `referentialEqualities` are not looked at: they say
what was one object, and in place of what contains itself there is null.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

import orjson
from attrs import define, field, frozen

from adohub.model import Event
from adohub.notes import (
    MOST_NOTES,
    MOST_STEPS,
    MOST_STEPS_IN_ALL,
    NOTED,
    Kind,
    Notes,
    Tree,
    carrying,
    gathered,
)
from adohub.structuring import Marks
from adohub.wire.decode import Malformed
from adohub.wire.dialect import PLAIN
from adohub.wire.encode import View, json_bytes
from adohub.wire.messages import ABSENT
from adohub.wire.noting import Noting

MOST_PATH_CHARS = 8192
"""How long a path may be, in characters."""

FORBIDDEN: Final = frozenset(("__proto__", "prototype", "constructor"))
"""Steps of a path that superjson refuses, on either side."""

UNDEFINED: Final = b'{"json":null,"meta":{"values":["undefined"],"v":1}}'
"""`undefined`, as superjson writes it where it is all there is."""

_TYPED_ARRAYS = frozenset(
    f"{element}Array"
    for element in (
        *("Int8", "Uint8", "Uint8Clamped", "Int16", "Uint16", "Int32", "Uint32"),
        *("Float32", "Float64"),
    )
)


# ── in ───────────────────────────────────────────────────────────────────────────────────────────────────


def decode(value: Any) -> Any:
    """What a superjson client has sent, as a noted plain value; ABSENT for `undefined`, or for nothing.

    `value` is already parsed, and not changed. A property that is undefined is left out, in a list null
    stands for it. Annotations of what is not there are dropped, as are those of a number, a boolean or null
    that is all there is. Raises Malformed.
    """
    if value is ABSENT:
        return ABSENT
    if not isinstance(value, dict) or "json" not in value:
        raise Malformed('Not superjson: an object {"json": …} is expected')
    meta = value.get("meta")
    if meta is None:
        return value["json"]
    if not isinstance(meta, dict):
        raise Malformed("superjson: meta is no object")
    reading = _Reading(is_legacy=_is_legacy(meta.get("v")))
    reading.add(meta.get("values"), reading.tree, 0)
    plain, _ = _applied(value["json"], reading.tree)
    return plain


def _is_legacy(version: Any) -> bool:
    r"""Whether an older superjson wrote it, whose paths know `\.` as the only escape."""
    return version is None or (isinstance(version, int | float) and version < 1)


@define
class _Reading:
    """One value's annotations, as a tree whose steps are all texts."""

    is_legacy: bool
    tree: Tree = field(factory=Tree)
    room: int = MOST_NOTES
    steps: int = MOST_STEPS_IN_ALL

    def add(self, annotations: Any, tree: Tree, steps_to_it: int) -> None:
        """Add `annotations` to `tree`. Raises Malformed."""
        if isinstance(annotations, list):
            tree.kind = _kind(annotations[0] if annotations else None)
            annotations = annotations[1] if len(annotations) > 1 else None
            self.room -= 1
            if self.room < 0:
                raise Malformed(f"superjson: more than {MOST_NOTES} annotations")
        if annotations is None:
            return
        if not isinstance(annotations, dict):
            raise Malformed("superjson: meta.values is no tree of annotations")
        for path, inner in annotations.items():
            if len(path) > MOST_PATH_CHARS:
                raise Malformed(f"superjson: a path of more than {MOST_PATH_CHARS} characters")
            steps = _steps(path, is_legacy=self.is_legacy)
            self.steps -= steps_to_it + len(steps)
            if steps_to_it + len(steps) > MOST_STEPS or self.steps < 0:
                raise Malformed("superjson: nested too deeply")
            found = tree
            for step in steps:
                found = found.parts.setdefault(step, Tree())
            self.add(inner, found, steps_to_it + len(steps))


def _kind(given: Any) -> Kind:
    match given:
        case str() if given in _FITS:
            return given
        case ["typed-array", str(name)] if name in _TYPED_ARRAYS:
            return "typed-array", name
    raise Malformed("superjson: an annotation of a type that not every client knows")


_TOKENS = {False: re.compile(r"\\[\\.]|\.|[^\\.]+|\\"), True: re.compile(r"\\\.|\.|[^\\.]+|\\")}
"""What paths are made of, by whether they are old: escapes, dots, the rest."""


def _steps(path: str, *, is_legacy: bool) -> list[str]:
    steps = _unescaped(path, is_legacy=is_legacy) if "\\" in path else path.split(".")
    if not FORBIDDEN.isdisjoint(steps):
        raise Malformed(f"superjson: none of {', '.join(sorted(FORBIDDEN))} is allowed as a property")
    return steps


def _unescaped(path: str, *, is_legacy: bool) -> list[str]:
    steps = [""]
    for piece in _TOKENS[is_legacy].findall(path):
        if piece == ".":
            steps.append("")
        elif piece == "\\" and not is_legacy:
            raise Malformed("superjson: invalid path")
        else:
            steps[-1] += piece[1:] if piece[0] == "\\" and len(piece) == 2 else piece
    return steps


def _applied(plain: Any, tree: Tree) -> tuple[Any, Tree]:
    """`plain` as it is kept, and what of `tree` fits it beside the notes that it has. Raises Malformed."""
    if tree.kind == "undefined":
        return ABSENT, Tree("undefined")
    if tree.kind == "number" and plain == "-0":
        return -0.0, Tree()  # which JSON can say
    if not _fits(tree.kind, plain):
        raise Malformed(f"superjson: what is annotated as {tree.kind} is none")
    had = plain.tree if plain.__class__ in NOTED else Tree()
    kind = tree.kind if tree.kind is not None and _is_safe(tree.kind, plain) else had.kind
    fitting = Tree(kind, dict(had.parts))
    kept: Any = dict(plain) if isinstance(plain, dict) else list(plain) if isinstance(plain, list) else plain
    for step, part in tree.parts.items():
        place = _place(plain, step)
        if place is not None:
            inner, notes = _applied(plain[place], part)
            if inner is ABSENT and isinstance(kept, dict):
                del kept[place]
            else:
                kept[place] = None if inner is ABSENT else inner
            if notes:
                fitting.parts[place] = notes
        elif part.kind == "undefined" and isinstance(plain, dict):
            fitting.parts[step] = part
    return (carrying(kept, fitting) if fitting else kept), fitting


def _place(container: Any, step: str | int) -> str | int | None:
    """The key or index that `step`, a text, is in `container`; None if it leads nowhere."""
    if isinstance(container, dict):
        return step if step in container else None
    if isinstance(container, list) and re.fullmatch(r"[0-9]{1,9}", str(step)) and int(step) < len(container):
        return int(step)
    return None


def _fits(kind: Kind | None, plain: Any) -> bool:
    """Whether superjson makes something of `plain` under this annotation, and does not throw."""
    if isinstance(kind, tuple):  # a typed array
        return isinstance(plain, list)
    return kind is None or _FITS[kind](plain)


_WEB = re.compile(
    r"https?://(?!xn--)(?:[a-z0-9-]+\.(?!xn--))*[a-z][a-z0-9-]*[a-z0-9](?::[0-9]{1,4})?(?:[/?#][!-~]*)?"
)
"""Addresses that every `new URL` takes: no port too large, no number or bad Punycode for a host."""

_SOURCE = re.compile(
    r"\^?(?:(?:[A-Za-z0-9 _@%&=!<>~,:;'\"`#-]|\.|\\[dDwWsS.\\/()\[\]{}+*?^$|]|\[[A-Za-z0-9_ ]+\])[+*?]?)+\$?"
)
"""Expressions that every `new RegExp` takes: no groups, and nothing repeated that cannot be."""

_FLAGS = frozenset("dgimsy")


def _is_safe(kind: Kind, plain: Any) -> bool:
    """Whether every client can make of `plain` what it is said to be.

    superjson throws where `new RegExp` or `new URL` do, and a client that throws there reads no further: so
    only addresses and expressions of which nobody doubts it keep their annotation, others are texts.
    """
    if kind == "URL":
        return _WEB.fullmatch(plain) is not None
    if kind == "regexp":
        _, _, source_and_flags = plain.partition("/")
        source, _, flags = source_and_flags.rpartition("/")
        are_flags = len(flags) == len(set(flags)) and _FLAGS.issuperset(flags)
        return are_flags and _SOURCE.fullmatch(source) is not None
    return True


def _text(pattern: str) -> Callable[[Any], bool]:
    matches = re.compile(pattern, re.DOTALL | re.ASCII).fullmatch
    return lambda plain: isinstance(plain, str) and matches(plain) is not None


_FITS: Mapping[str, Callable[[Any], bool]] = {
    "undefined": lambda plain: True,
    "Date": _text(r".*"),
    "bigint": _text(r"-?\d+"),
    "number": _text(r"NaN|-?Infinity|-0"),
    "regexp": _text(r"/.*/[a-z]*"),
    "URL": _text(r"[A-Za-z][A-Za-z0-9+.-]*:.*"),
    "set": lambda plain: isinstance(plain, list),
    "map": lambda plain: (
        isinstance(plain, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in plain)
    ),
    "Error": lambda plain: isinstance(plain, dict),
}
"""By type: whether a plain value can be one."""


# ── out ──────────────────────────────────────────────────────────────────────────────────────────────────


def dumps(json: bytes, notes: Notes = ()) -> bytes:
    """The superjson of a value whose JSON is `json`, with its `notes`; octets stay base64 text."""
    if not notes:
        return b'{"json":%b}' % json
    meta = _meta_of_few(notes) if len(notes) <= _FEW else _meta(notes)
    return b'{"json":%b%b}' % (json, meta)


def dumps_value(value: Any, marks: Marks | None = None) -> bytes:
    """The superjson of `value`: JSON-ready, with noted values in it perhaps, and of the type of `marks`.

    Raises TypeError like `json_bytes`.
    """
    return dumps(json_bytes(value), (*gathered(value), *(marks.find(value) if marks else ())))


@frozen(eq=False)
class Superjson:
    """`[server] transformer = "superjson"` (`adohub.wire.dialect.Transformer`)."""

    noting: Noting

    def read(self, value: Any) -> Any:
        """See `Values`."""
        return decode(value)

    def value(self, value: Any, marks: Marks | None = None) -> bytes:
        """See `Values`."""
        return dumps_value(value, marks)

    def event(self, event: Event, view: View) -> bytes:
        """See `Transformer`."""
        return dumps(PLAIN.event(event, view), self.noting.shown(event, view))

    def embed(self, before: bytes, value: bytes, after: bytes, path: str) -> bytes:
        """See `Transformer`: the annotations are of the whole, so their paths lead from there."""
        superjson = orjson.loads(value)
        json = before + json_bytes(superjson["json"]) + after
        if "meta" not in superjson:
            return b'{"json":%b}' % json
        values = superjson["meta"]["values"]
        if isinstance(values, dict):
            values = {f"{path}.{inner}": tree for inner, tree in values.items()}
        else:
            values = {path: values}
        return b'{"json":%b,"meta":{"values":%b,"v":1}}' % (json, json_bytes(values))


def _meta(notes: Notes) -> bytes:
    tree = Tree.of(note for note in notes if note[1] != "bytes" and FORBIDDEN.isdisjoint(note[0]))
    if not tree:
        return b""
    values = _annotated(tree) if tree.kind is not None else _annotations(tree)
    return b',"meta":{"values":%b,"v":1}' % json_bytes(values)


_FEW = 8
"""How many notes are worth remembering what they look like: the events of a topic have the same."""

_meta_of_few = lru_cache(maxsize=256)(_meta)


def _annotated(tree: Tree) -> list[Any]:
    inner = _annotations(tree)
    return [tree.kind, inner] if inner else [tree.kind]


def _annotations(tree: Tree, path: str = "") -> dict[str, Any]:
    """What is annotated below `tree`, which lies at `path` from the nearest annotated container."""
    found: dict[str, Any] = {}
    for step, part in tree.parts.items():
        here = path + str(step).replace("\\", "\\\\").replace(".", "\\.")
        if part.kind is not None:
            found[here] = _annotated(part)
        else:
            found |= _annotations(part, f"{here}.")
    return found
