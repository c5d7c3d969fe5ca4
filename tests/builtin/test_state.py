"""`state.*` as the contract has it: revisions, conditions, a snapshot with no gap before the changes."""

from __future__ import annotations

from typing import Any

import pytest
import trio.testing

from adohub import Call, Position
from adohub.builtin import state
from adohub.config import Config
from adohub.config import Storage as StorageConfig
from adohub.notes import below, gathered, noted, notes_of
from tests.builtin.socketless import OWNER, Refused, Running, running


async def set_(hub: Running, key: str, value: object, **more: object) -> int:
    answer = await hub.call("state.set", {"key": key, "value": value} | more)
    await trio.testing.wait_all_tasks_blocked()
    assert set(answer) == {"revision"}
    return int(answer["revision"])


async def delete(hub: Running, key: str, **more: object) -> int:
    answer = await hub.call("state.delete", {"key": key} | more)
    await trio.testing.wait_all_tasks_blocked()
    return int(answer["revision"])


def change(key: str | None, value: object, revision: int, op: str = "set") -> dict[str, Any]:
    return {"op": op, "key": key, "value": value, "revision": revision}


def synced(revision: int) -> dict[str, Any]:
    return change(None, None, revision, "synced")


def small() -> Config:
    """A hub that keeps five events."""
    return Config(storage=StorageConfig(max_events=5))


# ── values ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("value", [1, "text", None, [1, {"a": None}], {"deep": {"er": True}}, False])
async def test_what_was_set_is_got(hub: Running, value: object) -> None:
    revision = await set_(hub, "app.color", value)
    assert await hub.query("state.get", {"key": "app.color"}) == {"value": value, "revision": revision}


async def test_a_key_that_is_not_there_is_null(hub: Running) -> None:
    assert await hub.query("state.get", {"key": "app.color"}) is None
    await set_(hub, "app.color", "red")
    await delete(hub, "app.color")
    assert await hub.query("state.get", {"key": "app.color"}) is None


async def test_what_json_cannot_say_of_a_value_is_handed_on(hub: Running) -> None:
    value = noted({"at": "2026-01-02"}, [(("at",), "Date")])
    await set_(hub, "app.plain", 1)
    await set_(hub, "app.rich", value)
    call = Call(OWNER, hub.service)
    got = await state.get(state.GetInput("app.rich"), call)
    assert (got["value"], gathered(got)) == (value, below(notes_of(value), "value"))
    listed = await state.list_(state.PrefixInput("app."), call)
    assert gathered(listed) == below(notes_of(value), "entries", 1, "value")


async def test_revisions_grow(hub: Running) -> None:
    revisions = [await set_(hub, "a", 1), await set_(hub, "b", 1), await set_(hub, "a", 2)]
    revisions += [await delete(hub, "b"), await set_(hub, "b", 2)]
    assert revisions == sorted(set(revisions))
    assert revisions[0] > 0


async def test_a_list_has_what_begins_with_the_prefix_in_order_of_keys(hub: Running) -> None:
    revisions = {key: await set_(hub, key, key.upper()) for key in ("b", "ab", "a", "abc", "ax")}
    await delete(hub, "ax")

    def entry(key: str) -> dict[str, Any]:
        return {"key": key, "value": key.upper(), "revision": revisions[key]}

    assert await hub.query("state.list", {"prefix": "ab"}) == {"entries": [entry("ab"), entry("abc")]}
    everything = await hub.query("state.list", {"prefix": ""})
    assert everything == {"entries": [entry("a"), entry("ab"), entry("abc"), entry("b")]}
    assert await hub.query("state.list", {"prefix": "nothing"}) == {"entries": []}


# ── conditions ───────────────────────────────────────────────────────────────────────────────────────


async def test_a_revision_that_holds_lets_the_change_through(hub: Running) -> None:
    made = await set_(hub, "lock", "ann", ifRevision=0)
    taken = await set_(hub, "lock", "bob", ifRevision=made)
    await delete(hub, "lock", ifRevision=taken)
    await set_(hub, "lock", "eve", ifRevision=0)


@pytest.mark.parametrize("stale", [0, 999_999])
async def test_a_stale_revision_is_a_conflict_and_changes_nothing(hub: Running, stale: int) -> None:
    revision = await set_(hub, "lock", "ann")
    for call in (set_(hub, "lock", "bob", ifRevision=stale), delete(hub, "lock", ifRevision=stale)):
        with pytest.raises(Refused, match=f'"lock" has changed: it is at revision {revision}') as refusal:
            await call
        assert refusal.value.args[0] == "CONFLICT"
    assert await hub.query("state.get", {"key": "lock"}) == {"value": "ann", "revision": revision}


