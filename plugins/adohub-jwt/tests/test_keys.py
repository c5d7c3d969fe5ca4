"""Keys that change: in a file, at a URL; and what is broken, away, slow or too long takes none of them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trio
import trio.testing
from adohub_jwt import fetching, keys
from adohub_jwt.keys import FetchedKeys, FileKeys
from adohub_jwt.reading import Key
from attrs import define, field
from joserfc import jwk

from adohub import PeerError

OLD, NEW = (jwk.ECKey.generate_key("P-256", {"kid": kid}) for kid in ("old", "new"))


def jwks(*listed: Key) -> bytes:
    return json.dumps({"keys": [key.as_dict(private=False) for key in listed]}).encode()


def answer(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    return (
        f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n{headers}\r\n".encode()
        + body
    )


@define
class Issuer:
    """A server of keys. `answer` is what it sends, None for nothing."""

    url: str
    answer: bytes | None
    asked: int = 0
    may_answer: trio.Event = field(factory=trio.Event)

    async def serve(self, stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some()
            self.asked += 1
            await self.may_answer.wait()
            if self.answer is None:
                await trio.sleep_forever()
            with suppress(trio.BrokenResourceError):
                await stream.send_all(self.answer)


@asynccontextmanager
async def issuer(*listed: Key) -> AsyncIterator[Issuer]:
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    server = Issuer(f"http://127.0.0.1:{listener.socket.getsockname()[1]}/keys", answer(jwks(*listed)))
    server.may_answer.set()
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, server.serve, [listener])
            yield server
            nursery.cancel_scope.cancel()


async def publish_nothing(topic: str, payload: object, /, *, idempotency_key: str | None = None) -> str:
    raise AssertionError("there is nothing to publish")


@asynccontextmanager
async def fetched(server: Issuer, **changed: float) -> AsyncIterator[FetchedKeys]:
    ours = FetchedKeys(server.url, **{"max_age_s": 3600, "refetch_s": 0.05, "stale_s": 3600, **changed})
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.run, publish_nothing)
        yield ours
        nursery.cancel_scope.cancel()


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - nothing tells of it
        await trio.sleep(0.005)


async def kids(ours: FetchedKeys | FileKeys, kid: str | None = None) -> list[str | None]:
    return [key.kid for key in await ours.find(kid)]


async def test_before_there_are_keys_clients_are_asked_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "FETCH_S", 0.2)
    async with issuer() as server:
        server.answer = None
        async with fetched(server) as ours:
            with pytest.raises(PeerError) as refused:
                await ours.find("old")
            assert refused.value.code == "SERVICE_UNAVAILABLE"


async def test_a_key_that_is_new_is_fetched_when_it_is_first_needed_and_the_old_one_is_gone() -> None:
    async with issuer(OLD) as server, fetched(server) as ours:
        await until(ours.version)
        assert await kids(ours, "old") == ["old"]
        server.answer = answer(jwks(NEW))
        await trio.sleep(0.06)
        assert await kids(ours, "new") == ["new"]
        assert await kids(ours, "old") == []
        assert ours.version() == 2


async def test_however_many_ask_for_keys_that_nobody_knows_there_is_one_fetch() -> None:
    async with issuer(OLD) as server, fetched(server, refetch_s=10) as ours:
        await until(ours.version)
        ours._tried_at -= 11
        async with trio.open_nursery() as nursery:
            for number in range(500):
                nursery.start_soon(ours.find, f"nobody-{number}")
        for number in range(500):
            assert await kids(ours, f"nobody-{number}") == []
        assert server.asked == 2


async def test_who_comes_while_keys_are_being_fetched_waits_for_them() -> None:
    """After a rotation many come at once with the new key: none of them is refused."""
    async with issuer(OLD) as server, fetched(server, refetch_s=10) as ours:
        await until(ours.version)
        ours._tried_at -= 11
        server.answer, server.may_answer = answer(jwks(OLD, NEW)), trio.Event()
        found: list[list[str | None]] = []

        async def come() -> None:
            found.append(await kids(ours, "new"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(come)
            await until(lambda: server.asked == 2)
            for _ in range(100):
                nursery.start_soon(come)
            await trio.testing.wait_all_tasks_blocked()
            server.may_answer.set()
        assert found == [["new"]] * 101
        assert server.asked == 2


async def test_who_comes_before_the_first_fetch_waits_for_it() -> None:
    async with issuer(OLD) as server, fetched(server) as ours:
        assert await kids(ours, "old") == ["old"]


UNUSABLE = {
    "an error": answer(b"", "500 Internal Server Error"),
    "elsewhere": answer(b"", "302 Found", "location: http://127.0.0.1:1/\r\n"),
    "no JSON": answer(b"<html>"),
    "no keys": answer(b'{"keys": []}'),
    "only secrets": answer(b'{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}'),
    "too long": answer(b" " * (fetching.MOST_BYTES + 1)),
    "too long, and does not say so": b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"
    + b" " * (fetching.MOST_BYTES + 1),
    "no HTTP": b"hello\r\n",
    "nothing": b"",
}


@pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning")  # httpx's
@pytest.mark.parametrize("unusable", UNUSABLE.values(), ids=UNUSABLE.keys())
async def test_what_cannot_be_used_takes_no_key(unusable: bytes) -> None:
    async with issuer(OLD) as server, fetched(server) as ours:
        await until(ours.version)
        server.answer = unusable
        await trio.sleep(0.06)
        assert await kids(ours, "new") == []
        assert server.asked == 2
        assert await kids(ours, "old") == ["old"]


async def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "FETCH_S", 0.2)
    async with issuer(OLD) as server, fetched(server) as ours:
        await until(ours.version)
        server.answer = None
        await trio.sleep(0.06)
        assert await kids(ours, "new") == []
        assert await kids(ours, "old") == ["old"]


async def test_keys_that_could_not_be_fetched_for_too_long_are_used_no_more() -> None:
    async with issuer(OLD) as server, fetched(server, stale_s=0.3, max_age_s=0.1) as ours:
        await until(ours.version)
        server.answer = UNUSABLE["an error"]
        await trio.sleep(0.5)
        with pytest.raises(PeerError):
            await ours.find("old")


async def test_they_are_fetched_again_when_they_are_old() -> None:
    async with issuer(OLD) as server, fetched(server, max_age_s=0.05) as ours:
        await until(lambda: server.asked >= 3)
        assert ours.version() == 1


async def test_a_file_is_read_again_when_it_has_changed_and_a_broken_one_takes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "LOOK_S", 0.0)
    file = tmp_path / "keys.json"
    file.write_bytes(jwks(OLD))
    ours = FileKeys(str(file))
    assert await kids(ours) == ["old"]
    file.write_bytes(b"{")
    assert ours.version() == 0
    file.unlink()
    assert ours.version() == 0
    assert await kids(ours) == ["old"]
    file.write_bytes(jwks(OLD, NEW))
    assert ours.version() == 1
    assert await kids(ours) == ["old", "new"]
