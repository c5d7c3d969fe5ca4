"""Every recorded WebSocket conversation is one that adohub can have, but for the listed differences."""

from __future__ import annotations

import json

import pytest

from adohub.model import Event
from adohub.wire.conversation import Answer, Conversation
from adohub.wire.dialect import JSON_FRAMES, PLAIN
from adohub.wire.encode import View, data_prefix, encode, json_bytes
from adohub.wire.messages import ABSENT, Data, Failure, Ping, Pong, Reconnect, Started, Stopped, Tag
from adohub.wire.noting import Noting
from adohub.wire.superjson import Superjson
from tests.transcripts.differences import DIFFERENCES, UNPLAYED, UNSAID, Difference, our_script
from tests.transcripts.golden_files import GOLDEN, Connection, Transcript, recorded, script
from tests.transcripts.playbook import UNTRACKED, RecordedPosition, play, rehearse

SERVERS = [transcript for folder in ("v11", "v11.18", "v10") for transcript in recorded(GOLDEN / folder)]
SCRIPTED = recorded(GOLDEN / "scripted-server")
PLAYED = [
    (transcript, connection)
    for transcript in SERVERS
    if transcript.name not in UNPLAYED
    for connection in transcript.connections
]

# ── the recorded servers ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("transcript", "connection"),
    [pytest.param(*played, id=f"{played[0]}-{played[1].number}") for played in PLAYED],
)
def test_the_recorded_conversation_is_had_again(transcript: Transcript, connection: Connection) -> None:
    lines = our_script(transcript, connection.number, connection.lines)
    transformer = Superjson(Noting({})) if "superjson" in transcript.name else PLAIN
    rehearse(lines, expects_params=connection.expects_params, transformer=transformer)


@pytest.mark.parametrize("difference", DIFFERENCES, ids=str)
def test_every_difference_is_played_and_explained(difference: Difference) -> None:
    played = {(transcript.name, connection.number) for transcript, connection in PLAYED}
    assert (difference.transcript, difference.connection) in played
    assert difference.why
    assert list(difference.recorded) != list(difference.ours)


@pytest.mark.parametrize("name", UNPLAYED)
def test_a_peer_that_is_not_played_is_told_why(name: str) -> None:
    (transcript,) = [one for one in SERVERS if one.name == name]
    first = transcript.connections[0].lines[0].content
    conversation = Conversation(expects_params=False, max_subscriptions=1)
    (step,) = conversation.receive(first)
    assert conversation.is_binary
    assert isinstance(step, Answer)
    assert isinstance(step.message, Failure)
    assert step.message.message.startswith("Not MessagePack")


def test_no_transcript_is_forgotten() -> None:
    files = {path.relative_to(GOLDEN).as_posix() for path in GOLDEN.rglob("*") if path.is_file()}
    transcripts = {f"{one}.json" for one in (*SERVERS, *SCRIPTED)}
    assert files - transcripts == {"README.md", "superjson-format.json"}


def test_only_what_is_not_about_websockets_is_left_out() -> None:
    played = {transcript.name for transcript, _ in PLAYED}
    for transcript in SERVERS:
        if transcript.name not in played | set(UNPLAYED):
            assert not transcript.connections
            assert any(subject in transcript.name for subject in ("http", "sse"))


# ── the scripted servers: their frames alone, for they follow no rules ───────────────────────────────


def said_by_us(content: str | bytes) -> bytes | None:
    """What adohub says where `content` was sent; None where it would say nothing of the kind."""
    match content:
        case "PING":
            return encode(Ping())
        case "PONG":
            return encode(Pong())
    try:
        frame = json.loads(content)
    except ValueError:
        return None
    tag = Tag(frame["id"]) if isinstance(frame, dict) and "id" in frame else Tag(None)
    match frame:
        case {"method": "reconnect"}:
            return encode(Reconnect())
        case {"result": {"type": "started"}}:
            return encode(Started(tag))
        case {"result": {"type": "stopped"}}:
            return encode(Stopped(tag))
        case {"result": {"type": "data", "id": event_id, "data": value}}:
            event = Event(RecordedPosition(str(event_id), 0), "a.b", None, json_bytes(value), "")
            return data_prefix(tag) + JSON_FRAMES.body(event, View())
        case {"result": {"type": "data", **rest}}:
            value = rest.get("data", ABSENT)
            return encode(Data(tag, None if value is ABSENT else json_bytes(value)))
        case {"error": {"message": message, "data": {"code": code}}}:
            return encode(Failure(tag, code, message))
    return None


def is_said_by_us(content: str | bytes) -> bool:
    ours = said_by_us(content)
    if ours is None or not ours.startswith(b"{"):
        return ours == str(content).encode()
    same: bool = json.loads(ours) == json.loads(content)
    return same


def test_scripted_frames_are_ours_too_but_for_the_listed_ones() -> None:
    odd = {
        transcript.name.rpartition("/")[2]
        for transcript in SCRIPTED
        for connection in transcript.connections
        for line in connection.lines
        if line.speaker == "<" and not is_said_by_us(line.content)
    }
    assert odd == set(UNSAID)


# ── the playbook itself ──────────────────────────────────────────────────────────────────────────────

SCENE = """
    > {"id":1,"method":"subscription","params":{"path":"stream.onX"}}
    < {"id":1,"result":{"type":"started"}}
    > {"id":1,"method":"subscription","params":{"path":"stream.onX"}}
    < {"id":1,"error":{"message":"Duplicate id 1","code":-32600,
       "data":{"code":"BAD_REQUEST","httpStatus":400,"path":"stream.onX"}}}
    < {"id":1,"result":{"data":{"n":1},"type":"data","id":"e-1"}}
    > PING
    > {"id":1,"method":"subscription.stop"}
    < PONG
    < {"id":1,"result":{"type":"stopped"}}
"""


def test_a_true_scene_plays() -> None:
    rehearse(script(SCENE))


@pytest.mark.parametrize(
    ("written", "instead", "shown"),
    [
        ("Duplicate id 1", "Twice id 1", "Duplicate id 1"),
        ("-32600", "-32601", "-32600"),
        ('"path":"stream.onX"}}}', '"path":"stream.onY"}}}', "+ < "),
        ("< PONG", "", "+ < PONG"),
        ('< {"id":1,"result":{"type":"started"}}', "", "(nothing: "),
        ('< {"id":1,"result":{"type":"stopped"}}', '< {"id":2,"result":{"type":"stopped"}}', "(nothing: "),
        ('{"data":{"n":1},"type":"data","id":"e-1"}', '{"data":{"n":1},"type":"data","seq":1}', "- < "),
    ],
)
def test_a_false_line_is_shown_beside_the_true_one(written: str, instead: str, shown: str) -> None:
    assert written in SCENE
    with pytest.raises(AssertionError) as failure:
        rehearse(script(SCENE.replace(written, instead)))
    assert shown in str(failure.value)


def test_a_subscriptions_data_always_has_an_id() -> None:
    untracked = """
        > {"id":1,"method":"subscription","params":{"path":"stream.onX"}}
        < {"id":1,"result":{"type":"started"}}
        < {"id":1,"result":{"type":"data","data":{"n":1}}}
    """
    rehearse(script(untracked))
    said = json.loads(play(script(untracked))[-1].content)
    assert said == {"id": 1, "result": {"type": "data", "data": {"n": 1}, "id": UNTRACKED}}
