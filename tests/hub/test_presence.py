"""Of several hubs one announces who comes and goes, whatever dies, is cut off or comes back meanwhile."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from adohub.errors import PeerError
from tests.hub.neighbours import GRACE_S, a_crew, fresh_storage

LONG_S = 4 * GRACE_S


@pytest.fixture
def anyio_backend() -> object:
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


# ── one hub ──────────────────────────────────────────────────────────────────────────────────────────


async def test_who_comes_and_goes_is_announced_once_each_the_latter_after_the_grace() -> None:
    async with a_crew("a") as crew:
        anna = await crew.hubs["a"].attend("anna")
        assert await crew.told() == ["+anna"]
        await trio.sleep(LONG_S)
        anna.leave()
        await trio.sleep(GRACE_S - 0.1)
        assert (await crew.told(), crew.hubs["a"].present) == (["+anna"], ["anna"])
        await trio.sleep(0.2)
        assert (await crew.told(), crew.hubs["a"].present) == (["+anna", "-anna"], [])
        assert await crew.kept() == []


async def test_without_a_grace_it_is_announced_at_once() -> None:
    async with a_crew("a", grace_s=0) as crew:
        anna = await crew.hubs["a"].attend("anna")
        anna.leave()
        await trio.sleep(0.01)
        assert await crew.told() == ["+anna", "-anna"]


async def test_who_comes_back_within_the_grace_has_missed_nothing_and_nobody_is_told() -> None:
    async with a_crew("a") as crew:
        anna = await crew.hubs["a"].attend("anna")
        await crew.order("anna", 1)
        await trio.sleep(0.1)
        anna.leave()
        await crew.order("anna", 2)
        await trio.sleep(GRACE_S - 1)
        again = await crew.hubs["a"].attend("anna")
        await crew.order("anna", 3)
        await trio.sleep(LONG_S)
        assert (anna.orders, again.orders) == ([1], [2, 3])
        assert await crew.told() == ["+anna"]


async def test_who_comes_for_the_first_time_gets_only_what_comes_later() -> None:
    async with a_crew("a") as crew:
        await crew.order("anna", 1)
        anna = await crew.hubs["a"].attend("anna")
        await crew.order("anna", 2)
        await trio.sleep(0.1)
        assert anna.orders == [2]


async def test_who_returns_after_the_grace_is_new() -> None:
    async with a_crew("a") as crew:
        (await crew.hubs["a"].attend("anna")).leave()
        await trio.sleep(LONG_S)
        await crew.hubs["a"].attend("anna")
        assert await crew.told() == ["+anna", "-anna", "+anna"]


async def test_the_newest_attends_and_the_one_before_it_is_told_so() -> None:
    async with a_crew("a") as crew:
        first = await crew.hubs["a"].attend("anna", "old")
        second = await crew.hubs["a"].attend("anna", "new")
        await crew.order("anna", 1)
        await trio.sleep(LONG_S)
        assert first.caller.refusals == ["CONFLICT"]
        assert (first.orders, second.orders, second.caller.refusals) == ([], [1], [])
        assert await crew.told() == ["+anna"]
        assert [record.about for record in crew.hubs["a"].registrar.present()] == ["new"]


async def test_who_leaves_before_it_has_arrived_is_forgotten() -> None:
    async with a_crew("a") as crew:
        hub = crew.hubs["a"]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hub.attend, "anna")
            await trio.testing.wait_all_tasks_blocked(0)
            for attendance in list(hub.registrar._open.values()):
                attendance.leave()
        await trio.sleep(LONG_S)
        told = await crew.told()
        assert told in ([], ["+anna", "-anna"])
        assert (await crew.kept(), hub.present) == ([], [])


async def test_there_is_room_for_as_many_as_the_topic_allows() -> None:
    async with a_crew("a") as crew:
        for who in ("anna", "ben", "cleo"):
            await crew.hubs["a"].attend(who)
        with pytest.raises(PeerError) as refusal:
            await crew.hubs["a"].attend("dora")
        assert refusal.value.code == "TOO_MANY_REQUESTS"


async def test_what_cannot_be_announced_of_one_is_announced_of_the_others() -> None:
    async with a_crew("a") as crew:
        with pytest.raises(RuntimeError):
            await crew.hubs["a"].attend("anna", "unspeakable")
        (await crew.hubs["a"].attend("ben")).leave()
        await trio.sleep(LONG_S)
        assert await crew.told() == ["+ben", "-ben"]


async def test_a_hub_that_ends_writes_down_how_far_everybody_had_come() -> None:
    async with a_crew("a") as crew:
        anna = await crew.hubs["a"].attend("anna")
        await crew.order("anna", 1)
        await trio.sleep(0.1)
        anna.leave()
        await crew.hubs["a"].registrar.quiet()
        [record] = await crew.kept()
        assert record.payload["phase"] == "away"
        crew.hubs["a"].kill()
        crew.miss("a")
        again = await (await crew.start("b")).attend("anna")
        await crew.order("anna", 2)
        await trio.sleep(LONG_S)
        assert (again.orders, await crew.told()) == ([2], ["+anna"])


# ── several hubs ─────────────────────────────────────────────────────────────────────────────────────


async def test_every_hub_knows_who_is_present_anywhere() -> None:
    async with a_crew("a", "b", "c") as crew:
        await crew.hubs["a"].attend("anna")
        await crew.hubs["b"].attend("ben")
        await trio.sleep(0.1)
        assert [hub.present for hub in crew.hubs.values()] == [["anna", "ben"]] * 3
        assert (await crew.start("d")).present == ["anna", "ben"]


async def test_whom_another_hub_has_just_let_in_is_found_though_nothing_was_heard_of_it() -> None:
    async with a_crew("a", "b") as crew:
        crew.hubs["b"].link.lag_s = 0.1
        for number in range(3):
            who = f"worker {number}"
            await crew.hubs["a"].attend(who)
            assert crew.hubs["b"].registrar.present(who) == []
            found = await crew.hubs["b"].registrar.find(who)
            assert found is not None
            assert (found.key, found.hub) == (who, "a")
        assert await crew.hubs["b"].registrar.find("nobody") is None
        assert len(await crew.kept()) == 3


async def test_who_moves_to_another_hub_within_the_grace_is_not_announced_and_misses_nothing() -> None:
    async with a_crew("a", "b") as crew:
        anna = await crew.hubs["a"].attend("anna")
        await crew.order("anna", 1)
        await trio.sleep(0.1)
        anna.leave()
        await crew.order("anna", 2)
        await trio.sleep(1)
        moved = await crew.hubs["b"].attend("anna")
        await crew.order("anna", 3)
        await trio.sleep(LONG_S)
        assert (anna.orders, moved.orders) == ([1], [2, 3])
        assert await crew.told() == ["+anna"]


async def test_who_moves_before_the_old_hub_has_noticed_misses_nothing_and_gets_nothing_twice() -> None:
    async with a_crew("a", "b") as crew:
        anna = await crew.hubs["a"].attend("anna")
        await crew.order("anna", 1)
        await trio.sleep(0.1)
        moved = await crew.hubs["b"].attend("anna")
        await crew.order("anna", 2)
        await trio.sleep(LONG_S)
        assert (anna.orders, moved.orders) == ([1], [2])
        assert anna.caller.refusals == ["CONFLICT"]
        assert await crew.told() == ["+anna"]


async def test_what_a_connection_had_no_room_for_is_given_to_the_next_one() -> None:
    async with a_crew("a", "b") as crew:
        anna = await crew.hubs["a"].attend("anna")
        await trio.sleep(0.1)
        anna.caller.full = True
        await crew.order("anna", 1)
        await trio.sleep(1)
        moved = await crew.hubs["b"].attend("anna")
        await trio.sleep(1)
        assert (anna.orders, moved.orders) == ([], [1])


async def test_a_hub_that_dies_has_its_people_announced_as_gone_once_though_all_survivors_try() -> None:
    async with a_crew("a", "b", "c", "d") as crew:
        await crew.hubs["a"].attend("anna")
        await crew.hubs["a"].attend("ben")
        crew.hubs["a"].kill()
        await trio.sleep(LONG_S)
        assert sorted(await crew.told()) == ["+anna", "+ben"]
        crew.miss("a")
        await trio.sleep(GRACE_S - 0.1)
        assert sorted(await crew.told()) == ["+anna", "+ben"]
        await trio.sleep(LONG_S)
        assert sorted(await crew.told()) == ["+anna", "+ben", "-anna", "-ben"]
        assert await crew.kept() == []
        assert [crew.hubs[name].present for name in "bcd"] == [[], [], []]


async def test_who_finds_another_hub_within_the_grace_after_its_own_died_is_not_announced() -> None:
    async with a_crew("a", "b") as crew:
        anna = await crew.hubs["a"].attend("anna")
        await crew.order("anna", 1)
        await trio.sleep(0.1)
        crew.hubs["a"].kill()
        crew.miss("a")
        await crew.order("anna", 2)
        await trio.sleep(1)
        moved = await crew.hubs["b"].attend("anna")
        await trio.sleep(LONG_S)
        assert (anna.orders, moved.orders) == ([1], [2])
        assert await crew.told() == ["+anna"]


async def test_a_hub_nobody_has_heard_of_was_there_before_the_storage_was_opened_anew() -> None:
    async with a_crew("a") as crew:
        await crew.hubs["a"].attend("anna")
        await crew.order("anna", 1)
        crew.hubs["a"].kill()
        del crew.neighbours["a"]
        later = await crew.start("b")
        await trio.sleep(1)
        again = await later.attend("anna")
        await trio.sleep(LONG_S)
        assert (again.orders, await crew.told()) == ([1], ["+anna"])


async def test_a_missed_sign_of_life_within_the_grace_changes_nothing() -> None:
    async with a_crew("a", "b") as crew:
        await crew.hubs["a"].attend("anna")
        for _ in range(5):
            crew.miss("a")
            await trio.sleep(GRACE_S - 2)
            crew.hear("a")
            await trio.sleep(2)
        assert await crew.told() == ["+anna"]


# ── crashes ──────────────────────────────────────────────────────────────────────────────────────────

MOST_APPENDS = 6
"""More than somebody who comes and goes needs."""


@pytest.mark.parametrize("is_lost", [False, True])
@pytest.mark.parametrize("appends", range(1, MOST_APPENDS))
async def test_whichever_step_a_hub_dies_at_everything_is_announced_once(appends: int, is_lost: bool) -> None:
    async with a_crew("a", "b", "c") as crew:
        doomed = crew.hubs["a"]
        doomed.link.appends_left, doomed.link.is_lost = appends, is_lost
        doomed.link.on_last = doomed.kill

        async def come_and_go() -> None:
            (await doomed.attend("anna")).leave()

        doomed.nursery.start_soon(come_and_go)
        await trio.sleep(LONG_S)
        crew.miss("a")
        await trio.sleep(LONG_S)
        told = await crew.told()
        assert told == ["+anna", "-anna"] or (told == [] and appends == 1 and is_lost)
        assert await crew.kept() == []


@pytest.mark.parametrize("is_lost", [False, True])
@pytest.mark.parametrize("appends", range(1, MOST_APPENDS))
async def test_whichever_step_a_hub_dies_at_somebody_may_arrive_elsewhere(
    appends: int, is_lost: bool
) -> None:
    async with a_crew("a", "b") as crew:
        doomed = crew.hubs["a"]
        doomed.link.appends_left, doomed.link.is_lost = appends, is_lost
        doomed.link.on_last = doomed.kill

        async def come_and_go() -> None:
            (await doomed.attend("anna")).leave()

        doomed.nursery.start_soon(come_and_go)
        await trio.sleep(LONG_S)
        moved = await crew.hubs["b"].attend("anna")
        crew.miss("a")
        await crew.order("anna", 1)
        await trio.sleep(LONG_S)
        assert await crew.told() in (["+anna"], ["+anna", "-anna", "+anna"])
        assert (moved.orders, moved.caller.refusals) == ([1], [])
        assert crew.hubs["b"].present == ["anna"]


# ── cut off ──────────────────────────────────────────────────────────────────────────────────────────


async def test_who_was_announced_as_gone_while_its_hub_was_cut_off_is_announced_anew() -> None:
    async with a_crew("a", "b") as crew:
        hub = crew.hubs["a"]
        anna = await hub.attend("anna")
        await trio.sleep(0.1)
        hub.link.cut()
        crew.miss("a")
        await trio.sleep(LONG_S)
        assert await crew.told() == ["+anna", "-anna"]
        crew.hear("a")
        hub.link.heal()
        await trio.sleep(LONG_S)
        await crew.order("anna", 1)
        await trio.sleep(0.1)
        assert await crew.told() == ["+anna", "-anna", "+anna"]
        assert (anna.orders, anna.caller.refusals) == ([1], [])
        assert crew.hubs["b"].present == ["anna"]


async def test_who_moved_while_its_hub_was_cut_off_is_told_so_there() -> None:
    async with a_crew("a", "b") as crew:
        hub = crew.hubs["a"]
        anna = await hub.attend("anna")
        await trio.sleep(0.1)
        hub.link.cut()
        crew.miss("a")
        moved = await crew.hubs["b"].attend("anna")
        await crew.order("anna", 1)
        await trio.sleep(1)
        crew.hear("a")
        hub.link.heal()
        await trio.sleep(LONG_S)
        assert (anna.orders, anna.caller.refusals) == ([], ["CONFLICT"])
        assert (moved.orders, moved.caller.refusals) == ([1], [])
        assert await crew.told() == ["+anna"]


async def test_who_leaves_while_its_hub_is_cut_off_is_announced_once_it_is_back() -> None:
    async with a_crew("a") as crew:
        hub = crew.hubs["a"]
        anna = await hub.attend("anna")
        await trio.sleep(0.1)
        hub.link.cut()
        anna.leave()
        await trio.sleep(LONG_S)
        assert await crew.told() == ["+anna"]
        hub.link.heal()
        await trio.sleep(LONG_S)
        assert await crew.told() == ["+anna", "-anna"]


async def test_who_is_present_is_announced_in_a_new_epoch_too() -> None:
    async with a_crew("a") as crew:
        hub = crew.hubs["a"]
        await hub.attend("anna")
        crew.storage = fresh_storage()
        hub.link.replace(crew.storage)
        await trio.sleep(LONG_S)
        assert (await crew.told(), hub.present) == (["+anna"], ["anna"])
