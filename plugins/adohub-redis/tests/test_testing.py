"""The test kit keeps its promises: what it starts answers, dies, comes back and is parted as it says."""

from __future__ import annotations

import os
import socket
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trio
from adohub_redis.testing import Refused, StartFailed, acl, cluster, partition, replicated, tls, valkey
from adohub_redis.testing.ports import free_port
from adohub_redis.testing.resp import Replies, request

DEADLINE_S = 120.0
LOST_S = 0.3
"""After how many seconds what would come within one millisecond does not come."""


# ── one server ───────────────────────────────────────────────────────────────────────────────────────────


async def test_what_was_acknowledged_is_there_after_a_crash(tmp_path: Path) -> None:
    with trio.fail_after(DEADLINE_S):
        async with valkey(tmp_path) as server:
            await server.command("SET", "k", "v")
            await server.kill()
            with pytest.raises(OSError, match="connect"):
                await server.command("PING")
            await server.start()
            assert await server.command("GET", "k") == "v"


async def test_without_the_append_only_file_a_crash_loses_everything(tmp_path: Path) -> None:
    with trio.fail_after(DEADLINE_S):
        async with valkey(tmp_path, appendonly=False) as server:
            await server.command("SET", "k", "v")
            await server.kill()
            await server.start()
            assert await server.command("GET", "k") is None


async def test_its_process_ends_with_the_block(tmp_path: Path) -> None:
    with trio.fail_after(DEADLINE_S):
        async with valkey(tmp_path) as server:
            pid = int((await server.info("server"))["process_id"])
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_a_stopped_process_answers_once_it_goes_on(tmp_path: Path) -> None:
    with trio.fail_after(DEADLINE_S):
        async with valkey(tmp_path) as server:
            await server.stop_process()
            with trio.move_on_after(LOST_S) as waited:
                await server.command("PING")
            assert waited.cancelled_caught
            await server.cont()
            assert await server.command("PING") == "PONG"


async def test_a_stopped_process_can_be_killed(tmp_path: Path) -> None:
    with trio.fail_after(DEADLINE_S):
        async with valkey(tmp_path) as server:
            await server.stop_process()
            await server.kill()
            assert not server.running


async def test_a_password_is_asked_for_and_is_in_the_url(tmp_path: Path) -> None:
    with trio.fail_after(DEADLINE_S):
        async with valkey(tmp_path, password="open/sesame me") as server:
            assert await server.command("PING") == "PONG"
            assert server.url == f"redis://:open%2Fsesame%20me@127.0.0.1:{server.port}/0"
            server.password = "wrong"
            with pytest.raises(Refused, match="WRONGPASS"):
                await server.command("PING")


async def test_a_configuration_that_is_refused_is_told_in_the_server_s_own_words(tmp_path: Path) -> None:
    with trio.fail_after(DEADLINE_S):
        with pytest.raises(StartFailed, match="Bad directive"):
            async with valkey(tmp_path, extra=["no-such-thing yes"]):
                pytest.fail("it started")


async def test_a_port_that_somebody_takes_first_is_given_up_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, trio.fail_after(DEADLINE_S):
        ports = [taken.getsockname()[1], free_port()]
        monkeypatch.setattr("adohub_redis.testing.server.free_port", iter(ports).__next__)
        async with valkey(tmp_path) as server:
            assert server.port == ports[1]
            assert await server.command("PING") == "PONG"


async def test_two_servers_have_nothing_in_common(tmp_path: Path) -> None:
    with trio.fail_after(DEADLINE_S):
        async with valkey(tmp_path / "a") as one, valkey(tmp_path / "b") as other:
            await one.command("SET", "k", "v")
            assert await other.command("GET", "k") is None


async def test_the_user_of_an_acl_may_do_what_the_rules_say_with_its_own_keys(tmp_path: Path) -> None:
    with trio.fail_after(DEADLINE_S):
        async with acl(tmp_path, ["+set", "+publish"]) as server:
            user = urlsplit(server.url)
            assert user.username
            assert user.password

            async def allowed(*words: str) -> object:
                return await server.command("ACL", "DRYRUN", str(user.username), *words)

            async with await trio.open_tcp_stream("127.0.0.1", server.port) as stream:
                await stream.send_all(request("AUTH", user.username, user.password))
                assert await Replies(stream).answer() == "OK"

            assert await allowed("SET", "{ado}:k", "v") == "OK"
            assert await allowed("PUBLISH", "ado:events", "{}") == "OK"
            assert "no permissions" in str(await allowed("GET", "{ado}:k"))
            assert "no permissions" in str(await allowed("SET", "other", "v"))
            assert "no permissions" in str(await allowed("PUBLISH", "other", "{}"))


# ── several ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_when_the_primary_dies_a_replica_is_promoted_with_what_it_had(tmp_path: Path) -> None:
    with trio.fail_after(DEADLINE_S):
        async with replicated(tmp_path) as whole:
            first = await whole.primary()
            await first.command("SET", "k", "v")
            assert await first.command("WAIT", 1, 10_000) == 1
            second = await whole.fail_over()
            assert (first, second) == tuple(whole.servers)
            assert await second.command("GET", "k") == "v"
            assert await second.command("SET", "k", "w") == "OK"


