"""Gaps: what a subscriber gets when history no longer has all that comes after its position."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import trio
import trio.testing

from adohub.builtin.memory import MemoryStorage
from adohub.hub.recent import RECENT_EVENTS
from adohub.model import Position
from adohub.plugin.storage import StorageSettings
from tests.hub.making import SETTINGS, Hub, Peer, begun, draft, interest

KEYED = interest("t", key="k", completes_on="end")
ENDING = interest("end", key="k", completes_on="end")
WILD = interest("**")

SMALL = StorageSettings(max_events=3, max_age_s=3600, idempotency_window_s=60)


async def after_trimming(settings: StorageSettings = SMALL) -> tuple[Hub, list[str]]:
    """A hub that was given seven events of `k`, of which it keeps the last three; and one of `m` before."""
    hub = Hub(MemoryStorage(settings))
    ids: list[str] = []
    for key in ("m", *"kkkkkkk"):
        ids += await hub.publish(draft("t", key))
        await hub.deliver_all()
    return hub, ids


async def resumed(hub: Hub, event_id: str) -> tuple[Peer, bool]:
    resumption = hub.journal.locate(event_id)
    async with trio.open_nursery() as nursery:
        peer = Peer(nursery)
        hub.cursor(peer, WILD).resume(resumption)
        with trio.fail_after(5):
            await trio.testing.wait_all_tasks_blocked()
    return peer, resumption.recovered


async def test_resuming_in_trimmed_history_replays_what_is_left() -> None:
    hub, ids = await after_trimming()
    peer, recovered = await resumed(hub, ids[2])
    assert (peer.ids, recovered) == (ids[-3:], False)


async def test_the_position_just_before_what_is_kept_is_no_gap() -> None:
    hub, ids = await after_trimming()
    assert await resumed_ids(hub, ids[-4]) == (ids[-3:], True)


async def resumed_ids(hub: Hub, event_id: str) -> tuple[Sequence[str], bool]:
    peer, recovered = await resumed(hub, event_id)
    return peer.ids, recovered


@pytest.mark.parametrize("unknown", ["e9-0000000000000001", "", "not an id", "0-0", "e9-zzzzzzzzzzzzzzzz"])
async def test_an_id_that_is_not_ours_is_a_gap_and_shows_also_the_newest_beyond_history(unknown: str) -> None:
    hub, ids = await after_trimming()
    assert await resumed_ids(hub, unknown) == ([ids[0], *ids[-3:]], False)


async def test_what_was_seen_before_a_gap_is_not_seen_again_though_it_is_the_newest_of_its_key() -> None:
    hub, ids = await after_trimming()
    assert await resumed_ids(hub, ids[0]) == (ids[-3:], False)


async def test_an_id_beyond_the_head_is_a_gap() -> None:
    hub, ids = await after_trimming()
    head = hub.storage.head()
    assert await resumed_ids(hub, str(Position(head.epoch, head.offset + 1))) == ([ids[0], *ids[-3:]], False)


async def test_a_completion_that_history_has_lost_still_completes_with_its_data_after_a_gap() -> None:
    hub = Hub(MemoryStorage(SMALL))
    await hub.publish(draft("t", "k"))
    [end] = await hub.publish(draft("end", "k"))
    for _ in range(5):
        await hub.publish(draft("t", "m"))
    await hub.deliver_all()
    async with trio.open_nursery() as nursery:
        peer = Peer(nursery)
        hub.cursor(peer, ENDING).resume(hub.journal.locate("e9-0000000000000001"))
        await trio.testing.wait_all_tasks_blocked()
    assert (peer.ids, peer.stops, peer.over) == ([end], 1, True)


async def test_all_begins_with_the_newest_of_each_key_that_history_has_lost() -> None:
    hub, ids = await after_trimming()
    async with trio.open_nursery() as nursery:
        peer = Peer(nursery)
        await begun(hub, peer, WILD, "all")
    assert peer.ids == [ids[0], *ids[-3:]]


class Ahead(MemoryStorage):
    """An engine that has let go of events before they were delivered."""

    def tail(self) -> Position:
        return self.head()


async def test_all_joins_at_the_head_when_storage_has_let_go_of_what_was_not_delivered_yet() -> None:
    hub = Hub(Ahead(SETTINGS))
    await hub.publish(draft("t", "k"), draft("t", "k"))
    async with trio.open_nursery() as nursery:
        peer = Peer(nursery)
        await begun(hub, peer, WILD, "all")
        assert hub.routes.members == 1


async def test_who_is_far_behind_comes_back_when_storage_has_let_go_of_what_was_not_delivered_yet() -> None:
    hub = Hub(Ahead(SETTINGS))
    async with trio.open_nursery() as nursery:
        peer = Peer(nursery)
        cursor = await begun(hub, peer, WILD, "none")
        peer.full = True
        await hub.publish(*(draft("t", "k") for _ in range(RECENT_EVENTS + 5)))
        await hub.deliver_all()
        await hub.publish(draft("t", "k"), draft("t", "k"))  # under way: storage's tail is beyond the head
        peer.drain()
        with trio.fail_after(5):
            await trio.testing.wait_all_tasks_blocked()
        assert hub.routes.members == 1
        assert hub.journal.metrics.gaps == 1
        await hub.deliver_all()
        assert peer.ids[-1] == str(hub.storage.head())
        cursor.leave()


async def test_a_replay_ends_though_all_history_has_expired() -> None:
    moment = 0.0
    hub = Hub(MemoryStorage(StorageSettings(1000, 10, 60), clock=lambda: moment))
    [first] = await hub.publish(draft("t", "k"))
    await hub.deliver_all()
    resumption = hub.journal.locate(first)
    await hub.publish(*(draft("t", "k") for _ in range(RECENT_EVENTS + 1)))
    await hub.deliver_all()
    moment = 100.0
    async with trio.open_nursery() as nursery:
        peer = Peer(nursery)
        with trio.fail_after(5):
            hub.cursor(peer, WILD).resume(resumption)
            await trio.testing.wait_all_tasks_blocked()
        assert hub.routes.members == 1


async def test_a_subscription_ends_though_its_end_has_fallen_out_of_history_while_it_was_behind() -> None:
    hub = Hub(MemoryStorage(SMALL))
    async with trio.open_nursery() as nursery:
        peer = Peer(nursery)
        await begun(hub, peer, KEYED, "none")
        peer.full = True
        for event in (draft("t", "k"), draft("end", "k"), *[draft("t", "m")] * (RECENT_EVENTS + 1)):
            await hub.publish(event)
            await hub.deliver_all()
        peer.drain()
        with trio.fail_after(5):
            await trio.testing.wait_all_tasks_blocked()
    assert (peer.stops, peer.over, hub.journal.metrics.gaps) == (1, True, 1)
