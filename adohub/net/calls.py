"""The queries and mutations of one HTTP request: begun in order, answered together or as they are done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import trio

from adohub.net.dispatch import Caller, Dispatch
from adohub.net.exchange import Exchange
from adohub.wire.http import Asked, Bodies, allow, status
from adohub.wire.jsonl import Lines
from adohub.wire.messages import Data, Failure, Request

MAX_ANSWER_BYTES = 16 * 1024 * 1024
"""How long the answers of one request may be together; calls whose answers come after that are refused."""

CALLS_AT_A_TIME = 64
"""How many calls are begun before others may run."""

CALLS_IN_FLIGHT = 8
"""How many calls of one request may be waiting for something of their own; then no more are begun."""

CALLS_S = 60.0
"""How long the calls of one request may take, in seconds; those that are not done then have failed."""

JSON = "application/json"

HEADERS = {"vary": "trpc-accept, accept"}
"""What of a request decides about the form of its response."""

Answer = Data | Failure


async def answer_whole(
    exchange: Exchange, asked: Asked, dispatch: Dispatch, caller: Caller, bodies: Bodies
) -> None:
    """Answer with one JSON value, once all calls are done."""
    answers: list[Answer | None] = [None] * len(asked.calls)

    def take(number: int, answer: Answer) -> None:
        answers[number] = answer

    await _run(asked.calls, dispatch, caller, bodies, take)
    done = [answer for answer in answers if answer is not None]
    body = bodies.array(done) if asked.form == "batch" else bodies.answer(done[0])
    allowed = allow(done, dispatch.kind_of)
    headers = HEADERS if allowed is None else HEADERS | {"allow": allowed}
    exchange.respond(status(done), body, JSON, headers)


async def answer_in_lines(
    exchange: Exchange, asked: Asked, dispatch: Dispatch, caller: Caller, bodies: Bodies, lines: Lines
) -> None:
    """Answer line by line: no call waits for another one's answer."""
    written = trio.Event()
    ready = [lines.head(len(asked.calls))]

    def take(number: int, answer: Answer) -> None:
        ready.append(lines.line(number, answer))
        written.set()

    async def write() -> None:
        nonlocal written
        with suppress(trio.BrokenResourceError):  # the last flush will tell
            while True:
                await written.wait()
                written = trio.Event()
                await flush()

    async def flush() -> None:
        data = b"".join(ready)
        ready.clear()
        await exchange.write(data)

    exchange.begin(200, JSON, HEADERS)
    await flush()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        await _run(asked.calls, dispatch, caller, bodies, take)
        nursery.cancel_scope.cancel()
    ready.append(lines.end)
    await flush()
    exchange.end()


async def _run(
    calls: Sequence[Request | Failure],
    dispatch: Dispatch,
    caller: Caller,
    bodies: Bodies,
    take: Callable[[int, Answer], None],
) -> None:
    """Run all `calls`; `take` gets each one's number and answer."""
    done, room = trio.Event(), MAX_ANSWER_BYTES
    answered = set[int]()

    def reply(answer: Answer) -> None:
        nonlocal room
        number = answer.tag.id
        assert isinstance(number, int), "wire/http numbers the calls of a request"
        if number in answered:  # it came too late
            return
        answered.add(number)
        dispatch.metrics.messages_out += 1
        room -= len(answer.body or b"") if isinstance(answer, Data) else 0
        take(number, answer if room >= 0 else _too_long(calls[number]))
        if len(answered) == len(calls):
            done.set()

    def begin(call: Request | Failure) -> Awaitable[None] | None:
        if isinstance(call, Request) and room >= 0:
            return dispatch.call(call, caller, bodies, reply)
        dispatch.metrics.errors += 1
        reply(call if isinstance(call, Failure) else _too_long(call))
        return None

    with trio.move_on_after(CALLS_S):
        await _begin_all(calls, begin)
        await done.wait()
    for call in calls:
        if call.tag.id not in answered:
            dispatch.metrics.errors += 1
            reply(Failure(call.tag, "TIMEOUT", f"this has taken more than {CALLS_S:g} s", call.path))


async def _begin_all(
    calls: Sequence[Request | Failure], begin: Callable[[Request | Failure], Awaitable[None] | None]
) -> None:
    """Begin all of `calls` in their order, and finish what has to be awaited."""
    if len(calls) == 1:  # most requests
        unfinished = begin(calls[0])
        if unfinished is not None:
            await unfinished
        return
    in_flight = trio.CapacityLimiter(CALLS_IN_FLIGHT)

    async def finish(unfinished: Awaitable[None], owner: object) -> None:
        try:
            await unfinished
        finally:
            in_flight.release_on_behalf_of(owner)

    async with trio.open_nursery() as nursery:
        for begun, call in enumerate(calls, start=1):
            await in_flight.acquire_on_behalf_of(call.tag)
            unfinished = begin(call)
            if unfinished is None:
                in_flight.release_on_behalf_of(call.tag)
            else:
                nursery.start_soon(finish, unfinished, call.tag)
            if begun % CALLS_AT_A_TIME == 0:
                await trio.lowlevel.checkpoint()


def _too_long(call: Request | Failure) -> Failure:
    message = f"the answers are longer than {MAX_ANSWER_BYTES} bytes together; ask for less at a time"
    return Failure(call.tag, "PAYLOAD_TOO_LARGE", message, call.path)
