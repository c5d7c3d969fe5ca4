"""As in `tests/net`: what a hub promises here, it promises with either host."""

from __future__ import annotations

from tests.net.conftest import pytest_generate_tests, websocket

__all__ = ["pytest_generate_tests", "websocket"]
