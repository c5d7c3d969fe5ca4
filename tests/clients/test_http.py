"""Queries, mutations and batches over HTTP, as callers of @trpc/client's httpLinks meet them."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import trio

from adohub.config import Config, Server
from tests.clients.puppet import UNDEFINED, VERSIONS, Puppet, PuppetError, Version, puppet
from tests.net.strangers import SECRET, Patience, doorkeeper, strangers
from tests.running import FREE_PORT, gates_made, progress, running_hub, until

Link = Literal["http", "batch", "stream"]
LINKS: tuple[Link, ...] = ("http", "batch", "stream")
EACH_VERSION = pytest.mark.parametrize("version", VERSIONS)
EACH_LINK = pytest.mark.parametrize("link", LINKS)
THAT_READ_REFUSALS = pytest.mark.parametrize(
    ("version", "link"),
    [(version, link) for version in VERSIONS for link in LINKS if (version, link) != ("v10", "stream")],
)
"""All but client 10's stream, which cannot read what a request as a whole is answered with."""

GUARDED = Config(server=Server(port=0))
TOPIC = "task.progress"


def code(outcome: Any) -> str | None:
    assert isinstance(outcome, PuppetError), outcome
    return outcome.code


@EACH_VERSION
@EACH_LINK
async def test_a_query_and_a_mutation_are_answered(version: Version, link: Link) -> None:
    async with running_hub() as hub, puppet(version, hub.url, link) as client:
        assert (await client.query("hub.health"))["status"] == "ok"
        payload = progress("t", 5, "ümläut 日本 😀 & = + % \u2028")
        receipt = await client.mutate("events.publish", {"topic": TOPIC, "payload": payload})
        history = await client.query("events.history", {"topics": ["task.*"], "key": "t"})
        assert [kept["id"] for kept in history["events"]] == [receipt["id"]]
        assert history["events"][0]["payload"]["message"] == payload["message"]
        assert client.http == [200, 200, 200]


@EACH_VERSION
@EACH_LINK
async def test_calls_of_one_tick_have_each_its_own_outcome(version: Version, link: Link) -> None:
    async with running_hub() as hub, puppet(version, hub.url, link) as client:
        health, missing, history, wrong = await client.together(
            ("query", "hub.health", UNDEFINED),
            ("query", "no.such", UNDEFINED),
            ("query", "events.history", {"topics": [TOPIC]}),
            ("query", "events.history", {"topics": 7}),
        )
        assert (health["status"], history["events"]) == ("ok", [])
        assert (code(missing), code(wrong)) == ("NOT_FOUND", "BAD_REQUEST")
        statuses = {"http": [200, 200, 400, 404], "batch": [207], "stream": [200]}
        assert sorted(client.http) == statuses[link]


@EACH_VERSION
@EACH_LINK
async def test_a_mutation_that_is_asked_for_as_a_query_is_refused(version: Version, link: Link) -> None:
    async with running_hub() as hub, puppet(version, hub.url, link) as client:
        (outcome,) = await client.together(("query", "events.publish", {"topic": TOPIC, "payload": {}}))
        assert code(outcome) == "METHOD_NOT_SUPPORTED"


@EACH_VERSION
async def test_a_batch_whose_calls_end_alike_has_their_status(version: Version) -> None:
    async with running_hub() as hub, puppet(version, hub.url, "batch") as client:
        outcomes = await client.together(("query", "no.such", 1), ("query", "no.other", 2))
        assert list(map(code, outcomes)) == ["NOT_FOUND", "NOT_FOUND"]
        assert client.http == [404]


@EACH_VERSION
@EACH_LINK
async def test_an_error_carries_what_the_client_needs_to_tell_it_from_others(
    version: Version, link: Link
) -> None:
    async with running_hub() as hub, puppet(version, hub.url, link) as client:
        with pytest.raises(PuppetError) as failed:
            await client.mutate("events.publish", {"topic": TOPIC, "payload": progress("t", 101)})
        assert failed.value.data == {"code": "BAD_REQUEST", "httpStatus": 400, "path": "events.publish"}
        assert failed.value.message.startswith("progress: ")


@EACH_VERSION
@EACH_LINK
async def test_an_internal_fault_shows_its_incident_and_nothing_else(version: Version, link: Link) -> None:
    async with running_hub(FREE_PORT, strangers()) as hub, puppet(version, hub.url, link) as client:
        with pytest.raises(PuppetError) as failed:
            await client.query("test.fault0")
        assert failed.value.code == "INTERNAL_SERVER_ERROR"
        assert "incident" in failed.value.message
        assert SECRET not in str(failed.value.data) + failed.value.message


# ── many at once ─────────────────────────────────────────────────────────────────────────────────────────


def answered(client: Puppet) -> list[int]:
    """The numbers of the calls that have their outcome, in the order in which they got it."""
    return [report["call"] for report in client.reports if "call" in report]


