"""What an engine promises of conditional drafts, of keys that end, and of state."""

from __future__ import annotations

import trio

from adohub import EXISTS, Position, Receipt, Selection, Storage
from adohub.testing.storage.words import (
    EVERYTHING,
    Engine,
    check,
    draft,
    drafts,
    follow_until,
    read_all,
    settings,
)

STATE = Selection(["state"])


async def offsets(storage: Storage, selection: Selection) -> list[int]:
    return [event.position.offset for event in (await storage.latest(selection)).events]


def rejection(receipt: Receipt) -> tuple[str, int]:
    """Why it was rejected, if it was, and where it stands or what revision there is."""
    return receipt.rejected, receipt.position.offset


# ── conditions ───────────────────────────────────────────────────────────────────────────────────────


@check
async def a_draft_whose_revision_holds_is_kept(engine: Engine) -> None:
    async with engine.open(settings()) as storage:
        [made] = await storage.append([draft("t.a", "k", if_revision=0)])
        await storage.append(drafts("t.a/other", "t.b/k"))
        [changed] = await storage.append([draft("t.a", "k", if_revision=made.position.offset)])
        [again] = await storage.append([draft("t.a", "k", if_revision=EXISTS)])
        assert [one.rejected for one in (made, changed, again)] == ["", "", ""]
        assert await offsets(storage, Selection(["t.a"], key="k")) == [again.position.offset]


@check
async def a_draft_whose_revision_does_not_hold_is_not_kept_and_told_what_there_is(engine: Engine) -> None:
    async with engine.open(settings()) as storage:
        await storage.append(drafts("t.a/k", "t.a/k"))
        receipts = await storage.append(
            [
                draft("t.a", "k", if_revision=0),
                draft("t.a", "k", if_revision=1),
                draft("t.a", "none", if_revision=1),
                draft("t.a", "none", if_revision=EXISTS),
                draft("t.a", None, if_revision=EXISTS),
            ]
        )
        assert list(map(rejection, receipts)) == [("revision", 2)] * 2 + [("revision", 0)] * 3
        assert storage.head().offset == 2
        assert [event.position.offset for event in await read_all(storage, EVERYTHING)] == [1, 2]


@check
async def drafts_of_one_batch_see_what_those_before_them_have_done(engine: Engine) -> None:
    async with engine.open(settings()) as storage:
        receipts = await storage.append(
            [
                draft("t.a", "k", if_revision=0),
                draft("t.a", "k", if_revision=0),
                draft("t.a", "k", if_revision=1),
                draft("t.a", "k", if_revision=1),
                draft("t.b", "k"),
                draft("t.a", "k", if_revision=2, ends=["t.a"]),
                draft("t.a", "k", if_revision=EXISTS),
                draft("t.a", "k", if_revision=0),
            ]
        )
        assert list(map(rejection, receipts)) == [
            ("", 1),
            ("revision", 1),
            ("", 2),
            ("revision", 2),
            ("", 3),
            ("", 4),
            ("revision", 0),
            ("", 5),
        ]


@check
async def a_rejected_draft_leaves_the_others_of_its_batch_alone(engine: Engine) -> None:
    async with engine.open(settings()) as storage:
        receipts = await storage.append([draft("t.a"), draft("t.b", if_revision=7), draft("t.c")])
        assert [(one.rejected, one.position.offset) for one in receipts] == [
            ("", 1),
            ("revision", 0),
            ("", 2),
        ]
        followed = await follow_until(storage, storage.tail(), storage.head)
        assert [event.topic for event in followed] == ["t.a", "t.c"]


@check
async def of_racing_drafts_with_one_revision_one_is_kept(engine: Engine) -> None:
    async with engine.open(settings()) as storage:
        kept = 0

        async def count_up() -> None:
            nonlocal kept
            for _ in range(8):
                revision = max(await offsets(storage, Selection(["t.a"], key="k")), default=0)
                [receipt] = await storage.append([draft("t.a", "k", if_revision=revision)])
                kept += not receipt.rejected

        async with trio.open_nursery() as nursery:
            for _ in range(6):
                nursery.start_soon(count_up)
        events = await read_all(storage, Selection(["t.a"], key="k"))
        assert len(events) == kept >= 8


@check
async def a_repetition_is_recognised_before_its_revision_is_looked_at(engine: Engine) -> None:
    async with engine.open(settings()) as storage:
        once = draft("t.a", "k", again="x", if_revision=0)
        [first] = await storage.append([once])
        [second] = await storage.append([once])
        assert (second.position, second.repeated, second.rejected) == (first.position, True, "")
        rejected = draft("t.a", "k", again="y", if_revision=0)
        assert [one.rejected for one in await storage.append([rejected])] == ["revision"]
        await storage.append([draft("t.a", "k", ends=["t.a"])])
        assert [one.rejected for one in await storage.append([rejected])] == [""]


