"""`adohub tail`: which events, in which form, and how it ends."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.cli.processes import DEADLINE_S, adohub, completed, output, progress, publish, running, serving

SHAPE = ["id", "topic", "key", "payload", "timestamp"]


async def first_of(url: str, task: str) -> str:
    """The id of an event of `task`, for `--after`."""
    [event_id] = await publish(url, ("task.progress", progress(task, 0)))
    return event_id


async def test_events_are_printed_as_they_come(hub_url: str) -> None:
    async with running("tail", "--key", "tail-live", "--url", hub_url) as tail:
        async with trio.open_nursery() as nursery:

            async def tell() -> None:
                while True:  # it says nothing before the first event, so nobody knows when it listens
                    await publish(hub_url, ("task.progress", progress("tail-live", 1, "now")))

            nursery.start_soon(tell)
            await tail.until("now")
            nursery.cancel_scope.cancel()
    line = tail.out.splitlines()[0]
    _, topic, key, payload = line.split(" ", 3)
    assert (topic, key) == ("task.progress", "tail-live")
    assert json.loads(payload)["message"] == "now"


async def test_after_an_event_comes_the_next_in_the_form_of_the_contract(hub_url: str) -> None:
    after = await first_of(hub_url, "tail-json")
    ids = await publish(
        hub_url,
        ("agent.output", output("tail-json", "hello\n")),
        ("task.completed", completed("tail-json")),
    )
    async with running("tail", "--json", "--after", after, "--url", hub_url) as tail:
        await tail.until('"task.completed","key":"tail-json"')
    events: list[dict[str, Any]] = [json.loads(line) for line in tail.out.splitlines()]
    events = [event for event in events if event["key"] == "tail-json"]
    assert [list(event) for event in events] == [SHAPE, SHAPE]
    assert [event["id"] for event in events] == ids
    assert events[0]["payload"]["content"] == "hello\n"


async def test_patterns_and_a_key_choose(hub_url: str) -> None:
    after = await first_of(hub_url, "tail-one")
    await publish(
        hub_url,
        ("task.progress", progress("tail-one", 1)),
        ("agent.output", output("tail-one", "x")),
        ("task.progress", progress("tail-two", 1)),
        ("task.completed", completed("tail-one")),
        ("deploy.release", {"env": "tail-one"}),
    )
    chosen = ["tail", "task.*", "deploy.**", "--key", "tail-one"]
    async with running(*chosen, "--after", after, "--json", "--url", hub_url) as tail:
        await tail.until("deploy.release")
    topics = [json.loads(line)["topic"] for line in tail.out.splitlines()]
    assert topics == ["task.progress", "task.completed", "deploy.release"]


async def test_an_event_is_one_line_without_control_sequences(hub_url: str) -> None:
    after = await first_of(hub_url, "tail-evil")
    await publish(
        hub_url,
        ("deploy.release", {"env": "two\nlines\x1b[2J", "evil\x9b5n": "\x1b]0;title\x07\x7f"}),
        ("deploy.release", {"env": "end"}),
    )
    async with running("tail", "deploy.release", "--after", after, "--url", hub_url) as tail:
        await tail.until(" end ")
    [evil] = [line for line in tail.out.splitlines() if "two lines" in line]
    assert not any(sign in tail.out for sign in "\x1b\x9b\x7f\x07")
    assert "evil" in evil


async def test_it_ends_quietly_when_nobody_reads_it_any_more(hub_url: str) -> None:
    after = await first_of(hub_url, "tail-head")
    await publish(hub_url, ("task.progress", progress("tail-head", 1, "seen")))
    async with running("tail", "--key", "tail-head", "--after", after, "--url", hub_url) as tail:
        await tail.until("seen")
        await tail.stop_reading()
        await publish(hub_url, ("task.progress", progress("tail-head", 2, "unseen")))
        ended = await tail.ended()
    assert (ended.status, ended.err) == (141, "")


async def test_an_interrupt_ends_it_quietly(hub_url: str) -> None:
    after = await first_of(hub_url, "tail-int")
    await publish(hub_url, ("task.progress", progress("tail-int", 1, "seen")))
    async with running("tail", "--key", "tail-int", "--after", after, "--url", hub_url) as tail:
        await tail.until("seen")
        tail.process.send_signal(signal.SIGINT)
        ended = await tail.ended()
    assert (ended.status, ended.err) == (130, "")


async def test_ctrl_c_at_a_terminal_ends_it_quietly(hub_url: str) -> None:
    after = await first_of(hub_url, "tail-tty")
    await publish(hub_url, ("task.progress", progress("tail-tty", 1, "seen")))
    chosen = ["tail", "--key", "tail-tty", "--after", after, "--url", hub_url]
    async with running(*chosen, terminal=(24, 200)) as tail:
        await tail.until("seen")
        await tail.type("\x03")
        ended = await tail.ended()
    assert ended.status == 130
    assert len(ended.lines) == 2
    assert ended.lines[1].strip() in ("", "^C")


@pytest.mark.parametrize(
    ("terminal", "env", "coloured"),
    [
        ((24, 200), {}, True),
        ((24, 200), {"NO_COLOR": "1"}, False),
        ((24, 200), {"TERM": "dumb"}, False),
        (None, {}, False),
        (None, {"FORCE_COLOR": "1"}, False),
    ],
)
async def test_colour_is_for_terminals_only(
    hub_url: str, terminal: tuple[int, int] | None, env: dict[str, str], coloured: bool
) -> None:
    after = await first_of(hub_url, "tail-colour")
    await publish(hub_url, ("task.progress", progress("tail-colour", 1, "seen")))
    chosen = ["tail", "--key", "tail-colour", "--after", after, "--url", hub_url]
    async with running(*chosen, terminal=terminal, env=env) as tail:
        await tail.until("seen")
    assert ("\x1b[" in tail.out) is coloured


async def test_a_hub_that_comes_back_is_found_again(tmp_path: Path) -> None:
    with trio.fail_after(DEADLINE_S):
        async with serving(tmp_path) as hub:
            after = await first_of(hub.url, "t")
            await publish(hub.url, ("task.progress", progress("t", 1, "before")))
            async with running("tail", "--after", after, "--url", hub.url) as tail:
                await tail.until("before")
                await hub.kill()
                await tail.until("connection lost")
                async with serving(tmp_path, port=hub.port) as again:
                    await tail.until("connected again")
                    await publish(again.url, ("task.progress", progress("t", 2, "behind")))
                    await tail.until("behind")
    assert len(tail.out.splitlines()) == 2


async def test_characters_that_the_locale_lacks_are_escaped(hub_url: str) -> None:
    after = await first_of(hub_url, "tail-ascii")
    await publish(hub_url, ("task.progress", progress("tail-ascii", 1, "grün → done")))
    chosen = ["tail", "--key", "tail-ascii", "--after", after, "--url", hub_url]
    async with running(*chosen, env={"PYTHONIOENCODING": "ascii"}) as tail:
        await tail.until("done")
    assert "gr\\xfcn \\u2192 done" in tail.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["Task.*"], '"Task.*" is no topic pattern'),
        (["task.**.x"], '"task.**.x" is no topic pattern'),
        (["--after", "yesterday"], '"yesterday" is no event id'),
        (["--key", ""], "--key"),
    ],
)
async def test_what_it_cannot_use_is_told_plainly(arguments: list[str], words: str) -> None:
    ended = await adohub("tail", *arguments)
    assert (ended.status, ended.out) == (2, "")
    assert words in ended.err
