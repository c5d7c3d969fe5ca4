"""TLS of the hub's own: the same hub to whoever speaks it; nothing stays behind of those who do not."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog.testing
import trio
import trio.testing
import trio_websocket
import trustme
from attrs import evolve, frozen
from cryptography.hazmat.primitives import serialization

from adohub.config import Config, Server
from adohub.daemon import Daemon
from adohub.errors import ConfigError
from adohub.net import outbox as outbox_module
from adohub.net import tls
from adohub.net.outbox import Outbox
from adohub.net.tls import HANDSHAKES_A_TURN, Certificate
from tests.net import raw
from tests.net.test_outbox import connected_sockets
from tests.net.tls_peer import TlsPeer
from tests.running import Peer, RunningHub, built_in, gates_made, open_peer, progress, running_hub, until
from tests.test_metrics import samples


@frozen
class Files:
    """A certificate for localhost, its key, and who trusts it."""

    cert: Path
    key: Path
    trusting: ssl.SSLContext

    def config(self, **server: object) -> Config:
        return Config(server=Server(port=0, tls_cert=str(self.cert), tls_key=str(self.key), **server))  # type: ignore[arg-type]


def made(folder: Path, name: str = "hub") -> Files:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    issued.cert_chain_pems[0].write_to_path(str(cert))
    issued.private_key_pem.write_to_path(str(key))
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    return Files(cert, key, trusting)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return made(tmp_path)


async def dialled(hub: RunningHub, files: Files) -> trio.SSLStream[trio.SocketStream]:
    stream = trio.SSLStream(
        await trio.open_tcp_stream("127.0.0.1", hub.port),
        files.trusting,
        server_hostname="localhost",
        https_compatible=True,
    )
    try:
        await stream.do_handshake()
    except trio.BrokenResourceError:
        await trio.aclose_forcefully(stream)
        raise
    return stream


@asynccontextmanager
async def secure_peer(hub: RunningHub, files: Files, resource: str = "/") -> AsyncIterator[Peer]:
    async with trio.open_nursery() as nursery:
        stream = await dialled(hub, files)
        websocket = await trio_websocket.wrap_client_stream(
            nursery, stream, "localhost", resource, max_message_size=2**30
        )
        yield Peer(websocket)
        with trio.move_on_after(1):
            await websocket.aclose()
        nursery.cancel_scope.cancel()


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


# ── the same hub ─────────────────────────────────────────────────────────────────────────────────────────


async def test_its_address_says_so_and_all_goes_as_without(files: Files) -> None:
    async with running_hub(files.config()) as hub:
        assert hub.url.startswith("wss://127.0.0.1:")
        async with secure_peer(hub, files) as reader, secure_peer(hub, files) as writer:
            await reader.subscribe(1, "stream.onTaskProgress", {"taskId": "t"})
            event_id = await writer.publish("task.progress", progress("t", 1))
            assert (await reader.hear())["result"]["id"] == event_id
            assert await reader.heard_before_pong() == []


@pytest.mark.parametrize("size", [1, 16_383, 16_384, 16_385, 200_000, 900_000])
async def test_messages_of_any_size_come_whole_both_ways(files: Files, size: int) -> None:
    async with running_hub(files.config()) as hub, secure_peer(hub, files) as peer:
        await peer.subscribe(1, "stream.onTaskProgress", {"taskId": "t"})
        for number in range(3):
            await peer.publish("task.progress", progress("t", number, "x" * size))
            heard = await peer.answer_to(1)
            assert heard["result"]["data"]["message"] == "x" * size


async def test_several_messages_in_one_record_and_one_in_several_are_read(files: Files) -> None:
    async with running_hub(files.config()) as hub:
        async with await dialled(hub, files) as stream:
            await stream.send_all(raw.upgrade())
            assert b" 101 " in await stream.receive_some()
            await stream.send_all(raw.frame(raw.TEXT, b"PING") * 5000)
            received = b""
            while len(received) < 5000 * 6:
                received += await stream.receive_some()
            for byte in raw.frame(raw.TEXT, b"PING"):
                await stream.send_all(bytes([byte]))
            assert await stream.receive_some() == b"\x81\x04PONG"


async def test_a_reader_that_is_slow_catches_up_and_misses_nothing(files: Files) -> None:
    config = files.config(outbox_bytes=65536)
    async with running_hub(config) as hub, secure_peer(hub, files) as writer:
        async with secure_peer(hub, files) as slow:
            await slow.subscribe(1, "stream.onTaskProgress", {"taskId": "t"})
            ids = [await writer.publish("task.progress", progress("t", 1, "x" * 50_000)) for _ in range(200)]
            assert [(await slow.hear())["result"]["id"] for _ in ids] == ids


async def test_http_requests_follow_each_other_on_one_connection_and_a_body_comes_in_chunks(
    files: Files,
) -> None:
    async with running_hub(files.config()) as hub, await dialled(hub, files) as stream:
        asking = raw.Asking(stream)  # type: ignore[arg-type]
        assert (await asking.ask(raw.head("/healthz"))).status == 200
        body = json.dumps({"topic": "task.progress", "payload": progress("t", 1)}).encode()
        headers = {"Host": "hub", "Content-Type": "application/json", "Transfer-Encoding": "chunked"}
        chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
        answered = await asking.ask(raw.head("/trpc/events.publish", headers, method="POST") + chunks, "POST")
        assert answered.status == 200


async def test_a_record_that_comes_in_pieces_is_waited_for(files: Files) -> None:
    """A socket that can be read has not always something to tell."""
    async with running_hub(files.config()) as hub, await raw.connected(hub.port) as stream:
        peer = TlsPeer(files.trusting)
        is_done, said = peer.shake_hands()
        while not is_done:
            await stream.send_all(said)
            is_done, said = peer.shake_hands(await stream.receive_some())
        await stream.send_all(said)
        for _ in range(2):  # the first request, and one on a connection that was idle
            record = peer.said(raw.head("/healthz"))
            for piece in (record[:3], record[3:20], record[20:]):
                await stream.send_all(piece)
                await trio.testing.wait_all_tasks_blocked(0.05)
            heard = b""
            while b"}" not in heard:
                received = await stream.receive_some()
                assert received, "the hub hung up"
                heard += peer.understood(received)


async def test_its_outbox_is_a_trio_stream(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the departures of `tests.net.test_outbox`."""
    monkeypatch.setattr(outbox_module, "LINGER_S", 0.01)
    monkeypatch.setattr(outbox_module, "is_close_frame", lambda _: False)
    certificate = Certificate(files.cert, files.key)
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:

            async def make() -> tuple[Outbox, trio.SSLStream[trio.SocketStream]]:
                ours, theirs = connected_sockets(buffer_bytes=2**18)
                outbox = Outbox(ours, nursery, limit=10_000)
                stream = trio.SocketStream(trio.socket.from_stdlib_socket(theirs))
                client = trio.SSLStream(stream, files.trusting, server_hostname="localhost")
                async with trio.open_nursery() as handshake:
                    handshake.start_soon(outbox.secure, certificate)
                    handshake.start_soon(client.do_handshake)
                return outbox, client

            await trio.testing.check_two_way_stream(make, None)