@EACH_VERSION
async def test_on_a_stream_a_slow_call_holds_no_quick_one_up(version: Version) -> None:
    patience = Patience()
    async with running_hub(FREE_PORT, strangers(patience)) as hub:
        async with puppet(version, hub.url, "stream") as client, trio.open_nursery() as nursery:
            outcomes: list[Any] = []

            async def call() -> None:
                outcomes.extend(
                    await client.together(
                        ("query", "test.wait", UNDEFINED),
                        ("query", "hub.health", UNDEFINED),
                        ("query", "no.such", UNDEFINED),
                    )
                )

            nursery.start_soon(call)
            await client.until(lambda client: len(answered(client)) == 2)
            assert patience.begun == 1
            assert 1 not in answered(client)
            patience.let_go.set()
            await until(lambda: outcomes)
            assert (outcomes[0], outcomes[1]["status"], code(outcomes[2])) == (1, "ok", "NOT_FOUND")
            assert client.http == [200]


@EACH_VERSION
@EACH_LINK
async def test_fifty_calls_of_one_tick_are_all_answered_each_with_its_own(
    version: Version, link: Link
) -> None:
    async with running_hub() as hub, puppet(version, hub.url, link) as client:
        published = await client.together(
            *(
                ("mutation", "events.publish", {"topic": TOPIC, "payload": progress(f"t{number}", number)})
                for number in range(50)
            )
        )
        histories = await client.together(
            *(("query", "events.history", {"topics": [TOPIC], "key": f"t{n}"}) for n in range(50))
        )
        assert [[event["id"] for event in history["events"]] for history in histories] == [
            [receipt["id"]] for receipt in published
        ]


@THAT_READ_REFUSALS
async def test_a_body_that_is_too_large_is_refused_by_name(version: Version, link: Link) -> None:
    config = Config(server=Server(port=0, max_message_bytes=10_000))
    async with running_hub(config) as hub, puppet(version, hub.url, link) as client:
        with pytest.raises(PuppetError) as failed:
            await client.mutate("events.publish", {"topic": TOPIC, "payload": progress("t", 1, "x" * 20_000)})
        assert failed.value.code == "PAYLOAD_TOO_LARGE"
        assert client.http == [413]
        assert (await client.query("hub.health"))["status"] == "ok"


# ── credentials ──────────────────────────────────────────────────────────────────────────────────────────


@EACH_VERSION
@EACH_LINK
async def test_a_good_token_in_a_header_lets_the_client_in(version: Version, link: Link) -> None:
    headers = {"authorization": "Bearer good"}
    async with running_hub(GUARDED, doorkeeper()) as hub:
        async with puppet(version, hub.url, link, headers=headers) as client:
            assert (await client.query("hub.health"))["status"] == "ok"
            assert (await client.mutate("events.publish", {"topic": TOPIC, "payload": progress("t", 1)}))[
                "id"
            ]


@THAT_READ_REFUSALS
@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer bad"}], ids=["no token", "a bad one"])
async def test_others_are_told_unauthorized(version: Version, link: Link, headers: dict[str, str]) -> None:
    async with running_hub(GUARDED, doorkeeper()) as hub:
        async with puppet(version, hub.url, link, headers=headers) as client:
            outcomes = await client.together(
                ("query", "hub.health", UNDEFINED), ("query", "events.history", {"topics": [TOPIC]})
            )
            assert list(map(code, outcomes)) == ["UNAUTHORIZED", "UNAUTHORIZED"]
            assert set(client.http) == {401}


# ── a hub that ends, and one that comes after it ─────────────────────────────────────────────────────────


@EACH_VERSION
@EACH_LINK
async def test_a_call_in_flight_when_the_hub_drains_is_answered(version: Version, link: Link) -> None:
    patience = Patience()
    with gates_made() as gates:
        async with running_hub(FREE_PORT, strangers(patience)) as hub:
            async with puppet(version, hub.url, link) as client, trio.open_nursery() as nursery:

                async def let_go_while_draining() -> None:
                    await until(lambda: patience.begun)
                    hub.daemon.stop()
                    await until(lambda: gates[0].draining)
                    patience.let_go.set()

                nursery.start_soon(let_go_while_draining)
                assert await client.query("test.wait") == 1
                await hub.ended.wait()


@EACH_VERSION
@EACH_LINK
async def test_the_next_call_reaches_the_hub_that_came_after(version: Version, link: Link) -> None:
    async with running_hub() as hub, puppet(version, hub.url, link) as client:
        first = await client.query("hub.health")
        hub.daemon.stop()
        await hub.ended.wait()
        with pytest.raises(PuppetError, match="fetch failed"):
            await client.query("hub.health")
        async with running_hub(Config(server=Server(port=hub.port))):
            assert (await client.query("hub.health"))["instance"] != first["instance"]
