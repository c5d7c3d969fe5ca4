"""`make fuzz` keeps what breaks a reader, and says how to see it again."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.fuzz import __main__ as program
from tests.fuzz.targets import TARGETS, Target


def breaking(data: bytes) -> None:
    if b"\xff" in data:
        raise ValueError("a byte that nobody thought of")


@pytest.fixture(autouse=True)
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own, and a target that breaks."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(TARGETS, "breaking", Target(breaking, lambda: [b"\xff"]))


def asked(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["fuzz", *arguments])
    return program.main()


def test_what_breaks_a_reader_is_kept_and_breaks_it_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asked(monkeypatch, "breaking", "--seconds", "60", "--blind") == 1
    (found,) = program.findings("breaking")
    assert f"again: make fuzz FUZZ_ARGS='breaking {found}'" in capsys.readouterr().out
    assert asked(monkeypatch, "breaking", str(found)) == 1
    assert "a byte that nobody thought of" in capsys.readouterr().err


def test_a_finding_that_is_mended_breaks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    mended = Path("mended")
    mended.write_bytes(b"harmless")
    assert asked(monkeypatch, "breaking", str(mended)) == 0


def test_nothing_is_kept_where_nothing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch, "superjson", "--seconds", "1", "--blind") == 0
    assert program.findings("superjson") == set()