async def test_an_event_stream_goes_through(files: Files) -> None:
    async with running_hub(files.config()) as hub, await dialled(hub, files) as stream:
        headers = {"Host": "hub", "Accept": "text/event-stream"}
        await stream.send_all(raw.head("/trpc/stream.onSystemEvent", headers))
        received = b""
        while b"event: connected" not in received:
            received += await stream.receive_some()


async def test_the_goodbye_is_said_in_tls_too(files: Files) -> None:
    """Else a client could not tell it from an attacker's cutting it short."""
    async with running_hub(files.config()) as hub, await dialled(hub, evolve(files)) as stream:
        stream._https_compatible = False
        await stream.send_all(raw.head("/healthz", {"Host": "hub", "Connection": "close"}))
        while await stream.receive_some():
            pass


async def test_the_unix_socket_needs_none(files: Files, tmp_path: Path) -> None:
    config = files.config(unix_socket=str(tmp_path / "hub.sock"))
    async with running_hub(config) as hub, open_peer(hub.urls[1]) as peer:
        await peer.is_served()


# ── those who do not speak it ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("request_", [raw.head("/healthz"), raw.upgrade()], ids=["get", "upgrade"])
async def test_who_speaks_plain_http_is_told(files: Files, request_: bytes) -> None:
    async with running_hub(files.config()) as hub:
        response = await raw.exchange(hub.port, request_)
        assert response is not None
        assert response.status == 400
        assert b"this port speaks TLS" in response.body