@check
async def keys_are_told_apart_whatever_characters_they_have(engine: Engine) -> None:
    keys = ["k", "k\0", "k\0m", "", "\0", "k\x1f", "k\ud7ff", "k\U0010ffff"]
    async with engine.open(settings(ended_s=10)) as storage:
        receipts = [(await storage.append([draft("t.a", key, if_revision=0)]))[0] for key in keys]
        assert list(map(rejection, receipts)) == [("", number) for number in range(1, len(keys) + 1)]
        await storage.append([draft("end", "k\0", ends=["t.a", "end"])])
        await engine.pass_time(20)
        latest = (await storage.latest(Selection(["t.a"]))).events
        assert [event.key for event in latest] == [key for key in keys if key != "k\0"]


# ── ends ─────────────────────────────────────────────────────────────────────────────────────────────


@check
async def an_ended_key_stays_among_the_newest_for_a_while(engine: Engine) -> None:
    async with engine.open(settings(ended_s=10)) as storage:
        await storage.append(drafts("t.a/k", "t.a/m", "t.b/k", "u/k"))
        await storage.append([draft("end", "k", ends=["t.a", "t.b", "end", "nothing"])])
        assert await offsets(storage, EVERYTHING) == [1, 2, 3, 4, 5]
        await engine.pass_time(9)
        assert await offsets(storage, EVERYTHING) == [1, 2, 3, 4, 5]
        await engine.pass_time(2)
        assert await offsets(storage, EVERYTHING) == [2, 4]
        assert [event.position.offset for event in await read_all(storage, EVERYTHING)] == [1, 2, 3, 4, 5]


@check
async def an_ended_key_is_found_by_itself_as_long_as_history_has_it(engine: Engine) -> None:
    async with engine.open(settings(ended_s=10, max_events=3)) as storage:
        await storage.append([draft("t.a", "k"), draft("t.a", "k", ends=["t.a"])])
        await engine.pass_time(20)
        assert await offsets(storage, Selection(["t.a"], key="k")) == [2]
        assert await offsets(storage, Selection(["t.a"])) == []
        await storage.append(drafts("u", "u", "u"))
        assert await offsets(storage, Selection(["t.a"], key="k")) == []
        assert await offsets(storage, EVERYTHING) == [5]


@check
async def a_key_that_ends_beyond_history_goes_all_the_same(engine: Engine) -> None:
    async with engine.open(settings(ended_s=10, max_events=2)) as storage:
        await storage.append(drafts("t.a/k", "u", "u"))
        await storage.append([draft("end", "k", ends=["t.a", "end"])])
        await storage.append(drafts("u", "u"))
        assert await offsets(storage, Selection(["t.a", "end"])) == [1, 4]
        await engine.pass_time(11)
        assert await offsets(storage, Selection(["t.a", "end"])) == []
        assert await offsets(storage, Selection(["t.a", "end"], key="k")) == []


@check
async def a_key_that_goes_on_after_its_end_has_not_ended(engine: Engine) -> None:
    async with engine.open(settings(ended_s=10)) as storage:
        await storage.append([draft("t.a", "k"), draft("end", "k", ends=["t.a"]), draft("t.a", "k")])
        await engine.pass_time(60)
        assert await offsets(storage, Selection(["t.a"])) == [3]
        await storage.append([draft("end", "k", ends=["t.a"])])
        await engine.pass_time(60)
        assert await offsets(storage, Selection(["t.a"])) == []
        await storage.append([draft("t.a", "k")])
        await engine.pass_time(60)
        assert await offsets(storage, Selection(["t.a"])) == [5]


@check
async def a_key_that_ends_again_goes_no_later(engine: Engine) -> None:
    async with engine.open(settings(ended_s=10)) as storage:
        await storage.append([draft("t.a", "k"), draft("end", "k", ends=["t.a"])])
        await engine.pass_time(8)
        await storage.append([draft("end", "k", ends=["t.a"])])
        await engine.pass_time(3)
        assert await offsets(storage, EVERYTHING) == [3]


@check
async def an_end_without_key_or_events_is_harmless(engine: Engine) -> None:
    async with engine.open(settings(ended_s=10)) as storage:
        await storage.append([draft("end", None, ends=["t.a"]), draft("end", "k", ends=["t.a"])])
        await engine.pass_time(20)
        assert await offsets(storage, EVERYTHING) == [1, 2]


# ── the newest ───────────────────────────────────────────────────────────────────────────────────────


@check
async def the_newest_are_told_together_with_their_position(engine: Engine) -> None:
    async with engine.open(settings()) as storage:
        assert (await storage.latest(EVERYTHING)).position == storage.head()
        [receipt] = await storage.append([draft("t.a", "k")])
        for selection in (EVERYTHING, Selection(["nothing"]), Selection(["t.a"], key="k")):
            assert (await storage.latest(selection)).position == receipt.position


