"""The work that `adohub demo` watches: byte-compile the standard library, and check the result.

Real work that every machine with Python has at hand, in four stages: parse the sources (spec), compile them
(impl), load what was compiled and go through its instructions (test), compile once more and compare
(validate).
"""

from __future__ import annotations

import ast
import dis
import marshal
import py_compile
import signal
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import CodeType

MOST_SOURCES = 500
"""How many files are worked on: some fifteen seconds' worth."""

LINE_EVERY = 125
"""After how many files a line is left standing."""

TERMINATED = 128 + signal.SIGTERM

_HEADER_BYTES = 16
"""A .pyc file's magic number, flags and source stamp (PEP 552)."""

_LEFT_OUT = {"test", "tests", "idlelib", "lib2to3", "site-packages", "__pycache__"}


def main() -> None:
    """Do the work, printing a line for each file."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))  # so that the folder goes, too
    library = Path(sysconfig.get_path("stdlib"))
    with tempfile.TemporaryDirectory(prefix="adohub-demo-") as folder:
        sources = find(library)
        compiled = {source: Path(folder, f"{number}.pyc") for number, source in enumerate(sources)}
        print(f"compiling {len(sources)} files of {library.name}")
        each("spec", sources, library, parse_one)
        each("impl", sources, library, lambda source: compile_one(source, compiled[source]))
        each("test", sources, library, lambda source: load_one(compiled[source]))
        each("validate", sources, library, lambda source: compare_one(source, compiled[source]))
    print("all of it is sound")


def find(library: Path) -> Sequence[Path]:
    """The sources, in order."""
    found = (path for path in library.rglob("*.py") if not _LEFT_OUT & set(path.relative_to(library).parts))
    return sorted(found)[:MOST_SOURCES]


def each(phase: str, sources: Sequence[Path], library: Path, work: Callable[[Path], None]) -> None:
    """Do `work` on every source, and print how far it is: over the last line, mostly."""
    for number, source in enumerate(sources, start=1):
        work(source)
        lasting = number == len(sources) or number % LINE_EVERY == 0
        line = f"[{phase}] {number}/{len(sources)} {source.relative_to(library)}"
        print(line, end="\n" if lasting else "\r", flush=True)


def parse_one(source: Path) -> None:
    """Parse, and parse what that would be written as."""
    ast.parse(ast.unparse(ast.parse(source.read_bytes())))


def compile_one(source: Path, target: Path) -> None:
    """Byte-compile into `target`."""
    py_compile.compile(str(source), str(target), doraise=True)


def load_one(target: Path) -> None:
    """Read the code object back, and every instruction in it."""
    pending = [_code(target)]
    while pending:
        code = pending.pop()
        for _ in dis.get_instructions(code):
            pass
        pending += [constant for constant in code.co_consts if isinstance(constant, CodeType)]


def compare_one(source: Path, target: Path) -> None:
    """Compile once more, and compare."""
    if compile(source.read_bytes(), str(source), "exec", dont_inherit=True) != _code(target):
        raise SystemExit(f"{target} is not what {source} compiles to")


def _code(target: Path) -> CodeType:
    code = marshal.loads(target.read_bytes()[_HEADER_BYTES:])  # noqa: S302 - written a moment ago, by us
    if not isinstance(code, CodeType):
        raise SystemExit(f"{target} holds no code")
    return code


if __name__ == "__main__":
    main()
