"""The narrow face of the hub: publish all or nothing, look back as far as one may see, say what it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
import trio
from attrs import frozen

from adohub.builtin.memory import MemoryStorage
from adohub.config import Role
from adohub.errors import PeerError
from adohub.hub import service as services
from adohub.hub.intake import Intake
from adohub.hub.policy import ALL_RIGHTS, Policy
from adohub.hub.pump import pump
from adohub.hub.rates import Rates
from adohub.hub.service import HubService
from adohub.model import Position, Principal, size_of
from adohub.plugin.contracts import Channel, PublishRequest, Topic
from adohub.plugin.registry import Contribution, PluginRecord, Registry
from adohub.plugin.storage import Located, StorageSettings
from adohub.topics import Selection
from adohub.version import __version__
from tests.hub.making import SETTINGS, Hub

TICK = Topic("garden.tick", key="plant")
NOTE = Topic("garden.note")
REGISTRY = Registry(
    [
        Contribution(
            "garden",
            topics=[TICK, NOTE],
            channels=[Channel("stream.onTick", topics=["garden.tick"], key="plant", replay="last")],
        )
    ],
    [PluginRecord("garden", "garden.py", "1.0", "loaded"), PluginRecord("bad", "bad.py", "", "failed", "no")],
)
ROLES = {"gardener": Role(publish=("garden.tick",), subscribe=("garden.tick",))}
OWNER = Principal("owner", roles=[ALL_RIGHTS])
GARDENER = Principal("gard", roles=["gardener"])
HASH = "5e" * 32


@frozen
class World:
    hub: Hub
    service: HubService


async def opened(settings: StorageSettings) -> AsyncIterator[World]:
    hub = Hub(MemoryStorage(settings))
    intake = Intake(REGISTRY.topics, allow_undeclared=False)
    policy = Policy(ROLES, (), REGISTRY.topics)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hub.journal.keep)
        nursery.start_soon(pump, hub.journal, hub.routes)
        with trio.fail_after(10):
            yield World(
                hub,
                HubService(
                    REGISTRY,
                    hub.journal,
                    intake,
                    policy,
                    Rates(ROLES),
                    engine="memory",
                    schema_hash=HASH,
                    instance="0123456789ab",
                ),
            )
        nursery.cancel_scope.cancel()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async for world in opened(SETTINGS):
        yield world


@pytest.fixture
async def small_world() -> AsyncIterator[World]:
    async for world in opened(StorageSettings(max_events=3, max_age_s=3600, idempotency_window_s=60)):
        yield world


def tick(plant: object = "oak", **more: object) -> PublishRequest:
    return PublishRequest("garden.tick", {"plant": plant} | more)


async def publish(world: World, *requests: PublishRequest, by: Principal = OWNER) -> list[str]:
    receipts = await world.service.submit(by, requests)
    await world.hub.journal.delivered(world.hub.storage.head())
    return [str(receipt.position) for receipt in receipts]


# ── publishing ───────────────────────────────────────────────────────────────────────────────────────


async def test_all_are_kept_in_order(world: World) -> None:
    ids = await publish(world, tick(count=1), PublishRequest("garden.note", {}), tick(count=2))
    assert ids == sorted(ids)
    page = await world.service.history(OWNER, Selection(["**"]), None, 10)
    assert [(event.id, event.topic) for event in page.events] == list(
        zip(ids, ["garden.tick", "garden.note", "garden.tick"], strict=True)
    )


@pytest.mark.parametrize(
    ("wrong", "code", "message"),
    [
        (PublishRequest("garden.tock", {}), "BAD_REQUEST", 'topic: no plugin declares "garden.tock" (did'),
        (tick([]), "BAD_REQUEST", "plant: expected string"),
        (
            PublishRequest("garden.tick", {"plant": "x"}, ""),
            "BAD_REQUEST",
            "idempotencyKey: expected 1 to 256 bytes",
        ),
    ],
)
async def test_none_is_kept_if_one_is_wrong_and_the_fault_says_which(
    world: World, wrong: PublishRequest, code: str, message: str
) -> None:
    with pytest.raises(PeerError) as refusal:
        world.service.submit(OWNER, [tick(), tick(), tick(), wrong, tick()])
    assert refusal.value.code == code
    assert refusal.value.message.startswith(f"events[3]: {message}")
    with pytest.raises(PeerError) as refusal:
        world.service.submit(OWNER, [wrong])
    assert refusal.value.message.startswith(message)
    await world.hub.journal.flushed()
    assert world.hub.storage.head().offset == 0


async def test_a_topic_outside_the_role_is_forbidden_before_its_payload_is_looked_at(world: World) -> None:
    await publish(world, tick(), by=GARDENER)
    with pytest.raises(PeerError) as refusal:
        world.service.submit(GARDENER, [tick(), PublishRequest("garden.note", 5)])
    assert (refusal.value.code, refusal.value.message) == (
        "FORBIDDEN",
        'events[1]: gard may not publish "garden.note"',
    )
    assert world.hub.storage.head().offset == 1


async def test_nothing_at_all_may_be_published(world: World) -> None:
    assert await publish(world) == []


async def test_idempotency_keys_are_each_publishers_own(world: World) -> None:
    once = PublishRequest("garden.tick", {"plant": "oak"}, "k1")
    [first], [again], [other] = [await publish(world, once, by=by) for by in (OWNER, OWNER, GARDENER)]
    assert first == again
    assert other != first


async def test_a_source_publishes_as_itself_and_may_publish_anything(world: World) -> None:
    publish_as_source = world.service.publisher("ticks")
    event_id = await publish_as_source("garden.note", {"text": "hello"})
    page = await world.service.history(OWNER, Selection(["**"]), None, 10)
    assert [event.id for event in page.events] == [event_id]
    with pytest.raises(PeerError, match="plant: required"):
        await publish_as_source("garden.tick", {})


async def test_a_source_publishes_in_the_order_of_its_calls_whatever_it_awaits_first(world: World) -> None:
    publish_as_source = world.service.publisher("ticks")
    first, second = [publish_as_source("garden.note", {"text": text}) for text in ("one", "two")]
    ids = [await second, await first]
    page = await world.service.history(OWNER, Selection(["**"]), None, 10)
    assert [event.id for event in page.events] == ids[::-1]
    assert [event.payload["text"] for event in page.events] == ["one", "two"]


async def test_what_a_source_repeats_under_its_key_is_there_once(world: World) -> None:
    one, other = world.service.publisher("ticks"), world.service.publisher("tocks")
    note = {"text": "hello"}
    first = await one("garden.note", note, idempotency_key="k")
    assert await one("garden.note", note, idempotency_key="k") == first
    assert await other("garden.note", note, idempotency_key="k") != first


# ── looking back ─────────────────────────────────────────────────────────────────────────────────────


async def pages(world: World, selection: Selection, limit: int) -> list[list[str]]:
    """Page after page, each from where the one before says."""
    found: list[list[str]] = []
    after: str | None = None
    while True:
        page = await world.service.history(OWNER, selection, after, limit)
        found.append([event.id for event in page.events])
        if not page.more:
            return found
        after = str(page.reached)


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
async def test_pages_follow_each_other_without_gap_or_repetition(world: World, limit: int) -> None:
    ids = await publish(world, *(tick("oak" if number % 2 else "elm") for number in range(7)))
    for selection, expected in (
        (Selection(["**"]), ids),
        (Selection(["garden.tick"], key="oak"), ids[1::2]),
        (Selection(["garden.*"], key="elm"), ids[::2]),
    ):
        found = await pages(world, selection, limit)
        assert [id_ for page in found for id_ in page] == expected
        assert all(len(page) <= limit for page in found)


async def test_a_page_has_at_most_a_fixed_number_of_events_and_at_least_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "MAX_HISTORY_EVENTS", 3)
    ids = await publish(world, *(tick() for _ in range(5)))
    for limit, count in ((10**9, 3), (2, 2), (0, 1), (-5, 1)):
        page = await world.service.history(OWNER, Selection(["**"]), None, limit)
        assert [event.id for event in page.events] == ids[:count]
        assert page.more


@pytest.mark.parametrize(("most", "length"), [(1, 1), (3, 1), (5, 2), (100, 5)])
async def test_a_page_is_bounded_in_bytes_too_and_the_rest_is_on_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch, most: int, length: int
) -> None:
    ids = await publish(world, *(tick() for _ in range(5)))
    [first] = (await world.service.history(OWNER, Selection(["**"]), None, 1)).events
    monkeypatch.setattr(services, "MAX_HISTORY_BYTES", most * size_of([first]) // 2)
    found = await pages(world, Selection(["**"]), 10)
    assert [id_ for page in found for id_ in page] == ids
    assert len(found[0]) == length


async def test_after_is_any_event_id(world: World) -> None:
    ids = await publish(world, *(tick() for _ in range(4)))
    page = await world.service.history(OWNER, Selection(["**"]), ids[1], 10)
    assert ([event.id for event in page.events], page.more) == (ids[2:], False)
    nothing = await world.service.history(OWNER, Selection(["**"]), ids[3], 10)
    assert (list(nothing.events), nothing.more) == ([], False)


async def test_after_an_id_of_another_hub_it_is_asked_whether_all_is_there(world: World) -> None:
    ids = await publish(world, *(tick() for _ in range(3)))
    storage = world.hub.storage
    asked: list[Position] = []

    async def confirm(seen: Position) -> Located:
        asked.append(seen)
        return Located(Position(seen.epoch, 1), whole=False)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "locate", lambda seen: Located(seen, whole=True, certain=False))
        patch.setattr(storage, "confirm", confirm)
        page = await world.service.history(OWNER, Selection(["**"]), ids[2], 10)
    assert ([event.id for event in page.events], asked) == (ids[1:], [storage.head()])


@pytest.mark.parametrize("after", [None, "nonsense", "other-0000000000000001"])
async def test_what_is_gone_is_left_out(small_world: World, after: str | None) -> None:
    ids = await publish(small_world, *(tick() for _ in range(5)))
    for unknown in (after, ids[0]):
        page = await small_world.service.history(OWNER, Selection(["**"]), unknown, 10)
        assert [event.id for event in page.events] == ids[2:]


async def test_history_shows_what_the_role_may_see(world: World) -> None:
    ids = await publish(world, tick(), PublishRequest("garden.note", {}), tick())
    page = await world.service.history(GARDENER, Selection(["**"]), None, 10)
    assert [event.id for event in page.events] == [ids[0], ids[2]]
    with pytest.raises(PeerError, match=r'gard may not subscribe "garden.note"'):
        await world.service.history(GARDENER, Selection(["garden.note"]), None, 10)


# ── what the hub says of itself ──────────────────────────────────────────────────────────────────────


async def test_health(world: World) -> None:
    health = world.service.health()
    assert set(health) == {"status", "version", "instance", "uptime"}
    assert (health["status"], health["version"]) == ("ok", __version__)
    assert health["instance"] == "0123456789ab"
    assert world.service.health()["instance"] == health["instance"]
    assert 0 <= health["uptime"] < 10
    world.service.report_draining(lambda: True)
    assert world.service.health()["status"] == "draining"


async def test_info(world: World) -> None:
    info: dict[str, Any] = orjson.loads(orjson.dumps(world.service.info()))
    assert set(info) == {"channels", "topics", "plugins", "engine", "schemaHash"}
    assert info["engine"] == "memory"
    assert info["plugins"] == [
        {"name": "garden", "version": "1.0", "status": "loaded"},
        {"name": "bad", "version": "", "status": "failed"},
    ]
    assert [(channel["path"], channel["tracked"]) for channel in info["channels"]] == [
        ("stream.onTick", False),
        ("tracked.onTick", True),
    ]
    assert info["channels"][0] == {
        "path": "stream.onTick",
        "topics": ["garden.tick"],
        "key": "plant",
        "replay": "last",
        "tracked": False,
    }
    assert [(topic["name"], topic["key"]) for topic in info["topics"]] == [
        ("garden.tick", "plant"),
        ("garden.note", None),
    ]
    assert info["schemaHash"] == HASH


async def test_the_head_is_the_newest_delivered_event(world: World) -> None:
    ids = await publish(world, tick())
    assert world.service.head == Position.parse(ids[0])
