"""What holds for all tests. Each coroutine test runs on Trio; none marks itself (`anyio_mode = "auto"`)."""

from __future__ import annotations

import signal

import pytest
from trio.testing import MockClock


def pytest_configure() -> None:
    """Let the processes that tests start be interrupted, also where pytest is run in a shell's background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def clock() -> MockClock:
    """Time that passes when a test says so; it holds for every test that has this fixture."""
    return MockClock()


@pytest.fixture
def anyio_backend(request: pytest.FixtureRequest) -> object:
    """Trio, with `clock` where that is asked for, else in real time."""
    if "clock" in request.fixturenames:
        return "trio", {"clock": request.getfixturevalue("clock")}
    return "trio"
