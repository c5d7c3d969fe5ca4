"""The echo that the Autobahn suite judges says back each message, and ends as the hub does."""

from __future__ import annotations

import pytest
import trio

from tests.conformance.echo import HOSTS, echoing
from tests.net import raw
from tests.net.raw import BINARY, CLOSE, TEXT, frame


@pytest.mark.parametrize("host", HOSTS)
async def test_what_is_heard_is_said_back_and_a_fault_ends_it(host: str) -> None:
    whole = [frame(TEXT, "κόσμε".encode()[:3], final=False), frame(0, "κόσμε".encode()[3:])]
    said = [frame(TEXT, "κόσμε".encode(), masked=False), frame(BINARY, b"\xff" * 70_000, masked=False)]
    with trio.fail_after(10):
        async with echoing(host) as port, await raw.upgraded(port) as stream:
            await stream.send_all(b"".join(whole) + frame(BINARY, b"\xff" * 70_000) + frame(TEXT, b"\xff"))
            await stream.send_eof()
            assert (await raw.read_to_end(stream)).startswith(b"".join(said))


@pytest.mark.parametrize("host", HOSTS)
async def test_a_close_is_answered(host: str) -> None:
    with trio.fail_after(10):
        async with echoing(host) as port, await raw.upgraded(port) as stream:
            await stream.send_all(frame(CLOSE, b"\x0f\xa0"))
            await stream.send_eof()
            assert await raw.read_to_end(stream) == frame(CLOSE, b"\x0f\xa0", masked=False)
