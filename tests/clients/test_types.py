"""What `adohub typegen` writes, under two TypeScript compilers and with tRPC's own packages.

A good file compiles; of a bad one every line that says so fails, and no other.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, get_args

import pytest

from adohub.typegen import typescript
from tests.clients.puppet import HERE
from tests.typegen.making import config, offered

DEADLINE_S = 120

SOURCES = HERE / "types"
Compiler = Literal["typescript", "typescript-newest"]
every_compiler = pytest.mark.parametrize("compiler", get_args(Compiler))

Places = set[tuple[str, int]]
"""Lines of files."""


class Project:
    """A folder with the types of some hubs, and whoever uses them; `packages` has the tRPC that it uses."""

    def __init__(self, folder: Path, packages: Path, *files: str) -> None:
        self.folder = folder
        (folder / "node_modules").symlink_to(packages / "node_modules")
        (folder / "package.json").write_text('{"type": "module"}')
        self.files = [self.add(name, (SOURCES / name).read_text()) for name in files]
        self.add("same.ts", (SOURCES / "same.ts").read_text())
        options = json.loads((SOURCES / "tsconfig.json").read_text())
        self.add("tsconfig.json", json.dumps({**options, "files": files}))

    def add(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    def complaints(self, compiler: Compiler) -> list[str]:
        """What the compiler has against it: the first line of each."""
        command = ["node", str(SOURCES / "node_modules" / compiler / "bin" / "tsc"), "--pretty", "false"]
        done = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, timeout=DEADLINE_S, check=False
        )
        found = [line for line in done.stdout.splitlines() if not line.startswith(" ")]
        assert (done.returncode == 0) is (found == []), done.stdout + done.stderr
        return found

    def marked(self) -> Places:
        """The lines that say that they are bad."""
        return {
            (path.name, number)
            for path in self.files
            for number, line in enumerate(path.read_text().splitlines(), 1)
            if "// bad: " in line
        }


def places(complaints: Iterable[str]) -> Places:
    found = [re.match(r"([^(]+)\((\d+),\d+\): error TS\d+: ", line) for line in complaints]
    assert None not in found, complaints
    return {(one[1], int(one[2])) for one in found if one is not None}


def add_hubs(project: Project) -> None:
    """The hubs that the files name: the built-ins alone, with a plugin, and with dates as dates."""
    every = project.folder / "every"
    every.mkdir()
    project.add("hub.ts", typescript(offered(config())))
    project.add("hub-every.ts", typescript(offered(config(every))))
    project.add("hub-dates.ts", typescript(offered(config(every, transformer="superjson"))))


@every_compiler
def test_all_that_a_hub_offers_can_be_used(tmp_path: Path, compiler: Compiler) -> None:
    project = Project(tmp_path, SOURCES, "good.ts", "every.ts", "dates.ts")
    add_hubs(project)
    assert project.complaints(compiler) == []


@every_compiler
def test_every_wrong_use_is_an_error_where_it_is(tmp_path: Path, compiler: Compiler) -> None:
    project = Project(tmp_path, SOURCES, "bad.ts", "bad-dates.ts")
    add_hubs(project)
    assert project.marked()
    assert places(project.complaints(compiler)) == project.marked()


@every_compiler
def test_the_types_hold_in_an_older_11(tmp_path: Path, compiler: Compiler) -> None:
    project = Project(tmp_path, HERE / "v11.18", "good.ts")
    project.add("hub.ts", typescript(offered(config())))
    assert project.complaints(compiler) == []


@every_compiler
def test_the_types_hold_in_10(tmp_path: Path, compiler: Compiler) -> None:
    project = Project(tmp_path, HERE / "v10", "v10.ts", "bad-v10.ts")
    project.add("hub.ts", typescript(offered(config()), "10"))
    assert places(project.complaints(compiler)) == project.marked()


@every_compiler
def test_undeclared_topics_are_allowed_where_the_hub_allows_them(tmp_path: Path, compiler: Compiler) -> None:
    project = Project(tmp_path, SOURCES, "undeclared.ts")
    project.add("hub.ts", typescript(offered(config(allow_undeclared=True))))
    assert places(project.complaints(compiler)) == project.marked()
