"""What leaves this repository: a wheel of adohub and nothing else, and exact pins of what it needs."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import distribution, version
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECTS = [ROOT / "pyproject.toml", *sorted(ROOT.glob("plugins/*/pyproject.toml"))]
NOT_BY_SETUP = {"atheris", "kosoku", "uvloop", "websockets"}
LOCKS = sorted(
    lock
    for folder in ("tests", "examples")
    for lock in (ROOT / folder).glob("**/package-lock.json")
    if "node_modules" not in lock.parts
)
LOCAL = {"adohub", *(project.parent.name for project in PROJECTS[1:])}


def read(project: Path) -> dict[str, Any]:
    return tomllib.loads(project.read_text())


def pins() -> dict[str, str]:
    lines = (line.strip() for line in (ROOT / "constraints.txt").read_text().splitlines())
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def needed(name: str, extras: frozenset[str] = frozenset()) -> Iterator[Requirement]:
    """What the installed distribution `name` needs here, with those of its `extras`."""
    for requirement in map(Requirement, distribution(name).requires or ()):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras | {""}):
            yield requirement


def all_needed(*names: str) -> dict[str, list[Requirement]]:
    """Everything that `names`, with their `dev` extras, need however indirectly: who is needed, and how."""
    found: dict[str, list[Requirement]] = {}
    open_ends = [(name, frozenset({"dev"})) for name in names]
    visited = set()
    while open_ends:
        name, extras = end = open_ends.pop()
        if end in visited:
            continue
        visited.add(end)
        for requirement in needed(name, extras):
            needed_name = canonicalize_name(requirement.name)
            found.setdefault(needed_name, []).append(requirement)
            open_ends.append((needed_name, frozenset(requirement.extras)))
    return {name: requirements for name, requirements in found.items() if name not in LOCAL}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.iterdir()
    return built


def test_the_wheel_holds_adohub_and_nothing_else(wheel: Path) -> None:
    names = ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"adohub", f"adohub-{version('adohub')}.dist-info"}
    here = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("adohub/**/*.py")}
    assert here <= set(names)


def test_the_wheel_is_typed_and_licensed(wheel: Path) -> None:
    names = ZipFile(wheel).namelist()
    assert "adohub/py.typed" in names
    assert any(name.endswith("/LICENSE") for name in names)


def test_the_wheel_brings_the_command_and_no_plugin(wheel: Path) -> None:
    archive = ZipFile(wheel)
    (listing,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
    assert archive.read(listing).decode().split() == ["[console_scripts]", "adohub", "=", "adohub.cli:main"]


def test_the_version_is_written_in_one_place() -> None:
    stated = read(ROOT / "pyproject.toml")["project"]["version"]
    assert version("adohub") == stated
    assert not [path for path in ROOT.glob("adohub/**/*.py") if f'"{stated}"' in path.read_text()]


def test_every_pin_is_exact_and_nothing_but_a_pin() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    wrong = [line for line in lines if not re.fullmatch(r"#.*|[a-z0-9-]+==[0-9][0-9a-z.]*", line)]
    assert not wrong


def test_the_pins_cover_everything_that_is_needed() -> None:
    assert all_needed(*LOCAL).keys() <= pins().keys()


def test_every_pin_lies_within_every_range() -> None:
    pinned = pins()
    outside = [
        f"{requirement} is pinned to {pinned[name]}"
        for name, requirements in all_needed(*LOCAL).items()
        for requirement in requirements
        if not requirement.specifier.contains(pinned[name])
    ]
    assert not outside


def test_what_runs_here_is_what_is_pinned() -> None:
    pinned = {name: pin for name, pin in pins().items() if name not in NOT_BY_SETUP}
    assert {name: version(name) for name in pinned} == pinned


@pytest.mark.parametrize("project", PROJECTS[1:], ids=lambda project: project.parent.name)
def test_a_plugin_is_a_distribution_of_its_own(project: Path) -> None:
    stated = read(project)["project"]
    assert stated["name"] == project.parent.name
    assert stated["entry-points"]["adohub"]
    assert "adohub" in {Requirement(text).name for text in stated["dependencies"]}
    assert list((project.parent / "tests").glob("test_*.py"))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.parent.name)
def test_a_node_lock_file_names_no_registry(lock: Path) -> None:
    assert '"resolved"' not in lock.read_text()
