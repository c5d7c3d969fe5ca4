"""`ADOHUB__SERVER__PORT=3002` is `[server] port = 3002`: any key, laid over what the file says.

Segments are matched against the keys that exist, in any case. Names that an operator chose (of roles,
plugins, engines, channels) are matched with `_` for what a variable's name cannot hold; a new one is taken in
lower case. Channels are the exception: their names have dots, so only those of the file can be set.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args, get_origin

import attrs

from adohub.config.engines import ENGINES
from adohub.config.sections import Config, DeclaredChannel
from adohub.config.storage import Storage
from adohub.config.toml import read_value
from adohub.errors import Problem
from adohub.structuring import did_you_mean, path_text

PREFIX = "ADOHUB__"

KeyPath = tuple[str, ...]


def lay_over(tree: dict[str, Any], environ: Mapping[str, str]) -> tuple[dict[KeyPath, str], list[Problem]]:
    """Put what `environ` sets into `tree`, in place.

    Returns the variable behind each key that was set, and what is wrong with the others.
    """
    setters: dict[KeyPath, str] = {}
    names = sorted(name for name in environ if name.startswith(PREFIX))
    problems = [_lay(name, environ[name], tree, setters) for name in names]
    return setters, [problem for problem in problems if problem]


def _lay(name: str, text: str, tree: dict[str, Any], setters: dict[KeyPath, str]) -> Problem | None:
    path = _key_path(Config, name.removeprefix(PREFIX).split("__"), tree)
    if path is None:
        return Problem(
            name, "", f"unknown key{did_you_mean(name.upper(), _variables(Config, tree, 'ADOHUB'))}"
        )
    if path in setters:
        return Problem(name, path_text(path), f"set by {setters[path]} already")
    try:
        _put(tree, path, read_value(text))
    except ValueError as error:
        return Problem(name, path_text(path), str(error))
    setters[path] = name
    return None


def _put(tree: dict[str, Any], path: KeyPath, value: Any) -> None:
    """Raises `ValueError` if there is something else where a table is needed."""
    *tables, key = path
    for step in tables:
        below = tree.setdefault(step, {})
        if type(below) is not dict:
            raise ValueError(f"{step} is not a table")
        tree = below
    tree[key] = value


def _key_path(type_: Any, segments: Sequence[str], table: Any) -> KeyPath | None:
    """The key that `segments` name in a value of `type_`, of which `table` is what there is; None if none."""
    if not segments:
        return () if _is_key(type_) else None
    known = dict(_entries(type_, table))
    name = next((name for name in known if _shouted(name) == _shouted(segments[0])), segments[0].lower())
    below = known.get(name) or _newcomer(type_)
    if below is None or not name:
        return None
    path = _key_path(below, segments[1:], _inside(table, name))
    return None if path is None else (name, *path)


def _variables(type_: Any, table: Any, prefix: str) -> Iterator[str]:
    """The names of all variables that would set a key there is."""
    if _is_key(type_):
        yield prefix
    for name, below in _entries(type_, table):
        yield from _variables(below, _inside(table, name), f"{prefix}__{_shouted(name)}")


def _entries(type_: Any, table: Any) -> Iterator[tuple[str, Any]]:
    """What a `type_` is known to hold: its attributes, or the names that `table` has already."""
    if attrs.has(type_):
        for attribute in attrs.fields(attrs.resolve_types(type_)):
            if attribute.name != ENGINES:
                yield attribute.name, attribute.type
    elif isinstance(table, Mapping) and _held(type_):
        yield from ((name, _held(type_)) for name in table)


def _newcomer(type_: Any) -> Any:
    """The type of what a `type_` may be given under a new name; None if it takes nothing new."""
    if type_ is Storage:
        return dict[str, Any]
    return None if _held(type_) is DeclaredChannel else _held(type_)


def _held(type_: Any) -> Any:
    """The type of what stands under the free names of a `type_`; None if it has no such names."""
    if type_ is Any:
        return Any
    return get_args(type_)[1] if get_origin(type_) in (dict, Mapping) else None


def _is_key(type_: Any) -> bool:
    return type_ is Any or not (attrs.has(type_) or _held(type_))


def _inside(table: Any, name: str) -> Any:
    return table.get(name) if isinstance(table, Mapping) else None


def _shouted(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "_", name.upper())
