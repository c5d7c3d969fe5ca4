"""The handover: whatever happens in whatever order, each chosen event is seen once, in order, to the end.

`explore` tries every script of a few steps that can be made of {publish, deliver, storage answers, socket
full, socket drained, stop}; hypothesis tries longer ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from adohub.builtin.memory import MemoryStorage
from adohub.errors import Goodbye
from adohub.hub.replays import CHUNK_BYTES
from adohub.model import Event
from adohub.plugin.storage import StorageSettings
from tests.hub.making import Hub, Peer, at_once, begun, draft, interest
from tests.hub.stage import Outcome, Start, Step, play

KEYED = interest("t", key="k", completes_on="end")
ENDING = interest("end", key="k", completes_on="end")
WILD = interest("**")

DEPTH = 4
"""How many steps the scripts have that are all tried."""

STARTS = {
    "none, nothing before": Start(),
    "none, events before": Start(before=["publish", "publish"]),
    "none, completed before": Start(before=["publish", "end"]),
    "none without an end": Start(before=["publish"], interest=WILD),
    "last": Start(before=["publish", "other", "publish"], undelivered=["publish"], replay="last"),
    "last, completed before": Start(before=["publish", "end"], replay="last"),
    "last of the completion": Start(before=["end"], replay="last", interest=ENDING),
    "last, completed but undelivered": Start(before=["publish"], undelivered=["end"], replay="last"),
    "last, by pattern": Start(
        before=["publish", "other"], undelivered=["other"], replay="last", interest=WILD
    ),
    "all": Start(before=["publish", "other", "publish"], undelivered=["publish"], replay="all"),
    "all, from storage": Start(before=["publish", "other", "publish"], replay="all", far_back=True),
    "all, completed in between": Start(before=["publish", "end", "publish"], replay="all"),
    "resume at the very beginning": Start(before=["publish", "publish"], resume_at=0),
    "resume in the middle": Start(before=["publish", "publish", "publish"], resume_at=2),
    "resume in the middle, from storage": Start(
        before=["publish", "publish", "publish"], resume_at=1, far_back=True
    ),
    "resume by pattern, from storage": Start(
        before=["publish", "other", "publish"], resume_at=1, interest=WILD, far_back=True
    ),
    "resume into a small socket": Start(before=["publish"] * 4, resume_at=1, interest=WILD, capacity=1),
    "last into a small socket": Start(
        before=["publish", "other", "publish"], replay="last", interest=WILD, capacity=1
    ),
    "all into a small socket": Start(before=["publish", "publish", "end"], replay="all", capacity=1),
    "live into a small socket": Start(undelivered=["publish"] * 4, interest=WILD, capacity=1),
    "ends in a small socket": Start(before=["publish", "end"], replay="last", capacity=1),
    "resume at the head": Start(before=["publish", "publish"], resume_at=2),
    "resume ahead of delivery": Start(before=["publish"], undelivered=["publish", "publish"], resume_at=2),
    "resume after the completion": Start(before=["publish", "end"], resume_at=2),
    "resume before the completion": Start(before=["publish", "end", "publish"], resume_at=1),
}


def check(start: Start, script: Sequence[Step], outcome: Outcome) -> None:
    """The law, from what was published alone."""
    told = f"{start}\n{list(script)}\n{outcome}"
    first = (
        start.resume_at
        if start.resume_at is not None
        else 0
        if start.replay == "all"
        else outcome.head_at_start.offset
    )
    before = [event for event in outcome.events if event.position.offset <= first]
    after = [event for event in outcome.events if event.position.offset > first]
    expected, completes = _until_completed(start, after)
    completed_before = any(map(start.interest.completed_by, before))

    ids = list(outcome.ids)
    if start.replay == "last" and start.resume_at is None:
        ids = _without_newest(start, before, after, ids, told)
    assert ids == expected[: len(ids)], told
    if not outcome.left:
        if not completed_before:
            assert ids == expected, told
        assert (outcome.stops, outcome.stopped_last) == ((1, True) if outcome.over else (0, False)), told
        assert outcome.over == (completes or completed_before), told
        assert outcome.live != outcome.over, told
    else:
        assert not outcome.live, told
        assert outcome.stops <= 1, told


def _until_completed(start: Start, events: Sequence[Event]) -> tuple[list[str], bool]:
    ids = []
    for event in events:
        if start.interest.selection.chooses(event):
            ids.append(event.id)
        if start.interest.completed_by(event):
            return ids, True
    return ids, False


def _without_newest(
    start: Start, before: Sequence[Event], after: Sequence[Event], ids: list[str], told: str
) -> list[str]:
    """`ids` without the newest of each key, which come first, unless newer ones came in the meantime."""
    newest = {event.key: event for event in before if start.interest.selection.chooses(event)}
    old = {event.id for event in before}
    shown = [id_ for id_ in ids if id_ in old]
    assert ids[: len(shown)] == shown, told
    assert shown == sorted(shown), told
    missing = {event.key: event.id for event in newest.values() if event.id not in shown}
    assert set(shown) | set(missing.values()) == {event.id for event in newest.values()}, told
    newer_keys = {event.key for event in after if event.topic == "t" or start.interest is not KEYED}
    if ids[len(shown) :]:
        assert set(missing) <= newer_keys, told
    return ids[len(shown) :]


@pytest.mark.parametrize("name", STARTS)
async def test_every_order_of_a_few_steps_keeps_the_law(name: str) -> None:
    start = STARTS[name]
    played = 0
    scripts: list[tuple[Step, ...]] = [()]
    with trio.fail_after(60):
        while scripts:
            script = scripts.pop()
            outcome = await play(start, script)
            check(start, script, outcome)
            played += 1
            if len(script) < DEPTH:
                scripts += ((*script, step) for step in outcome.possible)
    assert played > 100


@settings(max_examples=300, deadline=None)
@given(
    start=st.sampled_from(list(STARTS.values())),
    script=st.lists(
        st.sampled_from(
            ["publish", "publish", "other", "end", "deliver", "deliver", "storage", "storage", "full", "room"]
        ),
        max_size=30,
    ),
    stop=st.booleans(),
)
def test_longer_orders_keep_the_law(start: Start, script: list[Step], stop: bool) -> None:
    if stop:
        script = [*script, "stop", "publish", "deliver", "storage", "storage"]

    async def run() -> None:
        with trio.fail_after(20):
            check(start, script, await play(start, script))

    trio.run(run)


# ── sockets ──────────────────────────────────────────────────────────────────────────────────────────


async def test_a_long_replay_comes_in_chunks_of_bounded_size_and_whole() -> None:
    hub = Hub(MemoryStorage(StorageSettings(10_000, 3600, 60)))
    ids = await hub.publish(*(draft("t", "k", text="x" * 300) for _ in range(3000)))
    await hub.deliver_all()
    async with trio.open_nursery() as nursery:
        peer = Peer(nursery)
        with trio.fail_after(10):
            await begun(hub, peer, WILD, "all")
    assert peer.ids == ids
    assert max(map(len, peer.frames)) < CHUNK_BYTES + 1000
    assert len(peer.frames) > 5


async def test_a_subscriber_that_is_slow_by_its_channels_rule_is_sent_away_and_replays_nothing() -> None:
    hub = Hub()
    async with trio.open_nursery() as nursery:
        peer = Peer(nursery)
        hub.cursor(peer, WILD, "disconnect").begin("none")
        peer.full = True
        await hub.publish(draft("t", "k"))
        await hub.deliver_all()
        peer.drain()
        await trio.testing.wait_all_tasks_blocked()
    assert [(one.code, type(one)) for one in peer.goodbyes] == [(1013, Goodbye)]
    assert (peer.frames, hub.routes.members) == ([], 0)


async def test_stopped_while_its_first_events_wait_for_room_it_hears_none_of_them() -> None:
    hub = Hub()
    await hub.publish(draft("t", "k"))
    await hub.deliver_all()
    async with trio.open_nursery() as nursery:
        peer = Peer(nursery)
        peer.full = True
        cursor = await begun(hub, peer, KEYED, "last")
        cursor.leave()
        peer.drain()
        await trio.testing.wait_all_tasks_blocked()
    assert peer.frames == []


async def test_left_before_its_replay_began_it_hears_nothing_and_never_joins() -> None:
    hub = Hub()
    await hub.publish(draft("t", "k"))
    await hub.deliver_all()
    async with trio.open_nursery() as nursery:
        peer = Peer(nursery)
        cursor = hub.cursor(peer, KEYED)
        cursor.begin("all")
        cursor.leave()
    assert (peer.frames, hub.routes.members) == ([], 0)


# ── the laws, as they stand in the code ──────────────────────────────────────────────────────────────


async def test_the_delivering_step_has_no_checkpoint() -> None:
    hub = Hub()
    async with trio.open_nursery() as nursery:
        peers = [Peer(nursery) for _ in range(4)]
        with trio.testing.assert_no_checkpoints():
            for peer in peers[:2]:
                hub.cursor(peer, WILD).begin("none")
        for peer in peers[2:]:
            await begun(hub, peer, KEYED, "last")
        peers[1].full = peers[3].full = True
        await hub.publish(draft("t", "k"), draft("end", "k"))
        events = (await hub.storage.read(WILD.selection, hub.journal.head, 10)).events
        before = hub.journal.head
        with trio.testing.assert_no_checkpoints():
            hub.journal.advance(events)
        with trio.testing.assert_no_checkpoints():
            at_once(hub.routes.deliver(events, before))
        for peer in peers:
            peer.drain()
    assert [len(peer.ids) for peer in peers] == [2, 2, 1, 1]
    assert [peer.stops for peer in peers] == [0, 0, 1, 1]


async def test_the_step_from_the_last_page_to_the_cohort_has_no_checkpoint(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub = Hub()
    step = ExitStack()
    async with trio.open_nursery() as nursery:
        peer = Peer(nursery)
        cursor = hub.cursor(peer, WILD)
        cursor.begin("none")
        peer.full = True
        await hub.publish(draft("t", "k"))
        await hub.deliver_all()
        push, join = peer.push, hub.routes.join

        def last_push(frames: bytes) -> bool:
            step.enter_context(trio.testing.assert_no_checkpoints())
            return push(frames)

        def joining(*arguments: Any) -> None:
            step.close()
            join(*arguments)

        monkeypatch.setattr(peer, "push", last_push)
        monkeypatch.setattr(hub.routes, "join", joining)
        peer.drain()
        await trio.testing.wait_all_tasks_blocked()
        assert hub.routes.members == 1
        cursor.leave()
    assert len(peer.ids) == 1
