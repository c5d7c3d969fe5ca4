"""The tests of a plugin run as its author would run them: against adohub as it is installed."""

from __future__ import annotations

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Trio, as the hub."""
    return "trio"
