"""The recorded transcripts as scripts: per WebSocket, what the peer (`>`) and the server (`<`) said in turn.

The files are described in `golden/README.md`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from attrs import frozen

GOLDEN = Path(__file__).parent / "golden"

Speaker = Literal[">", "<"]


@frozen
class Line:
    """One WebSocket message: who says it, and its content."""

    speaker: Speaker
    content: str | bytes

    def __str__(self) -> str:
        shown = self.content if isinstance(self.content, str) else f"<binary {self.content.hex()}>"
        return f"{self.speaker} {shown}"


def script(text: str) -> list[Line]:
    """The lines written in `text`; one that begins with neither `>` nor `<` continues the one before."""
    whole = re.sub(r"\n\s*(?![\s<>])", "", text)
    written = filter(None, map(str.strip, whole.splitlines()))
    return [Line(">" if line[0] == ">" else "<", line[1:].strip()) for line in written]


@frozen
class Connection:
    """One recorded WebSocket."""

    number: int
    expects_params: bool
    lines: Sequence[Line]


@frozen
class Transcript:
    """One recorded behaviour. `name` is its path below `golden/`, without `.json`."""

    name: str
    document: dict[str, Any]

    def __str__(self) -> str:
        return self.name

    @property
    def connections(self) -> list[Connection]:
        """The WebSockets on which something was said."""
        spoken = [frame for frame in self.document["frames"] if frame["kind"] in ("text", "binary")]
        numbers = sorted({frame["conn"] for frame in spoken})
        return [self._connection(number, spoken) for number in numbers]

    def _connection(self, number: int, spoken: Iterable[dict[str, Any]]) -> Connection:
        (url,) = [
            frame["data"]["url"]
            for frame in self.document["frames"]
            if frame["kind"] == "http-request" and frame.get("conn") == number
        ]
        lines = [_line(frame) for frame in spoken if frame["conn"] == number]
        return Connection(number, "connectionParams=1" in url, lines)


def _line(frame: dict[str, Any]) -> Line:
    speaker: Speaker = ">" if frame["dir"] == "c2s" else "<"
    content = frame["data"]
    if frame["kind"] == "binary":
        return Line(speaker, bytes.fromhex(content["hex"]))
    return Line(speaker, content if isinstance(content, str) else compact(content))


def compact(value: Any) -> str:
    """`value` as JSON on one line."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def recorded(folder: Path) -> list[Transcript]:
    """Every transcript below `folder`, in order of name."""
    files = {path: json.loads(path.read_text("utf-8")) for path in sorted(folder.rglob("*.json"))}
    return [
        Transcript(path.relative_to(GOLDEN).with_suffix("").as_posix(), document)
        for path, document in files.items()
        if "frames" in document
    ]
