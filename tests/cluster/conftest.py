"""Chance, whose seed is told when a test fails."""

from __future__ import annotations

from random import Random, SystemRandom

import pytest


@pytest.fixture
def chance() -> Random:
    """What happens when, and to whom."""
    seed = SystemRandom().randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - pytest shows it with what failed
    return Random(seed)
