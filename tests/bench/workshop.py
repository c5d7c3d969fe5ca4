"""The folder one run works in: programs it compiles, configurations it writes. It is gone at the end."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from tests.bench.errors import BenchError

HERE = Path(__file__).parent
_LOAD_SOURCES = sorted((HERE / "load").glob("*.c"))
_LOOP_SOURCES = [HERE / "peers" / "c_loop.c", HERE / "load" / "buffer.c", HERE / "load" / "frame.c"]
_FLAGS = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-D_GNU_SOURCE", f"-I{HERE / 'load'}"]


@frozen
class Workshop:
    """`load` is the load generator and `c_loop` the smallest server, both ready to run."""

    folder: Path
    load: Path
    c_loop: Path


@contextmanager
def open_workshop() -> Iterator[Workshop]:
    """A workshop in a temporary folder. Raises BenchError if there is no C compiler."""
    with tempfile.TemporaryDirectory(prefix="adohub-bench-") as name:
        folder = Path(name)
        load = _compile(_LOAD_SOURCES, folder / "load")
        c_loop = _compile(_LOOP_SOURCES, folder / "c_loop")
        yield Workshop(folder, load, c_loop)


def _compile(sources: Sequence[Path], program: Path) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise BenchError(
            "the load generator is written in C: install a C compiler (on Debian: gcc, libc6-dev)"
        )
    done = subprocess.run(
        [compiler, *_FLAGS, "-o", program, *sources], capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode:
        raise BenchError(f"{compiler} cannot compile {program.name}:\n{done.stderr}")
    return program