async def test_a_condition_on_what_is_not_there_is_a_conflict(hub: Running) -> None:
    with pytest.raises(Refused, match="there is none"):
        await set_(hub, "lock", "ann", ifRevision=7)
    with pytest.raises(Refused, match="there is none"):
        await delete(hub, "lock", ifRevision=7)


async def test_deleting_what_is_not_there_is_nothing(hub: Running) -> None:
    listener = await hub.subscribe("state.onChange", {"prefix": ""})
    assert await delete(hub, "nothing") == 0
    assert listener.data == [synced(0)]


async def test_an_idempotent_change_acts_once(hub: Running) -> None:
    first = await set_(hub, "lock", "ann", ifRevision=0, idempotencyKey="x")
    await set_(hub, "lock", "bob")
    assert await set_(hub, "lock", "ann", ifRevision=0, idempotencyKey="x") == first
    assert (await hub.query("state.get", {"key": "lock"}))["value"] == "bob"


# ── changes ──────────────────────────────────────────────────────────────────────────────────────────


async def test_a_snapshot_is_followed_by_synced_and_then_by_changes(hub: Running) -> None:
    revisions = [await set_(hub, "app.b", 1), await set_(hub, "app.a", 2), await set_(hub, "other", 3)]
    await delete(hub, "app.gone")
    await set_(hub, "app.gone", 1)
    last = await delete(hub, "app.gone")
    listener = await hub.subscribe("state.onChange", {"prefix": "app."})
    begun = [change("app.b", 1, revisions[0]), change("app.a", 2, revisions[1]), synced(last)]
    assert listener.data == begun
    await set_(hub, "other", 4)
    changed = await set_(hub, "app.b", 5)
    deleted = await delete(hub, "app.a")
    assert listener.data == [
        *begun,
        change("app.b", 5, changed),
        change("app.a", None, deleted, "delete"),
    ]


async def test_every_message_has_an_id_of_its_own_in_order(hub: Running) -> None:
    for key in "abc":
        await set_(hub, key, key)
    listener = await hub.subscribe("state.onChange", {"prefix": ""})
    await set_(hub, "d", "d")
    assert len(set(listener.ids)) == len(listener.ids) == 5
    assert [Position.parse(one) is None for one in listener.ids] == [True, True, True, False, False]


async def test_a_resume_goes_on_with_changes_and_no_new_snapshot(hub: Running) -> None:
    await set_(hub, "a", 1)
    listener = await hub.subscribe("state.onChange", {"prefix": ""})
    missed = [await set_(hub, "b", 2), await delete(hub, "a")]
    resumed = await hub.subscribe("state.onChange", {"prefix": ""}, last=listener.ids[1])
    assert resumed.data == [change("b", 2, missed[0]), change("a", None, missed[1], "delete")]
    later = await set_(hub, "c", 3)
    assert resumed.data[-1] == change("c", 3, later)


async def test_a_resume_in_the_middle_of_a_snapshot_gets_the_rest_and_synced(hub: Running) -> None:
    revisions = [await set_(hub, key, key) for key in "abc"]
    listener = await hub.subscribe("state.onChange", {"prefix": ""})
    deleted = await delete(hub, "a")
    resumed = await hub.subscribe("state.onChange", {"prefix": ""}, last=listener.ids[0])
    assert resumed.data == [
        change("b", "b", revisions[1]),
        change("c", "c", revisions[2]),
        change("a", None, deleted, "delete"),
        synced(deleted),
    ]


async def test_after_a_gap_there_is_a_new_snapshot_with_what_was_deleted() -> None:
    async with running(small()) as hub:
        revisions = {key: await set_(hub, key, key) for key in "abc"}
        listener = await hub.subscribe("state.onChange", {"prefix": ""})
        [*_, seen] = listener.ids
        deleted = await delete(hub, "a")
        for _ in range(10):
            await hub.publish("system.provider.status", {"type": "provider.status", "payload": {}})
        resumed = await hub.subscribe("state.onChange", {"prefix": ""}, last=seen)
        last = resumed.data[-1]
        assert resumed.data == [
            change("b", "b", revisions["b"]),
            change("c", "c", revisions["c"]),
            change("a", None, deleted, "delete"),
            synced(last["revision"]),
        ]
        fresh = await hub.subscribe("state.onChange", {"prefix": ""})
        assert [one["key"] for one in fresh.data] == ["b", "c", None]


async def test_an_id_of_another_epoch_is_a_gap(hub: Running) -> None:
    revision = await set_(hub, "a", 1)
    resumed = await hub.subscribe("state.onChange", {"prefix": ""}, last=str(Position("other", 5)))
    assert resumed.data == [change("a", 1, revision), synced(revision)]


