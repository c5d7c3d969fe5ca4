"""Finds plugins and imports them: built-ins by name, distributions by entry point, single files by folder.

A plugin that cannot be imported is found all the same, with what went wrong in its place.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from attrs import frozen

from adohub.errors import PluginError
from adohub.version import __version__

ENTRY_POINT_GROUP = "adohub"

BUILTINS: Sequence[str] = (
    "memory",
    "sqlite",
    "tokens",
    "peers",
    "hub",
    "events",
    "tasks",
    "agents",
    "system",
    "state",
    "workers",
    "pages",
)
"""The plugins in `adohub.builtin`, in load order."""


@frozen
class Found:
    """A plugin on disk: its name, where it is from, its version, and its module or why there is none.

    `place` is what it is imported by: a file, or the name of a module.
    """

    name: str
    origin: str
    version: str
    module: ModuleType | None = None
    error: PluginError | None = None
    place: str | Path = ""

    def may_authenticate(self) -> bool:
        """Whether its source, which is not run, speaks of authenticators; True if there is none to read."""
        try:
            return any("authenticat" in file.read_text(errors="replace") for file in _sources(self.place))
        except (OSError, ImportError, ValueError):
            return True


def _sources(place: str | Path) -> Sequence[Path]:
    """The Python files of a plugin. Raises OSError, ImportError, ValueError."""
    if isinstance(place, Path):
        return [place]
    spec = importlib.util.find_spec(place.partition(":")[0].partition(".")[0])
    if spec is None or spec.origin is None:
        raise ImportError(f"there is no {place}")
    origin = Path(spec.origin)
    return list(origin.parent.rglob("*.py")) if spec.submodule_search_locations else [origin]


def discover(directories: Sequence[Path], disabled: Sequence[str]) -> Iterator[Found]:
    """Every plugin there is, built-ins first. Those named in `disabled` are not imported."""
    for name in BUILTINS:
        yield _found(name, "built-in", __version__, disabled, f"adohub.builtin.{name}")
    for entry in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda entry: entry.name):
        yield _found(entry.name, _distribution(entry), _version(entry), disabled, entry.value)
    for directory in dict.fromkeys(directories):
        yield from _in_directory(directory, disabled)


def _in_directory(directory: Path, disabled: Sequence[str]) -> Iterator[Found]:
    try:
        files = sorted(
            path for path in directory.iterdir() if path.suffix == ".py" and path.name[0] not in "._"
        )
    except OSError as error:
        complaint = PluginError(str(directory), f"the folder cannot be read: {error.strerror}")
        yield Found(str(directory), str(directory), "", error=complaint)
        return
    for path in files:
        yield _found(path.stem, str(path), "", disabled, path)


def _found(name: str, origin: str, version: str, disabled: Sequence[str], place: str | Path) -> Found:
    if name in disabled:
        return Found(name, origin, version)
    try:
        module = _import_file(name, place) if isinstance(place, Path) else _import_object(place)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - what a stranger's module raises is its own failure
        return Found(name, origin, version, error=_import_failure(name, error), place=place)
    return Found(name, origin, version or str(getattr(module, "__version__", "")), module, place=place)


def _import_object(value: str) -> ModuleType:
    module_name, _, attribute = value.partition(":")
    module = importlib.import_module(module_name)
    return getattr(module, attribute) if attribute else module


def _import_file(name: str, path: Path) -> ModuleType:
    qualified = f"adohub_plugin_{name}"
    spec = importlib.util.spec_from_file_location(qualified, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[qualified] = module  # attrs resolves postponed annotations through it
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[qualified]
        raise
    return module


def _import_failure(name: str, error: BaseException) -> PluginError:
    failure = PluginError(name, f"cannot be imported: {type(error).__name__}: {error}")
    failure.__cause__ = error
    return failure


def _distribution(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.value


def _version(entry: EntryPoint) -> str:
    return entry.dist.version if entry.dist else ""
