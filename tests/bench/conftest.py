"""One workshop for all tests of the benchmark: its programs are compiled once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.bench.machine import Cores
from tests.bench.peers import Wishes
from tests.bench.plan import TINY
from tests.bench.rig import Rig
from tests.bench.workshop import open_workshop


@pytest.fixture(scope="package")
def rig() -> Iterator[Rig]:
    if shutil.which("cc") is None and shutil.which("gcc") is None:
        pytest.fail("the tests run the benchmark, whose load generator is C: install gcc and libc6-dev")
    with open_workshop() as workshop:
        yield Rig(TINY, workshop, Cores.choose(), Wishes())