# ── limits and rights ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("path", "input", "complaint"),
    [
        ("state.set", {"key": "", "value": 1}, "key"),
        ("state.set", {"key": "x" * 513, "value": 1}, "key"),
        ("state.set", {"key": "a\nb", "value": 1}, "key"),
        ("state.set", {"key": "a"}, "value"),
        ("state.set", {"key": "a", "value": 1, "ifRevision": -1}, "ifRevision"),
        ("state.set", {"key": "a", "value": 1, "ifRevision": "1"}, "ifRevision"),
        ("state.delete", {"value": 1}, "key"),
    ],
)
async def test_wrong_input_is_refused_by_field(
    hub: Running, path: str, input: object, complaint: str
) -> None:
    with pytest.raises(Refused, match=complaint) as refusal:
        await hub.call(path, input)
    assert refusal.value.args[0] == "BAD_REQUEST"


async def test_a_value_may_be_so_long_and_no_longer() -> None:
    async with running(Config(plugin={"state": {"max_entry_bytes": 1024}})) as hub:
        await set_(hub, "k", "x" * 900)
        with pytest.raises(Refused, match="1024 are allowed") as refusal:
            await set_(hub, "k", "x" * 1024)
        assert refusal.value.args[0] == "PAYLOAD_TOO_LARGE"


async def test_there_may_be_so_many_keys_and_no_more() -> None:
    async with running(Config(plugin={"state": {"max_keys": 2}})) as hub:
        await set_(hub, "a", 1)
        await set_(hub, "b", 1)
        with pytest.raises(Refused, match="no room for another key") as refusal:
            await set_(hub, "c", 1)
        assert refusal.value.args[0] == "PAYLOAD_TOO_LARGE"
        await set_(hub, "b", 2)
        await delete(hub, "a")
        await set_(hub, "c", 1)


async def test_state_is_not_published_by_itself(hub: Running) -> None:
    with pytest.raises(Refused, match="written by its own procedures") as refusal:
        await hub.publish("state.changed", {"op": "set", "key": "a", "value": 1})
    assert refusal.value.args[0] == "BAD_REQUEST"


async def test_state_outlives_history() -> None:
    async with running(small()) as hub:
        for number in range(20):
            await set_(hub, f"k{number:02}", number)
        entries = (await hub.query("state.list", {"prefix": ""}))["entries"]
        assert [entry["value"] for entry in entries] == list(range(20))
        with pytest.raises(Refused, match="CONFLICT"):
            await set_(hub, "k00", 1, ifRevision=0)


async def test_a_late_replay_shows_the_newest_of_every_running_task_beyond_history() -> None:
    async with running(small()) as hub:
        for task in ("t1", "t2", "t3"):
            progress = {"taskId": task, "phase": "impl", "progress": 50, "message": task}
            await hub.publish("task.progress", progress)
        for _ in range(10):
            await hub.publish("system.provider.status", {"type": "provider.status", "payload": {}})
        late = await hub.subscribe("stream.onEvent", {"topics": ["task.*"], "replay": "last"})
        assert [event["key"] for event in late.data] == ["t1", "t2", "t3"]


async def test_the_last_output_of_one_agent_is_shown_though_another_spoke_since(hub: Running) -> None:
    for agent, content in (("a1", "one"), ("a1", "two"), ("a2", "three")):
        output = {"taskId": "t", "agentId": agent, "type": "stdout", "content": content}
        await hub.publish("agent.output", output)
    late = await hub.subscribe("stream.onAgentOutput", {"taskId": "t", "agentId": "a1", "replay": "last"})
    assert [event["content"] for event in late.data] == ["two"]


@pytest.mark.parametrize(("limit", "most"), [("MAX_LISTED_ENTRIES", 2), ("MAX_LISTED_BYTES", 150)])
async def test_a_list_has_so_many_entries_and_bytes_of_what_is_there(
    hub: Running, monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    monkeypatch.setattr(state, limit, most)
    for key in ("gone.a", "gone.b", "gone.c"):
        await set_(hub, key, "x" * 20)
        await delete(hub, key)
    for key in ("a", "b"):
        await set_(hub, key, "x" * 20)
    listed = await hub.query("state.list", {"prefix": ""})
    assert [entry["key"] for entry in listed["entries"]] == ["a", "b"]
    await set_(hub, "c", "x" * 20)
    with pytest.raises(Refused, match="there are 3 keys; ask for a longer prefix") as refusal:
        await hub.query("state.list", {"prefix": ""})
    assert refusal.value.args[0] == "PAYLOAD_TOO_LARGE"
    assert len((await hub.query("state.list", {"prefix": "c"}))["entries"]) == 1
