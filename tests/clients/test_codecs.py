"""Values of real JavaScript go through the hub's codecs and come back to real JavaScript as they were."""

from __future__ import annotations

import json
import subprocess
from base64 import b64decode, b64encode
from typing import Any

import orjson
import pytest

from adohub.notes import notes_of
from adohub.wire import superjson
from adohub.wire.messages import ABSENT
from adohub.wire.packed import pack_json, unpack
from tests.clients.puppet import HERE

DEADLINE_S = 60
FEWEST = 400
"""How many values the program has at least."""


def codec(task: str, format_: str, given: bytes = b"") -> Any:
    """What `codec.mjs` prints."""
    command = ["node", str(HERE / "codecs" / "codec.mjs"), task, format_]
    ran = subprocess.run(command, input=given, stdout=subprocess.PIPE, check=True, timeout=DEADLINE_S)
    return json.loads(ran.stdout)


def differences(format_: str, written: list[Any]) -> Any:
    """What a codec reads of `written` that is not what it reads of its own writing."""
    verdict = codec("check", format_, json.dumps(written).encode())
    assert verdict["checked"] >= FEWEST
    return verdict["failures"]


def through_notes(form: Any) -> Any:
    value = superjson.decode(form)
    written = (
        superjson.UNDEFINED if value is ABSENT else superjson.dumps(orjson.dumps(value), notes_of(value))
    )
    return json.loads(written)


def through_json(frame: str) -> str:
    value = unpack(b64decode(frame))
    return b64encode(pack_json(orjson.dumps(value), notes_of(value))).decode()


def test_superjson_reads_what_it_wrote_after_it_was_plain_json_with_notes() -> None:
    assert differences("superjson", list(map(through_notes, codec("say", "superjson")))) == []


def test_the_check_tells_what_is_lost() -> None:
    """Without their notes, values are not what they were."""
    assert differences("superjson", [{"json": form["json"]} for form in codec("say", "superjson")]) != []


@pytest.mark.parametrize("format_", ["msgpack", "msgpackr"])
def test_messagepack_is_read_as_it_was_written_after_it_was_plain_json_with_notes(format_: str) -> None:
    assert differences(format_, list(map(through_json, codec("say", format_)))) == []


@pytest.mark.parametrize("format_", ["msgpack", "msgpackr"])
def test_dates_and_undefined_of_messagepack_become_json(format_: str) -> None:
    value = unpack(b64decode(codec("say", f"{format_} beyond json")[0]))
    assert value["date"] == "2026-01-02T03:04:05.678Z"
    assert value["before 1970"] == "1969-12-31T23:59:59.999Z"
    assert dict(notes_of(value)) == {("date",): "Date", ("before 1970",): "Date"}
    assert value["list"] == [None]
    assert value.get("undefined") is None
    assert value["large"] == 2**53 - 1
    assert isinstance(value["large"], int)