async def test_the_url_of_sentinels_names_all_three(tmp_path: Path) -> None:
    with trio.fail_after(DEADLINE_S):
        async with replicated(tmp_path, replicas=2) as whole:
            places = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in whole.sentinels)
            assert whole.url == f"redis+sentinel://{places}/mymaster/0"
            assert len(whole.sentinels) == 3
            assert len(whole.servers) == 3


async def test_a_cluster_of_three_holds_every_key_at_one_of_them(tmp_path: Path) -> None:
    with trio.fail_after(DEADLINE_S):
        async with cluster(tmp_path) as whole:
            holders = set()
            for key in map(str, range(20)):
                holder = await whole.holder(key)
                assert await holder.command("SET", key, "v") == "OK"
                holders.add(holder.port)
            assert holders == {node.port for node in whole.primaries}
            places = ",".join(f"127.0.0.1:{node.port}" for node in whole.primaries)
            assert whole.url == f"redis+cluster://{places}"


async def test_in_a_cluster_a_replica_takes_the_place_of_a_primary_that_dies(tmp_path: Path) -> None:
    with trio.fail_after(DEADLINE_S):
        async with cluster(tmp_path, replicas=1) as whole:
            first = await whole.holder("{ado}:k")
            await first.command("SET", "{ado}:k", "v")
            assert await first.command("WAIT", 1, 10_000) == 1
            second = await whole.fail_over("{ado}:k")
            assert second in whole.replicas
            assert await second.command("GET", "{ado}:k") == "v"


# ── in front of a server ─────────────────────────────────────────────────────────────────────────────────


async def test_through_a_parted_link_nothing_comes_until_it_is_healed(tmp_path: Path) -> None:
    with trio.fail_after(DEADLINE_S):
        async with valkey(tmp_path) as server, partition(server.port) as link:
            async with await trio.open_tcp_stream("127.0.0.1", link.port) as old:
                replies = Replies(old)
                await old.send_all(request("PING"))
                assert await replies.answer() == "PONG"
                link.stop_forwarding()
                await old.send_all(request("SET", "k", "v"))
                async with await trio.open_tcp_stream("127.0.0.1", link.port) as new:
                    await new.send_all(request("PING"))
                    with trio.move_on_after(LOST_S):
                        pytest.fail(f"it answered: {await new.receive_some()!r}")
                    assert await server.command("GET", "k") is None
                    link.heal()
                    assert await replies.answer() == "OK"
                    assert await Replies(new).answer() == "PONG"
                assert await server.command("GET", "k") == "v"


async def test_what_the_server_says_through_a_parted_link_arrives_when_it_is_healed(tmp_path: Path) -> None:
    with trio.fail_after(DEADLINE_S):
        async with valkey(tmp_path) as server, partition(server.port) as link:
            async with await trio.open_tcp_stream("127.0.0.1", link.port) as stream:
                replies = Replies(stream)
                await stream.send_all(request("SUBSCRIBE", "c"))
                assert await replies.answer() == ["subscribe", "c", 1]
                link.stop_forwarding()
                assert await server.command("PUBLISH", "c", "hello") == 1
                with trio.move_on_after(LOST_S):
                    pytest.fail(f"it came through: {await stream.receive_some()!r}")
                link.heal()
                assert await replies.answer() == ["message", "c", "hello"]


async def test_a_severed_link_drops_its_connections_and_takes_new_ones(tmp_path: Path) -> None:
    with trio.fail_after(DEADLINE_S):
        async with valkey(tmp_path) as server, partition(server.port) as link:
            async with await trio.open_tcp_stream("127.0.0.1", link.port) as old:
                await old.send_all(request("PING"))
                assert await Replies(old).answer() == "PONG"
                link.sever()
                with pytest.raises(trio.BrokenResourceError):
                    await old.receive_some()
            async with await trio.open_tcp_stream("127.0.0.1", link.port) as new:
                await new.send_all(request("PING"))
                assert await Replies(new).answer() == "PONG"
            assert link.connections == 2


async def test_a_link_to_a_server_that_is_down_refuses(tmp_path: Path) -> None:
    with trio.fail_after(DEADLINE_S):
        async with valkey(tmp_path) as server, partition(server.port) as link:
            await server.kill()
            async with await trio.open_tcp_stream("127.0.0.1", link.port) as stream:
                with pytest.raises(trio.BrokenResourceError):
                    await stream.receive_some()


async def test_tls_is_spoken_to_those_who_trust_the_authority(tmp_path: Path) -> None:
    with trio.fail_after(DEADLINE_S):
        async with valkey(tmp_path) as server, tls(server, tmp_path) as encrypted:
            trusting = ssl.create_default_context(cafile=encrypted.authority)
            async with await trio.open_ssl_over_tcp_stream(
                "127.0.0.1", encrypted.port, ssl_context=trusting
            ) as stream:
                await stream.send_all(request("PING"))
                assert await Replies(stream).answer() == "PONG"
            strange = await trio.open_ssl_over_tcp_stream("127.0.0.1", encrypted.port)
            async with strange:
                with pytest.raises(trio.BrokenResourceError) as broken:
                    await strange.do_handshake()
                assert isinstance(broken.value.__cause__, ssl.SSLCertVerificationError)
            assert encrypted.url.startswith(f"rediss://127.0.0.1:{encrypted.port}/0?ssl_ca_certs=")