HALF_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"

NO_AGREEMENT = {
    "nothing": b"",
    "garbage like a handshake": b"\x16" + b"x" * 500,
    "an alert": b"\x15\x03\x01\x00\x02\x02\x28",
    "half a hello": HALF_HELLO,
}


@pytest.mark.parametrize("said", NO_AGREEMENT.values(), ids=NO_AGREEMENT.keys())
async def test_no_agreement_leaves_nothing_behind(files: Files, said: bytes) -> None:
    with gates_made() as gates, structlog.testing.capture_logs() as logs:
        async with (
            running_hub(files.config(handshake_timeout_ms=300)) as hub,
            secure_peer(hub, files) as peer,
        ):
            await peer.is_served()
            before, tasks = descriptors(), trio.lowlevel.current_statistics().tasks_living
            for _ in range(20):
                async with await raw.connected(hub.port) as stream:
                    await stream.send_all(said)
            await until(lambda: gates[0].connections == 1)
            assert descriptors() <= before
            assert trio.lowlevel.current_statistics().tasks_living <= tasks
            await peer.is_served()
    assert [line for line in logs if line["log_level"] in ("error", "critical")] == []


@pytest.mark.parametrize("said", [b"", HALF_HELLO], ids=["silence", "half a hello"])
async def test_who_takes_too_long_to_agree_is_sent_away_and_counted(files: Files, said: bytes) -> None:
    async with running_hub(files.config(handshake_timeout_ms=200)) as hub:
        async with await raw.connected(hub.port) as stream:
            await stream.send_all(said)
            await raw.read_to_end(stream)
        async with await dialled(hub, files) as stream:
            asking = raw.Asking(stream)  # type: ignore[arg-type]
            counted = samples((await asking.ask(raw.head("/metrics"))).body.decode())
            assert counted["ado_limit_hits_total", "handshake_timeout_ms"] == 1


async def test_old_versions_are_not_spoken(files: Files) -> None:
    old = ssl.create_default_context()
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.minimum_version = ssl.TLSVersion.TLSv1_2
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    async with running_hub(files.config()) as hub:
        async with await dialled(hub, evolve(files, trusting=old)) as stream:
            assert stream.version() == "TLSv1.2"
        async with await dialled(hub, files) as stream:
            assert stream.version() == "TLSv1.3"
    assert Certificate(files.cert, files.key)._context.minimum_version == ssl.TLSVersion.TLSv1_2


async def test_of_a_crowd_of_newcomers_only_a_few_are_worked_on_at_a_time(files: Files) -> None:
    certificate = Certificate(files.cert, files.key)
    assert certificate._slots.value == HANDSHAKES_A_TURN
    async with running_hub(files.config()) as hub, trio.open_nursery() as nursery:
        streams = []

        async def dial() -> None:
            streams.append(await dialled(hub, files))

        for _ in range(100):
            nursery.start_soon(dial)
        await until(lambda: len(streams) == 100)
        for stream in streams:
            await stream.aclose()


