"""The default file: every key with its meaning and default, from the classes themselves."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import tomli_w
from attrs import Attribute

from adohub.config.engines import ENGINES
from adohub.config.keys import Example
from adohub.config.sections import Config
from adohub.errors import ConfigError, Problem
from adohub.structuring import own_name, path_text

WIDTH = 100
"""Characters in a line of comment."""

_HEAD = """\
# The configuration of adohub: every key, with its default.
#
# Keys may be left out. Any of them can also be set by the environment, as ADOHUB__SERVER__PORT=3002.
# A line that begins with # and no space is an example: take the # away to use it.
"""


def annotated() -> str:
    """The annotated default file. Loading it gives `Config()`."""
    return _HEAD + "".join(f"{line}\n" for line in _lines((), Config()))


def write_default(path: Path, *, force: bool = False) -> None:
    """Write the annotated default file to `path`, over an existing one only with `force`.

    Raises `ConfigError` if there is one, or if it cannot be written.
    """
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(annotated())
    except FileExistsError:
        raise ConfigError([Problem(str(path), "", "exists already; --force overwrites it")]) from None
    except OSError as error:
        raise ConfigError([Problem(str(path), "", f"cannot be written: {error.strerror}")]) from None


def _lines(path: tuple[str, ...], table: Any, mark: str = "") -> Iterator[str]:
    """The lines of the table at `path`: its keys, then the tables in it. `mark` is `#` in an example."""
    if isinstance(table, Mapping):
        yield from (f"{mark}{name} = {_literal(value)}" for name, value in table.items())
        return
    inner = []
    for attribute in attrs.fields(type(table)):
        value = getattr(table, attribute.name)
        if attrs.has(type(value)) or attribute.metadata["example"]:
            inner.append((attribute, value))
        else:
            yield from _comment(attribute)
            yield f"{mark}{own_name(attribute.name)} = {_literal(value)}"
    for attribute, value in inner:
        yield from _section(path if attribute.name == ENGINES else (*path, attribute.name), attribute, value)


def _section(path: tuple[str, ...], attribute: Attribute[Any], value: object) -> Iterator[str]:
    yield ""
    yield from _comment(attribute)
    example: Example | None = attribute.metadata["example"]
    if example is None:
        yield f"[{path_text(path)}]"
        yield from _lines(path, value)
    else:
        listed = isinstance(value, tuple)
        yield f"#[[{path_text(path)}]]" if listed else f"#[{path_text((*path, example.name))}]"
        yield from _lines(path, example.entry, "#")


def _comment(attribute: Attribute[Any]) -> list[str]:
    unit = attribute.metadata["unit"]
    text = f"{attribute.metadata['doc']} [{unit}]" if unit else attribute.metadata["doc"]
    return textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ")


def _literal(value: object) -> str:
    """`value` as TOML has it, on one line."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(_literal, value))}]"
    return tomli_w.dumps({"_": value}).removeprefix("_ = ").rstrip("\n")
