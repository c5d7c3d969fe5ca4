"""What holds for all tests. Each coroutine test runs on Trio; none marks itself (`anyio_mode = "auto"`)."""

from __future__ import annotations

import signal

import pytest


def pytest_configure() -> None:
    """Let the processes that tests start be interrupted, also where pytest is run in a shell's background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def anyio_backend() -> object:
    """Trio with its real clock. Override it with `("trio", {"clock": MockClock(...)})` for virtual time."""
    return "trio"
