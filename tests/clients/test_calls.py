"""Queries, mutations, batches and errors, as @trpc/client's callers meet them."""

from __future__ import annotations

import pytest

from tests.clients.puppet import UNDEFINED, VERSIONS, PuppetError, Version, puppet
from tests.net.strangers import SECRET, strangers
from tests.running import FREE_PORT, completed, progress, running_hub

EACH_VERSION = pytest.mark.parametrize("version", VERSIONS)


@EACH_VERSION
async def test_a_query_and_a_mutation_are_answered(version: Version) -> None:
    async with running_hub() as hub, puppet(version, hub.url) as client:
        assert (await client.query("hub.health"))["status"] == "ok"
        receipt = await client.mutate(
            "events.publish", {"topic": "task.progress", "payload": progress("t", 5)}
        )
        history = await client.query("events.history", {"topics": ["task.*"], "key": "t"})
        assert [event["id"] for event in history["events"]] == [receipt["id"]]


@EACH_VERSION
async def test_of_a_batch_each_call_has_its_own_outcome(version: Version) -> None:
    async with running_hub() as hub, puppet(version, hub.url) as client:
        health, missing, wrong, published = await client.together(
            ("query", "hub.health", UNDEFINED),
            ("query", "no.such", UNDEFINED),
            ("mutation", "events.publish", {"topic": "task.progress", "payload": {}}),
            ("mutation", "events.publish", {"topic": "task.completed", "payload": completed("t")}),
        )
        assert isinstance(missing, PuppetError)
        assert (missing.code, missing.message) == ("NOT_FOUND", 'No "query"-procedure on path "no.such"')
        assert isinstance(wrong, PuppetError)
        assert wrong.code == "BAD_REQUEST"
        assert not isinstance(health, PuppetError)
        assert not isinstance(published, PuppetError)
        assert (health["status"], set(published)) == ("ok", {"id", "timestamp"})


@EACH_VERSION
async def test_an_error_carries_what_the_client_needs_to_tell_it_from_others(version: Version) -> None:
    async with running_hub() as hub, puppet(version, hub.url) as client:
        with pytest.raises(PuppetError) as failed:
            await client.mutate("events.publish", {"topic": "task.progress", "payload": progress("t", 101)})
        assert failed.value.data == {"code": "BAD_REQUEST", "httpStatus": 400, "path": "events.publish"}
        assert failed.value.message.startswith("progress: ")


@EACH_VERSION
async def test_an_internal_fault_shows_its_incident_and_nothing_else(version: Version) -> None:
    async with running_hub(FREE_PORT, strangers()) as hub, puppet(version, hub.url) as client:
        with pytest.raises(PuppetError) as failed:
            await client.query("test.fault0")
        assert failed.value.code == "INTERNAL_SERVER_ERROR"
        assert "incident" in failed.value.message
        assert SECRET not in str(failed.value.data) + failed.value.message
