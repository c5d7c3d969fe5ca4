"""`on_slow = "latest"`: who fell behind gets the newest event per key, and then what follows."""

from __future__ import annotations

import trio
from trio.testing import wait_all_tasks_blocked

from tests.hub.making import Hub, Peer, draft, interest


async def test_of_what_was_missed_only_the_newest_of_each_key_is_given() -> None:
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            hub, peer = Hub(), Peer(nursery)
            hub.cursor(peer, interest("task.progress"), on_slow="latest").begin("none")
            peer.full = True
            ids = [await hub.publish(draft("task.progress", f"t{number % 2}")) for number in range(20)]
            await hub.deliver_all()
            await wait_all_tasks_blocked()
            assert peer.ids == []
            peer.drain()
            await wait_all_tasks_blocked()
            newest = [*ids[-2], *ids[-1]]
            assert peer.ids == newest
            later = await hub.publish(draft("task.progress", "t0"))
            await hub.deliver_all()
            assert peer.ids == [*newest, *later]


async def test_an_event_that_completes_is_never_skipped() -> None:
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            hub, peer = Hub(), Peer(nursery)
            wanted = interest("task.progress", key="t", completes_on="task.completed")
            hub.cursor(peer, wanted, on_slow="latest").begin("none")
            await wait_all_tasks_blocked()
            peer.full = True
            await hub.publish(draft("task.progress", "t"))
            newest = await hub.publish(draft("task.progress", "t"))
            await hub.publish(draft("task.completed", "t"))
            await hub.deliver_all()
            peer.drain()
            await wait_all_tasks_blocked()
            assert (peer.ids, peer.stops, peer.over) == (newest, 1, True)
