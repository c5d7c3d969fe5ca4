"""What this version cannot do is said, not ignored."""

from __future__ import annotations

from typing import Any

import pytest

from adohub.config.unavailable import not_available_yet

LATER = "is not available in this version"


@pytest.mark.parametrize(
    ("tree", "fault"),
    [
        (
            {"server": {"drain_notice": "reconnect"}},
            f'server.drain_notice: "reconnect" {LATER}; use "close"',
        ),
    ],
)
def test_a_promise_of_later_versions_is_a_fault(tree: dict[str, Any], fault: str) -> None:
    assert [str(found) for found in not_available_yet(tree)] == [fault]


@pytest.mark.parametrize(
    "tree",
    [
        {},
        {
            "server": {
                "websocket": "native",
                "transformer": "none",
                "tls_cert": "a.pem",
                "drain_notice": "close",
            }
        },
        {"server": 5},
    ],
)
def test_anything_else_is_left_to_others(tree: dict[str, Any]) -> None:
    assert list(not_available_yet(tree)) == []
