"""One configuration from a file and the environment, or every problem with it at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from adohub.config.engines import OWN_KEYS, gather_engines
from adohub.config.environment import KeyPath, lay_over
from adohub.config.sections import Config
from adohub.config.storage import Storage
from adohub.config.toml import read_toml
from adohub.config.unavailable import not_available_yet
from adohub.errors import ConfigError, Problem
from adohub.structuring import Fault, StructureError, did_you_mean, path_text, strict

VARIABLE = "ADOHUB_CONFIG"
"""The environment variable that names the file."""

PLACES = (Path("adohub.toml"), Path("/etc/adohub/adohub.toml"))
"""Where a file is looked for that nobody named."""


def locate(option: str | None, environ: Mapping[str, str]) -> Path | None:
    """The file to read: `option`, else what ADOHUB_CONFIG names, else the first usual place, else None.

    Raises `ConfigError` if the one that was named does not exist.
    """
    if option:
        return _named(Path(option), "")
    if environ.get(VARIABLE):
        return _named(Path(environ[VARIABLE]), f" (named by {VARIABLE})")
    return next((place for place in PLACES if _exists(place)), None)


def load(path: Path | None, environ: Mapping[str, str]) -> Config:
    """The configuration in the file at `path`, if any, with the ADOHUB__… variables laid over it.

    Raises `ConfigError` with every problem: of the file, of the variables, and of what they say together.
    """
    tree, problems = _read(path)
    setters, more = lay_over(tree, environ)
    problems += more
    config: Config | None = None
    faults = [*not_available_yet(tree), *_misspelt_engines(tree)]
    try:
        config = strict.structure(_shaped(tree), Config)
    except StructureError as error:
        faults += error.faults
    problems += [
        Problem(_source(fault.path, setters) or str(path or ""), path_text(fault.path), fault.message)
        for fault in faults
    ]
    if problems or config is None:
        raise ConfigError(problems)
    return config


def _named(path: Path, by: str) -> Path:
    if not _exists(path):
        raise ConfigError([Problem(str(path), "", f"no such file{by}")])
    return path


def _exists(path: Path) -> bool:
    """Whether there is a file; one that we may not even look at is there, and a problem when it is read."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _read(path: Path | None) -> tuple[dict[str, Any], list[Problem]]:
    try:
        return ({} if path is None else read_toml(path)), []
    except ConfigError as error:
        return {}, list(error.problems)


def _shaped(tree: Mapping[str, Any]) -> dict[str, Any]:
    storage = tree.get("storage")
    return {**tree, "storage": gather_engines(storage)} if isinstance(storage, Mapping) else dict(tree)


def _misspelt_engines(tree: Mapping[str, Any]) -> Iterator[Fault]:
    """A table of an engine that is not in use, and whose name is nearly that of one adohub knows."""
    storage = tree.get("storage")
    if not isinstance(storage, Mapping):
        return
    in_use = storage.get("engine", Storage().engine)
    for name, table in storage.items():
        meant = did_you_mean(name, OWN_KEYS)
        if isinstance(table, Mapping) and name not in OWN_KEYS and name != in_use and meant:
            yield Fault(("storage", name), f"unknown key{meant}")


def _source(path: tuple[str | int, ...], setters: Mapping[KeyPath, str]) -> str | None:
    """The variable that set what is at `path`, or around it, or in it."""
    around = [setters[key] for key in setters if path[: len(key)] == key]
    inside = [setters[key] for key in setters if key[: len(path)] == path]
    return next(iter(around + inside), None)