@check
async def the_newest_that_is_chosen_may_be_older_than_the_newest(engine: Engine) -> None:
    async with engine.open(settings(max_events=4)) as storage:
        await storage.append([draft("t.a", "m", agent="x"), draft("t.a", "k", agent="x")])
        await storage.append([draft("t.a", "k", agent="x"), draft("t.a", "k", agent="y"), draft("t.b", "k")])
        await storage.append(drafts("u/k"))
        of_x = [("agent", "x")]
        assert await offsets(storage, Selection(["t.a"], key="k", where=of_x)) == [3]
        assert await offsets(storage, Selection(["t.a"], where=of_x)) == [1, 3]
        assert await offsets(storage, Selection(["**"], where=of_x)) == [1, 3]
        assert await offsets(storage, Selection(["t.a"], key="k", where=[("agent", "z")])) == []


@check
async def selections_may_have_a_prefix_and_a_say_of_their_own(engine: Engine) -> None:
    def permits(topic: str, key: str | None) -> bool:
        return key != "ab"

    async with engine.open(settings()) as storage:
        await storage.append(drafts("t.a/a", "t.a/ab", "t.a/abc", "t.a/b", "t.a", "t.b/ab_", "t.a/a%c"))
        for prefix, expected in (("", [1, 2, 3, 4, 5, 6, 7]), ("ab", [2, 3, 6]), ("a%", [7]), ("x", [])):
            found = await read_all(storage, Selection(["**"], prefix=prefix), limit=2)
            assert [event.position.offset for event in found] == expected
            assert await offsets(storage, Selection(["**"], prefix=prefix)) == expected
        permitted = Selection(["t.a"], prefix="ab", permits=permits)
        assert await offsets(storage, permitted) == [3]
        assert [event.position.offset for event in await read_all(storage, permitted)] == [3]


# ── state ────────────────────────────────────────────────────────────────────────────────────────────


@check
async def state_outlives_every_limit_of_history(engine: Engine) -> None:
    async with engine.open(settings(max_events=3, max_age_s=10)) as storage:
        await storage.append([draft("state", f"k{number}") for number in range(20)])
        for number in range(20):
            await storage.append([draft("t.a", f"k{number}")])
        await engine.pass_time(60)
        await storage.append(drafts("t.a/k0"))
        assert await offsets(storage, STATE) == list(range(1, 21))
        [rejected] = await storage.append([draft("state", "k7", if_revision=0)])
        assert rejection(rejected) == ("revision", 8)


@check
async def a_state_topic_takes_no_more_keys_than_it_may_have(engine: Engine) -> None:
    async with engine.open(settings(state_keys=2, ended_s=10)) as storage:
        receipts = await storage.append(
            [
                draft("state", "a"),
                draft("state", "b"),
                draft("state", "c"),
                draft("state", "b"),
                draft("state", "a", ends=["state"]),
                draft("state", "c"),
                draft("state", "a"),
                draft("t.a", "a"),
            ]
        )
        assert [receipt.rejected for receipt in receipts] == ["", "", "full", "", "", "", "full", ""]
        assert rejection(receipts[2]) == ("full", 0)
        await engine.pass_time(20)
        await storage.append([draft("state", "b", ends=["state"]), draft("state", "d")])
        assert [event.key for event in (await storage.latest(STATE)).events] == ["c", "b", "d"]


@check
async def a_state_key_that_another_topic_ends_makes_room(engine: Engine) -> None:
    async with engine.open(settings(state_keys=1)) as storage:
        await storage.append([draft("state", "a")])
        await storage.append([draft("t.a", "a", ends=["state"])])
        receipts = await storage.append([draft("state", "b"), draft("t.a", "b", ends=["state", "state"])])
        receipts = [*receipts, *await storage.append([draft("state", "a"), draft("state", "c")])]
        assert [receipt.rejected for receipt in receipts] == ["", "", "", "full"]


@check
async def a_deleted_key_can_be_made_anew(engine: Engine) -> None:
    async with engine.open(settings(ended_s=10, max_events=3)) as storage:
        [made] = await storage.append([draft("state", "k", if_revision=0)])
        [deleted] = await storage.append(
            [draft("state", "k", if_revision=made.position.offset, ends=["state"])]
        )
        assert rejection((await storage.append([draft("state", "k", if_revision=EXISTS)]))[0]) == (
            "revision",
            0,
        )
        [anew] = await storage.append([draft("state", "k", if_revision=0)])
        assert anew.position > deleted.position
        await engine.pass_time(60)
        await storage.append(drafts("t.a", "t.a", "t.a", "t.a"))
        assert await offsets(storage, STATE) == [anew.position.offset]


@check
async def checking_an_engine_that_works_changes_nothing(engine: Engine) -> None:
    async with engine.open(settings()) as storage:
        await storage.append(drafts("t.a"))
        before = storage.head()
        await storage.check()
        assert storage.head() == before == Position(before.epoch, 1)
