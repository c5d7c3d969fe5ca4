"""The journal: the head behind storage, pages that end at the head, positions that are located."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from attrs import evolve

from adohub.builtin.memory import MemoryStorage
from adohub.hub import recent as recents
from adohub.hub.journal import Journal
from adohub.hub.recent import RECENT_EVENTS
from adohub.model import Event, Position
from adohub.topics import Selection
from tests.hub.making import SETTINGS, Hub, draft

EVERYTHING = Selection(["**"])


# ── delivery ─────────────────────────────────────────────────────────────────────────────────────────


async def test_the_head_is_what_was_delivered_and_not_what_storage_holds() -> None:
    hub = Hub()
    before = hub.journal.head
    await hub.publish(draft("t"))
    assert hub.journal.head == before
    await hub.deliver_all()
    assert hub.journal.head == hub.storage.head()


async def test_a_journal_begins_at_the_head_of_its_storage() -> None:
    storage = MemoryStorage(SETTINGS)
    await storage.append([draft("t")])
    journal = Journal(storage)
    assert journal.head == storage.head()
    assert journal.recent(EVERYTHING, journal.head) is not None
    assert journal.recent(EVERYTHING, storage.tail()) is None


async def test_delivered_returns_when_the_head_arrives() -> None:
    hub = Hub()
    await hub.publish(draft("t"), draft("t"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hub.journal.delivered, hub.storage.head())
        await trio.testing.wait_all_tasks_blocked()
        assert nursery.child_tasks
        await hub.deliver_all()
        await trio.testing.wait_all_tasks_blocked()
        assert not nursery.child_tasks


async def test_advancing_never_checkpoints() -> None:
    hub = Hub()
    await hub.publish(*[draft("t")] * 5)
    events = (await hub.storage.read(EVERYTHING, hub.journal.head, 10)).events
    with trio.testing.assert_no_checkpoints():
        hub.journal.advance(events)


# ── back ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_page_ends_at_the_head() -> None:
    hub = Hub()
    start = hub.journal.head
    await hub.publish(draft("t"))
    await hub.deliver_all()
    await hub.publish(draft("t"), draft("t"))
    page = await hub.journal.read(EVERYTHING, start, 10)
    assert ([event.position.offset for event in page.events], page.reached) == ([1], hub.journal.head)


async def test_a_page_from_beyond_the_head_moves_nothing_back() -> None:
    hub = Hub()
    await hub.publish(draft("t"), draft("t"))
    page = await hub.journal.read(EVERYTHING, hub.storage.head(), 10)
    assert (list(page.events), page.reached) == ([], hub.storage.head())


async def test_latest_leaves_out_what_was_not_delivered() -> None:
    hub = Hub()
    await hub.publish(draft("t", "k"))
    await hub.deliver_all()
    await hub.publish(draft("t", "m"))
    assert [event.key for event in await hub.journal.latest([EVERYTHING])] == ["k"]


async def test_memory_answers_exactly_what_storage_would() -> None:
    hub = Hub()
    start = hub.journal.head
    await hub.publish(*(draft("t" if number % 3 else "u", "km"[number % 2]) for number in range(40)))
    await hub.deliver_all()
    for selection in (EVERYTHING, Selection(["u"]), Selection(["t"], key="k"), Selection(["none"])):
        for offset in range(41):
            after = Position(start.epoch, offset)
            recent = hub.journal.recent(selection, after)
            stored = await hub.journal.read(selection, after, 100)
            assert recent is not None
            assert (list(recent.events), recent.reached) == (list(stored.events), hub.journal.head)


async def test_memory_is_bounded_by_events_and_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub()
    await hub.publish(*(draft("t") for _ in range(RECENT_EVENTS + 5)))
    start = hub.journal.head
    await hub.deliver_all()
    assert hub.journal.recent(EVERYTHING, Position(start.epoch, 4)) is None
    remembered = hub.journal.recent(EVERYTHING, Position(start.epoch, 5))
    assert remembered is not None
    assert len(remembered.events) == RECENT_EVENTS

    monkeypatch.setattr(recents, "RECENT_BYTES", 100)
    await hub.publish(draft("t", text="x" * 1000))
    await hub.deliver_all()
    assert hub.journal.recent(EVERYTHING, Position(start.epoch, hub.journal.head.offset - 1)) is None
    at_head = hub.journal.recent(EVERYTHING, hub.journal.head)
    assert at_head is not None
    assert list(at_head.events) == []


async def test_the_tail_is_never_beyond_the_head() -> None:
    """Storage lets go of events that the pump has in its hands."""
    hub = Hub(MemoryStorage(evolve(SETTINGS, max_events=2)))
    await hub.publish(*(draft("t") for _ in range(10)))
    assert hub.storage.tail() > hub.journal.head
    assert hub.journal.tail == hub.journal.head
    assert hub.journal.locate(str(hub.journal.head)).recovered


async def test_what_was_delivered_as_one_is_forgotten_as_one() -> None:
    hub = Hub()
    await hub.publish(*(draft("t") for _ in range(RECENT_EVENTS + 6)))
    events = (await hub.storage.read(EVERYTHING, hub.journal.head, 10_000)).events
    for batch in (events[:3], events[3:8], events[8:]):
        hub.deliver(*batch)
    assert hub.journal.recent(EVERYTHING, events[6].position) is None
    remembered = hub.journal.recent(EVERYTHING, events[9].position)
    assert remembered is not None
    assert list(remembered.events) == list(events[10:])


async def test_memory_knows_nothing_of_another_epoch() -> None:
    hub = Hub()
    assert hub.journal.recent(EVERYTHING, Position("zzz", 0)) is None


def located(hub: Hub, event_id: str) -> tuple[int, bool, int]:
    found = hub.journal.locate(event_id)
    return found.position.offset, found.recovered, found.seen.offset


async def test_locating_an_id() -> None:
    storage = MemoryStorage(SETTINGS)
    hub = Hub(storage)
    ids = await hub.publish(draft("t"), draft("t"), draft("t"))
    epoch = storage.head().epoch
    assert located(hub, ids[1]) == (2, True, 2)
    assert located(hub, ids[2]) == (3, True, 3)
    assert located(hub, str(Position(epoch, 0))) == (0, True, 0)
    assert located(hub, str(Position(epoch, 4))) == (0, False, 0)
    assert located(hub, str(Position("other", 2))) == (0, False, 0)
    assert located(hub, "nonsense") == (0, False, 0)


async def test_follow_yields_what_comes_after_the_head() -> None:
    hub = Hub()
    await hub.publish(draft("t"))
    await hub.deliver_all()
    await hub.publish(draft("u"))
    seen: list[Event] = []
    with trio.fail_after(5), trio.CancelScope() as enough:
        async for batch in hub.journal.follow():
            seen += batch
            enough.cancel()
    assert [event.topic for event in seen] == ["u"]
