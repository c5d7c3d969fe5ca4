"""Plugins in a folder of the test's own, and distributions installed there: nothing else is discovered."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest

from adohub.plugin import discovery
from tests.plugin.making import Workshop


@pytest.fixture(autouse=True)
def only_what_the_test_installs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What else is installed beside adohub must not decide a test."""

    def is_ours(entry: EntryPoint) -> bool:
        return entry.dist is not None and Path(str(entry.dist.locate_file(""))).is_relative_to(tmp_path)

    def ours(*, group: str) -> list[EntryPoint]:
        return [entry for entry in entry_points(group=group) if is_ours(entry)]

    monkeypatch.setattr(discovery, "entry_points", ours)


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    return Workshop(tmp_path, monkeypatch)
