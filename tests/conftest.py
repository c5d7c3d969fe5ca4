"""Every coroutine test runs on Trio; no test marks itself (`anyio_mode = "auto"` in pyproject.toml)."""

from __future__ import annotations

import pytest


@pytest.fixture
def anyio_backend() -> object:
    """Trio with its real clock. Override it with `("trio", {"clock": MockClock(...)})` for virtual time."""
    return "trio"
