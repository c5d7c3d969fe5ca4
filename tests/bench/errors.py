"""What can go wrong with a measurement, in one line for whoever started it."""

from __future__ import annotations


class BenchError(Exception):
    """A measurement could not be made. `str()` says why."""
