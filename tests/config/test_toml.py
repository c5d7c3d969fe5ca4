"""Text that is no TOML is a problem with a place."""

from __future__ import annotations

from pathlib import Path

import pytest

from adohub.config.toml import read_toml, read_value
from adohub.errors import ConfigError


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"a = 1\nb = = 2\n", "line 2, column 5: invalid value"),
        (b"a = 1\n\n[server", "line 3, column 8: expected ']' at the end of a table declaration"),
        (b"a = [1,\n2", "line 2, column 2: unclosed array"),
        (b"a = 1\na = 2\n", "line 2, column 6: cannot overwrite a value"),
        (b"a = '\xff'\n", "not UTF-8 text"),
        (b"a = " + b"[" * 5000, "nested too deeply"),
    ],
)
def test_a_fault_in_the_text_names_its_place(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_toml(path)
    assert str(caught.value) == f"{path}: {problem}"


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    for path, problem in (
        (tmp_path / "none.toml", "no such file"),
        (tmp_path, "cannot be read: Is a directory"),
    ):
        with pytest.raises(ConfigError) as caught:
            read_toml(path)
        assert str(caught.value) == f"{path}: {problem}"


def test_windows_line_ends_and_a_byte_order_mark_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "windows.toml"
    path.write_bytes(b"\xef\xbb\xbfa = 1\r\nb = 2\r\n")
    assert read_toml(path) == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3002", 3002),
        ("true", True),
        ("[1, 2]", [1, 2]),
        ('"text"', "text"),
        ("{a = 1}", {"a": 1}),
        ("", ""),
        ("127.0.0.1", "127.0.0.1"),
        ("/var/run/adohub.sock", "/var/run/adohub.sock"),
        ("1\nother = 2", "1\nother = 2"),
    ],
)
def test_a_value_is_read_as_in_toml_or_taken_as_text(text: str, value: object) -> None:
    assert read_value(text) == value


@pytest.mark.parametrize("text", ['"open', "[1,", "{a", "'x' y"])
def test_a_value_that_was_meant_as_toml_must_be_toml(text: str) -> None:
    with pytest.raises(ValueError, match="not a TOML value"):
        read_value(text)
