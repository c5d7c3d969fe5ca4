"""The version, as the installed distribution has it."""

from __future__ import annotations

from importlib.metadata import version

__version__ = version("adohub")
