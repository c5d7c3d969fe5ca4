"""`adohub publish`: one event or many, in order, once; and whose fault it is when not."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
import trio

from tests.cli.processes import DEADLINE_S, adohub, history, kept, progress, running, serving
from tests.severing import severing_proxy


def ndjson(task: str, count: int) -> bytes:
    """Payloads, one a line, told apart by their messages."""
    return b"".join(json.dumps(progress(task, 1, str(number))).encode() + b"\n" for number in range(count))


async def messages(url: str, task: str) -> list[str]:
    return [event["payload"]["message"] for event in await history(url, "task.progress", key=task)]


async def test_a_payload_given_as_an_argument_is_stored_and_its_id_printed(hub_url: str) -> None:
    payload = json.dumps(progress("pu-one", 40, "→ compiling"))
    ended = await adohub("publish", "task.progress", payload, "--url", hub_url)
    assert (ended.status, ended.err) == (0, "")
    [event] = await history(hub_url, "task.progress", key="pu-one")
    assert ended.lines == [event["id"]]
    assert event["payload"]["message"] == "→ compiling"


@pytest.mark.parametrize("arguments", [[], ["-"]])
async def test_a_payload_is_read_from_stdin(hub_url: str, arguments: list[str]) -> None:
    task = f"pu-stdin-{len(arguments)}"
    payload = json.dumps(progress(task, 40), indent=2).encode()
    ended = await adohub("publish", "task.progress", *arguments, "--url", hub_url, stdin=payload)
    assert (ended.status, ended.err) == (0, "")
    assert await messages(hub_url, task) == ["working"]


async def test_json_is_the_hubs_answer(hub_url: str) -> None:
    payload = json.dumps(progress("pu-json", 40))
    ended = await adohub("publish", "task.progress", payload, "--json", "--url", hub_url)
    [event] = await history(hub_url, "task.progress", key="pu-json")
    assert json.loads(ended.out) == {"id": event["id"], "timestamp": event["timestamp"]}


async def test_a_thousand_lines_are_published_in_order(hub_url: str) -> None:
    ended = await adohub(
        "publish", "task.progress", "--many", "--url", hub_url, stdin=ndjson("pu-many", 1000)
    )
    assert (ended.status, ended.err) == (0, "")
    events = await history(hub_url, "task.progress", key="pu-many")
    assert [event["payload"]["message"] for event in events] == [str(number) for number in range(1000)]
    assert ended.lines == [event["id"] for event in events]


async def test_lines_are_published_as_they_come(hub_url: str) -> None:
    arguments = ["publish", "task.progress", "--many", "--url", hub_url]
    async with running(*arguments) as process:
        for number in range(1, 4):
            await process.type(ndjson("pu-slow", 1).decode())
            await kept(hub_url, number, "task.progress", key="pu-slow")
        await process.type("\n" + ndjson("pu-slow", 1).decode().strip())
        await process.close_stdin()
        ended = await process.ended()
    assert ended.status == 0
    assert len(await messages(hub_url, "pu-slow")) == 4


async def test_a_connection_that_is_cut_loses_and_doubles_nothing(tmp_path: Path) -> None:
    with trio.fail_after(DEADLINE_S):
        async with serving(tmp_path) as hub, severing_proxy(int(hub.port)) as proxy:
            arguments = ["publish", "task.progress", "--many", "--url", f"ws://127.0.0.1:{proxy.port}"]
            async with running(*arguments) as process:
                lines = ndjson("t", 500).decode().splitlines(keepends=True)
                for cut in range(5):
                    await process.type("".join(lines[cut * 100 : cut * 100 + 100]))
                    await kept(hub.url, cut * 100 + 1, "task.progress", key="t")
                    proxy.cut()
                await process.close_stdin()
                ended = await process.ended()
            assert ended.status == 0
            assert await messages(hub.url, "t") == [str(number) for number in range(500)]


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ('{"taskId": ', "the payload is not JSON"),
        ("[1]", "the payload is not a JSON object"),
        ('"text"', "the payload is not a JSON object"),
        ('{"deep": ' + "[" * 300 + "]" * 300 + "}", "the payload is not JSON"),
        ("\udcff", "the payload is not JSON"),
    ],
)
async def test_a_payload_that_is_no_json_object_is_told_plainly(payload: str, words: str) -> None:
    as_bytes = payload.encode(errors="surrogateescape")
    for ended in (
        await adohub("publish", "task.progress", payload),
        await adohub("publish", "task.progress", stdin=as_bytes),
    ):
        assert (ended.status, ended.out) == (2, "")
        [line] = ended.err.splitlines()
        assert line.startswith(f"adohub: {words}")


async def test_no_payload_at_all_is_told_plainly() -> None:
    ended = await adohub("publish", "task.progress")
    assert ended.status == 2
    assert ended.err == "adohub: there is no payload: give it as an argument or on stdin\n"


async def test_a_line_that_is_no_json_is_named_and_those_before_it_are_published(hub_url: str) -> None:
    stdin = ndjson("pu-bad", 150) + b"\n" + b"{oops\n" + ndjson("pu-bad", 10)
    ended = await adohub("publish", "task.progress", "--many", "--url", hub_url, stdin=stdin)
    assert ended.status == 2
    [line] = ended.err.splitlines()
    assert line.startswith("adohub: line 152 is not JSON")
    assert len(ended.lines) == len(await messages(hub_url, "pu-bad")) == 150


async def test_a_line_that_the_hub_refuses_is_named_and_those_before_it_are_published(hub_url: str) -> None:
    bad = json.dumps(progress("pu-refused", 101)).encode() + b"\n"
    stdin = ndjson("pu-refused", 150) + bad + ndjson("pu-refused", 10)
    ended = await adohub("publish", "task.progress", "--many", "--url", hub_url, stdin=stdin)
    assert ended.status == 1
    assert ended.err == "adohub: line 151: progress: expected at most 100, got 101\n"
    assert len(ended.lines) == 150
    assert await messages(hub_url, "pu-refused") == [str(number) for number in range(150)]


@pytest.mark.parametrize(
    ("topic", "payload", "words"),
    [
        ("task.progress", progress("t", 101), "progress: expected at most 100, got 101"),
        ("task.progress", {**progress("t", 1), "progress": "x"}, 'progress: expected number, got "x"'),
        ("task.progres", progress("t", 1), 'did you mean "task.progress"?'),
        ("Not A Topic", {}, "Not A Topic"),
    ],
)
async def test_a_refusal_is_one_line_in_the_hubs_words(
    hub_url: str, topic: str, payload: dict[str, object], words: str
) -> None:
    ended = await adohub("publish", topic, json.dumps(payload), "--url", hub_url)
    assert (ended.status, ended.out) == (1, "")
    [line] = ended.err.splitlines()
    assert line.startswith("adohub: ")
    assert words in line


async def test_an_event_that_is_too_big_is_refused_and_not_tried_for_ever(hub_url: str) -> None:
    big = json.dumps(progress("pu-big", 1, "x" * 2_000_000)).encode()
    stdin = ndjson("pu-big", 1) + big + b"\n" + ndjson("pu-big", 1)
    ended = await adohub("publish", "task.progress", "--many", "--url", hub_url, stdin=stdin)
    assert ended.status == 1
    assert "adohub: line 2: " in ended.err
    assert await messages(hub_url, "pu-big") == ["0"]


async def test_many_and_a_payload_exclude_each_other() -> None:
    ended = await adohub("publish", "task.progress", "{}", "--many")
    assert (ended.status, ended.out) == (2, "")
    assert "--many" in ended.err


async def test_an_interrupt_while_it_reads_ends_it_quietly(hub_url: str) -> None:
    async with running("publish", "task.progress", "--many", "--url", hub_url) as process:
        await process.type(ndjson("pu-int", 1).decode())
        await kept(hub_url, 1, "task.progress", key="pu-int")
        process.process.send_signal(signal.SIGINT)
        ended = await process.ended()
    assert (ended.status, ended.err) == (130, "")


async def test_at_a_terminal_it_says_what_it_waits_for_and_ctrl_c_ends_it(hub_url: str) -> None:
    async with running("publish", "task.progress", "--url", hub_url, terminal=(24, 80)) as process:
        await process.until("reading the payload from this terminal; Ctrl-D ends it")
        await process.type("\x03")
        ended = await process.ended()
    assert ended.status == 130
    assert "Aborted" not in ended.out
    assert "Traceback" not in ended.out


async def test_without_a_hub_it_says_so() -> None:
    ended = await adohub("publish", "task.progress", "{}", "--url", "ws://127.0.0.1:1")
    assert (ended.status, ended.out) == (69, "")
    assert len(ended.err.splitlines()) == 1
