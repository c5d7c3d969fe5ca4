"""`system.*`: any payload, no key, one channel for all."""

from __future__ import annotations

import pytest

from tests.builtin.socketless import Refused, Running

NOON = "2026-01-02T12:00:00.000Z"
TOPICS = ["system.worker.added", "system.worker.removed", "system.provider.status"]


@pytest.mark.parametrize("payload", [None, 5, "text", [1], {"deep": {"er": [None]}}])
async def test_the_payload_is_whatever_it_is(hub: Running, payload: object) -> None:
    watcher = await hub.subscribe("stream.onSystemEvent")
    for topic in TOPICS:
        event = {"type": topic.removeprefix("system."), "payload": payload, "timestamp": NOON}
        await hub.publish(topic, event)
        assert watcher.data[-1] == event
    assert len(watcher.data) == 3


async def test_the_key_of_a_system_event_is_null(hub: Running) -> None:
    await hub.publish(TOPICS[0], {"type": "worker.added", "payload": {"workerId": "w1"}})
    found = await hub.query("events.history", {"topics": ["system.**"]})
    assert [event["key"] for event in found["events"]] == [None]


async def test_fields_that_are_missing_or_wrong_are_named(hub: Running) -> None:
    with pytest.raises(Refused) as refusal:
        await hub.publish(TOPICS[0], {"type": "worker.lost"})
    code, message = refusal.value.args
    assert code == "BAD_REQUEST"
    assert message.startswith('type: expected one of "worker.added", "worker.removed", "provider.status"')
    assert message.endswith("payload: required")
