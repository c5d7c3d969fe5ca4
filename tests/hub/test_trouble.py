"""Storage that takes nothing: the journal says so once, asks again, and says once that it is over."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest
import structlog.testing
import trio
import trio.testing

from adohub.builtin.memory import MemoryStorage
from adohub.errors import StorageError
from adohub.hub.journal import Journal
from adohub.hub.trouble import CHECK_AGAIN_S
from adohub.model import Draft
from adohub.plugin.storage import Receipt
from tests.hub.making import NOON, SETTINGS

BEGAN, ENDED = "storage takes no events", "storage takes events again"


class Moody(MemoryStorage):
    """The memory engine. It refuses what is longer than `room`, and to be asked only while there is none.

    `ailing`: what it knows of itself.
    """

    def __init__(self) -> None:
        super().__init__(SETTINGS)
        self.room = 1000
        self.ailing: str | None = None

    async def append(self, drafts: Sequence[Draft]) -> Sequence[Receipt]:
        if sum(len(draft.body) for draft in drafts) > self.room:
            raise StorageError("no room")
        return await super().append(drafts)

    async def check(self) -> None:
        if not self.room:
            raise StorageError("no room")

    def trouble(self) -> str | None:
        return self.ailing


@pytest.fixture
def anyio_backend() -> object:
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


@pytest.fixture
def storage() -> Moody:
    return Moody()


@pytest.fixture
async def journal(storage: Moody) -> AsyncIterator[Journal]:
    journal = Journal(storage)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(journal.keep)
        nursery.start_soon(journal.recover)
        yield journal
        nursery.cancel_scope.cancel()


async def is_taken(journal: Journal, bytes_: int) -> bool:
    try:
        await journal.submit([Draft("task.progress", None, bytes(bytes_), NOON)])
    except StorageError:
        return False
    return True


def is_well(journal: Journal) -> bool:
    return journal.trouble is None


async def test_trouble_is_over_without_anybody_publishing(journal: Journal, storage: Moody) -> None:
    with structlog.testing.capture_logs() as log:
        storage.room = 0
        assert not await is_taken(journal, 1)
        await trio.sleep(100 * CHECK_AGAIN_S)
        assert journal.trouble == "no room"
        storage.room = 1000
        await trio.sleep(2 * CHECK_AGAIN_S)
    assert is_well(journal)
    assert [line["event"] for line in log] == [BEGAN, ENDED]


async def test_storage_that_takes_some_and_refuses_some_is_in_one_trouble(
    journal: Journal, storage: Moody
) -> None:
    storage.room = 10
    with structlog.testing.capture_logs() as log:
        for _ in range(100):
            assert not await is_taken(journal, 11)
            assert await is_taken(journal, 1)
            assert journal.trouble == "no room"
            await trio.sleep(CHECK_AGAIN_S / 2)
        await trio.sleep(2 * CHECK_AGAIN_S)
    assert is_well(journal)
    assert [line["event"] for line in log] == [BEGAN, ENDED]


async def test_trouble_that_the_engine_knows_of_shows_though_nobody_publishes(
    journal: Journal, storage: Moody
) -> None:
    with structlog.testing.capture_logs() as log:
        storage.ailing = "its server does not answer"
        assert journal.trouble == "its server does not answer"
        await trio.sleep(5 * CHECK_AGAIN_S)
        storage.ailing = None
        assert is_well(journal)
        await trio.sleep(5 * CHECK_AGAIN_S)
    assert [(line["event"], line.get("error")) for line in log] == [
        (BEGAN, "its server does not answer"),
        (ENDED, None),
    ]


async def test_trouble_that_outlasts_a_refusal_is_still_the_one_trouble(
    journal: Journal, storage: Moody
) -> None:
    with structlog.testing.capture_logs() as log:
        storage.room = 0
        assert not await is_taken(journal, 1)
        storage.ailing = "its server does not answer"
        storage.room = 1000
        await trio.sleep(5 * CHECK_AGAIN_S)
        assert journal.trouble == "its server does not answer"
        storage.ailing = None
        await trio.sleep(2 * CHECK_AGAIN_S)
    assert is_well(journal)
    assert [line["event"] for line in log] == [BEGAN, ENDED]
