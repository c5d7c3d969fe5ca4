"""Answers in lines, as both generations of clients read them."""

from __future__ import annotations

import json

from adohub.wire.dialect import PLAIN
from adohub.wire.http import Bodies
from adohub.wire.jsonl import JsonLines, V10Lines
from adohub.wire.messages import Data, Failure, Tag

SHAPE = {"message": "no", "code": -32003, "data": {"code": "FORBIDDEN", "httpStatus": 403, "path": "a.b"}}
ANSWERS: dict[int, Data | Failure] = {
    1: Failure(Tag(1), "FORBIDDEN", "no", "a.b"),
    0: Data(Tag(0), b'{"n":[1]}'),
    2: Data(Tag(2), None),
    3: Data(Tag(3), b"null"),
}
EXPECTED = [{"result": {"data": {"n": [1]}}}, {"error": SHAPE}, {"result": {}}, {"result": {"data": None}}]


def test_version_11_keeps_a_promise_for_each_call() -> None:
    lines = JsonLines(PLAIN)
    text = lines.head(4) + b"".join(lines.line(*answer) for answer in ANSWERS.items()) + lines.end
    assert text.endswith(b"\n")
    head, *kept = map(json.loads, text.splitlines())
    assert head == {str(number): [[0], [None, 0, number]] for number in range(4)}
    assert [number for number, _, _ in kept] == list(ANSWERS)
    for number, status, encoded in kept:
        assert status == 0
        assert encoded == [[EXPECTED[number]]]


def test_version_10_writes_one_object_a_member_a_line() -> None:
    lines = V10Lines(Bodies(PLAIN))
    written = [lines.head(4), *(lines.line(*answer) for answer in ANSWERS.items()), lines.end]
    assert json.loads(b"".join(written)) == {str(number): EXPECTED[number] for number in range(4)}
    for number, line in zip(ANSWERS, written[1:], strict=False):
        assert line[1:].startswith(b'"%d":' % number)
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1
