"""`workers.*` as the contract has it: attending, being listed, being sent commands, each by its own right."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio
import trio.testing

from adohub import Change, PeerError, Principal
from adohub.config import Auth, Config, Presence, Role
from tests.builtin.socketless import OWNER, Listener, Refused, Running, running

GRACE_MS = 50

RIGHTS = {
    "worker": Role(workers=("attend",)),
    "boss": Role(workers=("send", "list")),
    "reader": Role(subscribe=("worker.**", "system.**"), state_read=("**",), state_write=("**",)),
    "publisher": Role(publish=("worker.*",)),
    "lister": Role(subscribe=("**",), workers=("list",)),
}


def who(*roles: str) -> Principal:
    return Principal("ann", roles=roles)


@pytest.fixture
async def hub() -> AsyncIterator[Running]:
    config = Config(presence=Presence(grace_ms=GRACE_MS), auth=Auth(roles=RIGHTS))
    async with running(config) as hub:
        yield hub


async def attend(hub: Running, worker: str = "w1", **more: object) -> Listener:
    return await hub.subscribe("workers.attend", {"workerId": worker, **more})


async def send(hub: Running, worker: str, number: int, by: Principal = OWNER) -> str:
    command = {"workerId": worker, "kind": "run", "payload": {"n": number}}
    answer = await hub.call("workers.send", command, by=by)
    await trio.testing.wait_all_tasks_blocked()
    assert set(answer) == {"commandId"}
    return str(answer["commandId"])


async def listed(hub: Running) -> list[str]:
    return [worker["workerId"] for worker in (await hub.query("workers.list"))["workers"]]


async def test_a_worker_is_added_when_it_attends_and_removed_after_it_has_stopped(hub: Running) -> None:
    watcher = await hub.subscribe("stream.onSystemEvent")
    worker = await attend(hub, capabilities=["gpu"], metadata={"os": {"name": "linux"}})
    assert [(event["type"], event["payload"]) for event in watcher.data] == [
        ("worker.added", {"workerId": "w1", "capabilities": ["gpu"], "metadata": {"os": {"name": "linux"}}})
    ]
    worker.leave()
    while len(watcher.data) < 2:  # noqa: ASYNC110 - nothing tells of it
        await trio.sleep(GRACE_MS / 1000)
    assert (watcher.data[1]["type"], watcher.data[1]["payload"]) == ("worker.removed", {"workerId": "w1"})
    assert await listed(hub) == []


async def test_who_is_present_is_listed_with_all_that_it_said(hub: Running) -> None:
    await attend(hub, "w2")
    await attend(hub, "w1", capabilities=["a", "b"], metadata={"slots": 3})
    workers = (await hub.query("workers.list"))["workers"]
    assert [set(worker) for worker in workers] == [{"workerId", "capabilities", "metadata", "since"}] * 2
    assert [worker["workerId"] for worker in workers] == ["w1", "w2"]
    assert (workers[0]["capabilities"], workers[0]["metadata"]) == (["a", "b"], {"slots": 3})
    assert (workers[1]["capabilities"], workers[1]["metadata"]) == ([], {})
    assert workers[0]["since"].endswith("Z")


async def test_a_command_reaches_the_worker_it_is_for(hub: Running) -> None:
    first, second = await attend(hub, "w1"), await attend(hub, "w2")
    ids = [await send(hub, "w1", 1), await send(hub, "w1", 2)]
    assert [(command["commandId"], command["payload"]) for command in first.data] == [
        (ids[0], {"n": 1}),
        (ids[1], {"n": 2}),
    ]
    assert set(first.data[0]) == {"commandId", "workerId", "kind", "payload", "timestamp"}
    assert (first.data[0]["workerId"], first.data[0]["kind"]) == ("w1", "run")
    assert second.data == []


async def test_a_worker_that_is_not_there_is_not_found(hub: Running) -> None:
    with pytest.raises(Refused) as refusal:
        await send(hub, "w1", 1)
    assert refusal.value.args[0] == "NOT_FOUND"


async def test_a_worker_in_its_grace_is_sent_commands_and_given_them_when_it_is_back(hub: Running) -> None:
    (await attend(hub)).leave()
    command_id = await send(hub, "w1", 1)
    again = await attend(hub)
    assert [command["commandId"] for command in again.data] == [command_id]


async def test_who_resumes_by_an_id_goes_on_exactly_there(hub: Running) -> None:
    worker = await attend(hub)
    for number in range(3):
        await send(hub, "w1", number)
    worker.leave()
    again = await hub.subscribe("workers.attend", {"workerId": "w1"}, last=worker.ids[0])
    assert [command["payload"]["n"] for command in again.data] == [1, 2]


async def test_the_newest_of_two_attends(hub: Running) -> None:
    first = await attend(hub)
    second = await attend(hub)
    await send(hub, "w1", 1)
    assert first.fault is not None
    assert first.fault.code == "CONFLICT"
    assert (first.data, len(second.data)) == ([], 1)


@pytest.mark.parametrize(
    ("input", "field"),
    [
        ({}, "workerId: required"),
        ({"workerId": ""}, "workerId"),
        ({"workerId": "a\nb"}, "workerId"),
        ({"workerId": "x" * 513}, "workerId"),
        ({"workerId": "w", "capabilities": ["x"] * 257}, "capabilities"),
        ({"workerId": "w", "capabilities": ["x" * 257]}, "capabilities[0]"),
        ({"workerId": "w", "metadata": []}, "metadata"),
    ],
)
async def test_what_is_wrong_with_who_attends_is_named(hub: Running, input: object, field: str) -> None:
    with pytest.raises(PeerError) as refusal:
        await hub.subscribe("workers.attend", input)
    assert refusal.value.code == "BAD_REQUEST"
    assert refusal.value.message.startswith(field)


async def test_what_a_worker_says_of_itself_is_bounded(hub: Running) -> None:
    with pytest.raises(PeerError) as refusal:
        await attend(hub, metadata={"text": "x" * 70_000})
    assert refusal.value.code == "PAYLOAD_TOO_LARGE"
    assert await listed(hub) == []


async def test_each_of_the_three_needs_its_right(hub: Running) -> None:
    worker, boss = who("worker"), who("boss")
    with pytest.raises(PeerError) as refusal:
        await hub.subscribe("workers.attend", {"workerId": "w1"}, by=boss)
    assert refusal.value.code == "FORBIDDEN"
    attending = await hub.subscribe("workers.attend", {"workerId": "w1"}, by=worker)
    await send(hub, "w1", 1, by=boss)
    assert len(attending.data) == 1
    assert len((await hub.call("workers.list", kind="query", by=boss))["workers"]) == 1
    for denied in (
        lambda: send(hub, "w1", 1, by=worker),
        lambda: send(hub, "nobody", 1, by=worker),
        lambda: hub.call("workers.list", kind="query", by=worker),
    ):
        with pytest.raises(Refused) as refused:
            await denied()
        assert refused.value.args[0] == "FORBIDDEN"


async def test_records_are_the_hubs_own(hub: Running) -> None:
    await attend(hub)
    record = {"topic": "worker.presence", "payload": {"key": "w1"}}
    with pytest.raises(Refused) as refused:
        await hub.call("events.publish", record, by=who("publisher"))
    assert refused.value.args[0] == "BAD_REQUEST"
    with pytest.raises(PeerError) as refusal:
        hub.service.change(OWNER, Change("worker.presence", {"key": "w1"}))
    assert refusal.value.code == "BAD_REQUEST"
    assert await hub.query("state.list", {"prefix": ""}) == {"entries": []}
    assert await hub.query("state.get", {"key": "w1"}) is None


async def test_who_may_list_workers_may_see_their_records_and_nobody_else(hub: Running) -> None:
    await attend(hub)
    with pytest.raises(Refused) as refused:
        await hub.call("events.history", {"topics": ["worker.presence"]}, "query", by=who("reader"))
    assert refused.value.args[0] == "FORBIDDEN"
    found = await hub.call("events.history", {"topics": ["worker.**"]}, "query", by=who("reader"))
    assert found["events"] == []
    found = await hub.call("events.history", {"topics": ["worker.**"]}, "query", by=who("lister"))
    assert {event["payload"]["phase"] for event in found["events"]} == {"arriving", "here"}