# ── the files ────────────────────────────────────────────────────────────────────────────────────────────


def faults(cert: Path, key: Path) -> list[tuple[str, str]]:
    with pytest.raises(ConfigError) as wrong:
        Certificate(cert, key)
    return [(problem.path, problem.message) for problem in wrong.value.problems]


def test_what_cannot_be_used_is_told_by_its_key_and_not_shown(files: Files, tmp_path: Path) -> None:
    other = made(tmp_path, "other")
    nothing, garbage, locked = tmp_path / "nothing", tmp_path / "garbage", tmp_path / "locked"
    garbage.write_text("hunter2")
    loaded = serialization.load_pem_private_key(files.key.read_bytes(), None)
    locked.write_bytes(
        loaded.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"hunter2"),
        )
    )
    torn = tmp_path / "torn"
    torn.write_text(files.cert.read_text()[:200])
    assert faults(nothing, files.key) == [
        ("server.tls_cert", f"{nothing} cannot be read: No such file or directory")
    ]
    assert faults(files.cert, nothing) == [
        ("server.tls_key", f"{nothing} cannot be read: No such file or directory")
    ]
    assert faults(garbage, files.key) == [("server.tls_cert", f"{garbage} holds no certificate in PEM")]
    assert faults(files.cert, garbage) == [("server.tls_key", f"{garbage} holds no private key in PEM")]
    assert faults(files.cert, other.key) == [
        ("server.tls_key", f"{other.key} is not the key of {files.cert}")
    ]
    assert faults(files.cert, locked) == [
        ("server.tls_key", f"{locked} needs a passphrase, which nobody is there to type")
    ]
    [(path, message)] = faults(torn, files.key)
    assert path == "server.tls_cert"
    assert "cannot be used" in message


async def test_a_hub_does_not_start_with_files_that_cannot_be_used(files: Files, tmp_path: Path) -> None:
    config = evolve(files, key=tmp_path / "nothing").config()
    with pytest.raises(ConfigError) as wrong:
        await Daemon(config, built_in(config)).run()
    assert [problem.path for problem in wrong.value.problems] == ["server.tls_key"]


async def test_reloaded_newcomers_see_the_new_certificate_and_the_others_go_on(
    files: Files, tmp_path: Path
) -> None:
    async with running_hub(files.config()) as hub, secure_peer(hub, files) as early:
        new = made(tmp_path, "new")
        files.cert.write_bytes(new.cert.read_bytes())
        files.key.write_bytes(new.key.read_bytes())
        async with secure_peer(hub, files) as before:
            await before.is_served()
        hub.daemon.reload()
        async with secure_peer(hub, new) as late:
            await late.is_served()
        with pytest.raises(trio.BrokenResourceError):
            await dialled(hub, files)
        await early.is_served()


async def test_a_key_that_goes_away_while_it_is_read_again_is_a_broken_one(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when both files are being replaced."""
    check = tls._check

    def check_and_lose(file: Path, *words: str) -> str:
        text = check(file, *words)
        file.unlink()
        return text

    async with running_hub(files.config()) as hub:
        monkeypatch.setattr(tls, "_check", check_and_lose)
        with structlog.testing.capture_logs() as logs:
            hub.daemon.reload()
        assert [(line["log_level"], line["key"]) for line in logs] == [("error", "server.tls_cert")]
        async with secure_peer(hub, files) as peer:
            await peer.is_served()


async def test_a_reload_of_broken_files_leaves_the_old_ones_in_force_and_says_why(files: Files) -> None:
    async with running_hub(files.config()) as hub:
        files.key.write_text("hunter2")
        with structlog.testing.capture_logs() as logs:
            hub.daemon.reload()
        [line] = logs
        assert (line["log_level"], line["key"]) == ("error", "server.tls_key")
        assert "hunter2" not in str(line)
        async with secure_peer(hub, files) as peer:
            await peer.is_served()
