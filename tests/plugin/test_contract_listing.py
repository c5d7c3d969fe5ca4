"""The plugin that the contract prints works as it stands: as a file of a folder, and installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from adohub.config import Auth, Role, Server
from adohub.errors import PeerError
from adohub.hub.authentication import Authentication
from adohub.hub.failures import Failures
from adohub.metrics import Metrics
from adohub.model import Principal
from adohub.plugin.registry import Registry
from tests.plugin.making import LISTING, Workshop, contribution, record
from tests.running import open_peer, running_hub

SOURCE = LISTING.read_text()
TRACKED = SOURCE.replace(
    '["garden.tick"], key="plant"', '["garden.tick"], key="plant", tracked="garden.trackedTick"'
)


def as_file(workshop: Workshop, source: str) -> Registry:
    workshop.file("garden", source, prelude="")
    return load(workshop)


def as_distribution(workshop: Workshop, source: str) -> Registry:
    workshop.install("garden", source, distribution="printed-garden", prelude="")
    return load(workshop)


def load(workshop: Workshop) -> Registry:
    return workshop.load(strict=True)


Load = Callable[[Workshop, str], Registry]
both = pytest.mark.parametrize("load", [as_file, as_distribution])


@both
def test_it_loads_with_all_it_brings(workshop: Workshop, load: Load) -> None:
    registry = load(workshop, SOURCE)
    found = record(registry, "garden")
    assert (found.status, found.error) == ("loaded", "")
    assert set(found.hooks) == {"adohub_topics", "adohub_channels", "adohub_sources", "adohub_authenticators"}
    given = contribution(registry, "garden")
    assert [topic.name for topic in given.topics] == ["garden.tick"]
    assert [channel.path for channel in given.channels] == ["garden.onTick"]
    assert [source.name for source in given.sources] == ["ticks"]
    assert [one.name for one in given.authenticators] == ["garden"]


@both
async def test_its_authenticator_knows_the_gardener(workshop: Workshop, load: Load) -> None:
    authenticators = load(workshop, SOURCE).authenticators
    authentication = Authentication(
        authenticators, Failures(60, 0), Metrics(), allow_anonymous=False, trusted=True
    )
    gardener = await authentication.identify({"token": "open-sesame", "headers": {}, "address": "127.0.0.1"})
    assert gardener == Principal("gardener", roles=["reader"])
    for credentials in ({}, {"token": "close-sesame"}):
        with pytest.raises(PeerError):
            await authentication.identify(credentials)


async def first_ticks(workshop: Workshop, registry: Registry, path: str) -> list[dict[str, Any]]:
    """What a gardener hears first on `path`, from the oak's first tick on."""
    config = evolve(
        workshop.config(),
        server=Server(port=0),
        auth=Auth(roles={"reader": Role(subscribe=("garden.*",))}),
    )
    async with running_hub(config, registry=registry) as hub:
        async with open_peer(hub.url, headers={"authorization": "Bearer open-sesame"}) as peer:
            await peer.subscribe(1, path, {"plant": "oak", "replay": "all"})
            return [message["result"] for message in await peer.hear_all(2)]


@both
async def test_the_oak_ticks_for_a_gardener(workshop: Workshop, load: Load) -> None:
    ticks = await first_ticks(workshop, load(workshop, SOURCE), "garden.onTick")
    assert [tick["data"] for tick in ticks] == [{"plant": "oak", "count": 1}, {"plant": "oak", "count": 2}]
    assert ticks[0]["id"] < ticks[1]["id"]


@both
async def test_the_oak_ticks_with_ids_on_the_tracked_twin(workshop: Workshop, load: Load) -> None:
    assert TRACKED != SOURCE
    ticks = await first_ticks(workshop, load(workshop, TRACKED), "garden.trackedTick")
    assert [tick["data"] for tick in ticks] == [
        {"id": tick["id"], "data": {"plant": "oak", "count": count}}
        for count, tick in enumerate(ticks, start=1)
    ]
