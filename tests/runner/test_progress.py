"""Lines to percentages: what is read, what is left alone, and how text is cut into lines."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adohub.runner.progress import LINE_CHARACTERS, Lines, Meter, Progress, compile_regex

START = Progress("impl", 0.0, "start")


def read(line: str, regex: str | None = None) -> Progress | None:
    return Meter(START, compile_regex(regex) if regex else None).read(line)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("12/80", Progress("impl", 15.0, "12/80")),
        ("37%", Progress("impl", 37.0, "37%")),
        ("37.5 %", Progress("impl", 37.5, "37.5 %")),
        ("[12/80] cc main.c", Progress("impl", 15.0, "cc main.c")),
        ("12 / 80: linking", Progress("impl", 15.0, "linking")),
        ("[test] 12/80 parsing", Progress("test", 15.0, "parsing")),
        ("test: 37%", Progress("test", 37.0, "37%")),
        ("  [VALIDATE] 100%", Progress("validate", 100.0, "100%")),
        ("[spec] reading", Progress("spec", 0.0, "reading")),
        ("tests/test_a.py ..... [ 37%]", Progress("impl", 37.0, "tests/test_a.py ..... [ 37%]")),
        ("progress:37%", Progress("impl", 37.0, "progress:37%")),
        ("Done. 12/80", Progress("impl", 15.0, "Done. 12/80")),
        (" 45%|####    | 45/100 [00:10<00:12]", Progress("impl", 45.0, "####    | 45/100 [00:10<00:12]")),
        ("\x1b[32m12/80\x1b[0m green", Progress("impl", 15.0, "green")),
        ("13/0 then 40/80", Progress("impl", 50.0, "13/0 then 40/80")),
        ("0/80 begun", Progress("impl", 0.0, "begun")),
    ],
)
def test_progress_is_read(line: str, expected: Progress) -> None:
    assert read(line) == expected


@pytest.mark.parametrize(
    "line",
    [
        "13/0", "0/0", "90/80", "250%", "-5%", "1/2/2026", "1 / 2 / 2026", "2026/01/02", "/usr/1/2",
        "v1/2", "1.2/3", "1/2.5", "12/80x", "a12/80", "100%x", "http://host:80/12", "12/80-rc1", "words", "",
        "src/1/2.py", "pretest: words", "test:words", "[testing] words", "\N{ARABIC-INDIC DIGIT THREE}x/80",
    ],
)  # fmt: skip
def test_nonsense_is_left_alone(line: str) -> None:
    assert read(line) is None


def test_only_changes_are_told() -> None:
    meter = Meter(START)
    assert meter.read("12/80 a") is not None
    assert meter.read("12/80 a") is None
    assert meter.read("12/80 b") is not None
    assert meter.read("[test] x") == Progress("test", 0.0, "x")
    assert meter.read("50%") == Progress("test", 50.0, "50%")


@pytest.mark.parametrize(
    ("regex", "line", "expected"),
    [
        (r"at (\d+)", "at 12 now", Progress("impl", 12.0, "at 12 now")),
        (r"(\d+) of (\d+)", "3 of 4", Progress("impl", 75.0, "3 of 4")),
        (r"(?P<done>\d+) of (?P<total>\d+): (?P<message>.*)", "3 of 4: ok", Progress("impl", 75.0, "ok")),
        (r"(?P<phase>\w+) (?P<percent>[\d.]+)", "test 12.5", Progress("test", 12.5, "test 12.5")),
        (r"(?P<phase>\w+) (?P<percent>[\d.]+)", "cooking 12.5", Progress("impl", 12.5, "cooking 12.5")),
        (r"(?P<phase>\w+) begins", "test begins", Progress("test", 0.0, "test begins")),
        (r"at (\S+)", "at 1e9", Progress("impl", 0.0, "at 1e9")),
        (r"at (\S+)", "at nan", Progress("impl", 0.0, "at nan")),
        (r"at (\S+)", "50%", None),
    ],
)
def test_the_users_pattern_takes_the_place_of_ours(regex: str, line: str, expected: Progress | None) -> None:
    assert read(line, regex) == expected


@pytest.mark.parametrize(
    ("regex", "complaint"),
    [
        ("(", "not a regular expression"),
        ("no groups", "needs a group"),
        ("(a)(b)(c)", "needs a group"),
        ("(?P<done>x)", "go together"),
        ("(?P<percnt>x)", "unknown group 'percnt'"),
    ],
)
def test_a_pattern_that_cannot_serve_is_refused(regex: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)):
        compile_regex(regex)


def test_carriage_returns_end_lines_and_the_last_line_needs_no_end() -> None:
    lines = Lines()
    assert list(lines.feed("a\rb\r\n\nc")) == ["a", "b"]
    assert list(lines.feed("d\n")) == ["cd"]
    assert list(lines.feed("half")) == []
    assert list(lines.rest()) == ["half"]
    assert list(lines.rest()) == []


def test_of_a_long_line_only_the_beginning_is_kept() -> None:
    lines = Lines()
    for _ in range(100):
        assert list(lines.feed("x" * 1000)) == []
    assert list(lines.feed("\n5%\n")) == ["x" * LINE_CHARACTERS, "5%"]


@given(st.text(alphabet="ab\r\n", max_size=40), st.lists(st.integers(0, 40), max_size=5))
def test_lines_do_not_depend_on_how_text_is_read(text: str, cuts: list[int]) -> None:
    whole, pieces = Lines(), Lines()
    edges = [0, *sorted(cuts), len(text)]
    parts = [text[a:b] for a, b in pairwise(edges)]
    together = [*whole.feed(text), *whole.rest()]
    assert [line for part in parts for line in pieces.feed(part)] + list(pieces.rest()) == together


@given(st.text())
def test_whatever_a_line_says_the_percentage_is_sound(line: str) -> None:
    progress = read(line)
    assert progress is None or 0 <= progress.percent <= 100
