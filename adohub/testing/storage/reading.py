"""What an engine promises of reading back."""

from __future__ import annotations

from adohub import Position, Selection
from adohub.testing.storage.words import (
    EVERYTHING,
    Engine,
    check,
    chosen,
    draft,
    drafts,
    newest,
    read_all,
    settings,
)

HISTORY = drafts(
    *(
        "t.a/k",
        "t.a/m",
        "t.b/k",
        "t.a",
        "u.a/k",
        "t.a/k",
        "t.b/m",
        "t.b",
        "u.a",
        "t.a.deep/k",
        "t.a/k",
        "u.b/m",
    )
)
SELECTIONS = [
    Selection(topics, key=key, visible=visible)
    for topics in (
        ["t.a"],
        ["t.a", "t.b"],
        ["t.b", "t.a", "t.a"],
        ["t.*"],
        ["t.**"],
        ["**"],
        ["*.a", "t.a"],
        ["x"],
    )
    for key in (None, "k", "m", "nobody")
    for visible in (None, ["t.a"], ["*.a", "u.**"], [])
]


@check
async def reading_finds_what_a_look_at_every_event_finds(engine: Engine) -> None:
    async with engine.open(settings()) as storage:
        await storage.append(HISTORY)
        everything = await read_all(storage, EVERYTHING)
        assert [(event.topic, event.key, event.body) for event in everything] == [
            (one.topic, one.key, one.body) for one in HISTORY
        ]
        for selection in SELECTIONS:
            for limit in (1, 2, 100):
                assert await read_all(storage, selection, limit=limit) == chosen(selection, everything)
            latest = list((await storage.latest(selection)).events)
            assert latest == newest(chosen(selection, everything))


@check
async def reading_begins_after_any_position(engine: Engine) -> None:
    async with engine.open(settings()) as storage:
        await storage.append(HISTORY)
        everything = await read_all(storage, EVERYTHING)
        for selection in (EVERYTHING, Selection(["t.a"], key="k")):
            for event in everything:
                rest = [one for one in chosen(selection, everything) if one.position > event.position]
                assert await read_all(storage, selection, event.position, limit=2) == rest


@check
async def reading_at_or_beyond_the_head_gives_nothing_and_says_so(engine: Engine) -> None:
    async with engine.open(settings()) as storage:
        await storage.append(HISTORY)
        head = storage.head()
        for after in (head, Position(head.epoch, head.offset + 5)):
            for selection in (EVERYTHING, Selection(["t.a"], key="k")):
                page = await storage.read(selection, after, 10)
                assert (list(page.events), page.more, page.reached >= after) == ([], False, True)


@check
async def where_compares_payload_fields(engine: Engine) -> None:
    async with engine.open(settings()) as storage:
        await storage.append(
            [
                draft("t.a", "k", agent="x"),
                draft("t.a", "k", agent="y"),
                draft("t.a", "k"),
                draft("t.a", "k", agent="x", kind="out"),
                draft("t.a", "k", agent=["x"]),
            ]
        )
        for key in (None, "k"):
            one = Selection(["t.a"], key=key, where=[("agent", "x")])
            assert [event.position.offset for event in await read_all(storage, one)] == [1, 4]
            both = Selection(["t.a"], key=key, where=[("agent", "x"), ("kind", "out")])
            assert [event.position.offset for event in await read_all(storage, both, limit=1)] == [4]
