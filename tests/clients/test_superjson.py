"""With `transformer = "superjson"` JavaScript's own values pass through the hub, whatever carries them."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from adohub.config import Config, DeclaredChannel, Server
from tests.clients.puppet import VERSIONS, Js, Puppet, PuppetError, Sub, Version, Via, puppet
from tests.running import progress, running_hub, until
from tests.severing import severing_proxy

V11 = Literal["v11", "v11.18"]
EACH_V11 = pytest.mark.parametrize("version", ["v11", "v11.18"])
EACH_VERSION = pytest.mark.parametrize("version", VERSIONS)
EACH_VIA = pytest.mark.parametrize("via", ["ws", "http", "batch", "stream"])

THINGS = DeclaredChannel(topics=("thing.made",), key="name", replay="last")
CONFIG = Config(server=Server(port=0, transformer="superjson"), channels={"things.onThing": THINGS})

VALUE = """{
    at: new Date(86400000),
    none: undefined, nothing: null,
    big: 12345678901234567890n,
    numbers: [NaN, Infinity, -Infinity, -0, 1.5],
    map: new Map([['a', new Set([1, 'b'])], ['deep', new Map([[1, new Date(0)]])]]),
    list: [undefined, null, [new Date(1)]],
    'dotted.key': new Date(2), 'back\\\\slash': 1n,
    pattern: /a+/gi, link: new URL('https://example.org/x'), bytes: new Uint8Array([1, 2, 255]),
    text: 'plain', empty: {}, yes: true,
}"""
SHOWN: dict[str, Any] = {
    "at": Js("1970-01-02T00:00:00.000Z"),
    "none": Js("undefined"),
    "nothing": None,
    "big": Js("12345678901234567890n"),
    "numbers": [Js("NaN"), Js("Infinity"), Js("-Infinity"), Js("-0"), 1.5],
    "map": Js("Map(2) { 'a' => Set(2) { 'b', 1 }, 'deep' => Map(1) { 1 => 1970-01-01T00:00:00.000Z } }"),
    "list": [Js("undefined"), None, [Js("1970-01-01T00:00:00.001Z")]],
    "dotted.key": Js("1970-01-01T00:00:00.002Z"),
    "back\\slash": Js("1n"),
    "pattern": Js("/a+/gi"),
    "text": "plain",
    "empty": {},
    "yes": True,
}


def speaking(version: Version, url: str, via: Via = "ws", **options: Any) -> Any:
    return puppet(version, url, via, transformer="superjson", **options)


def made(value: str) -> Js:
    """The input that publishes `value` as a field of a thing."""
    return Js(f"{{topic: 'thing.made', payload: {{name: 'n', value: {value}}}}}")


def same(value: dict[str, Any]) -> bool:
    """Whether it is VALUE; how Node shows URLs and byte arrays differs by its versions."""
    value = dict(value)
    link, array = value.pop("link"), value.pop("bytes")
    return value == SHOWN and "example.org" in link.text and array.text.endswith("[ 1, 2, 255 ]")


@EACH_VERSION
@EACH_VIA
async def test_values_of_every_kind_come_back_as_they_went(version: Version, via: Via) -> None:
    async with running_hub(CONFIG) as hub, speaking(version, hub.url, via) as client:
        await client.mutate("state.set", Js(f"{{key: 'k', value: {VALUE}}}"))
        entry = await client.query("state.get", {"key": "k"})
        assert same(entry["value"])
        (listed,) = (await client.query("state.list", {"prefix": ""}))["entries"]
        assert same(listed["value"])


@EACH_VERSION
@EACH_VIA
@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("new Date(0)", Js("1970-01-01T00:00:00.000Z")),
        ("7n", Js("7n")),
        ("NaN", Js("NaN")),
        ("new Map()", Js("Map(0) {}")),
        ("new Set([new Set()])", Js("Set(1) { Set(0) {} }")),
        ("null", None),
        ("'2020-01-01T00:00:00.000Z'", "2020-01-01T00:00:00.000Z"),
        ("[]", []),
    ],
)
async def test_a_value_may_be_nothing_but_one_of_them(
    version: Version, via: Via, value: str, shown: Any
) -> None:
    async with running_hub(CONFIG) as hub, speaking(version, hub.url, via) as client:
        await client.mutate("state.set", Js(f"{{key: 'k', value: {value}}}"))
        assert (await client.query("state.get", {"key": "k"}))["value"] == shown


@EACH_VERSION
@EACH_VIA
async def test_errors_and_calls_without_input_are_what_they_are_without_it(
    version: Version, via: Via
) -> None:
    async with running_hub(CONFIG) as hub, speaking(version, hub.url, via) as client:
        assert (await client.query("hub.health"))["status"] == "ok"
        with pytest.raises(PuppetError) as failed:
            await client.mutate("events.publish", {"topic": "task.progress", "payload": progress("t", 101)})
        assert failed.value.data == {"code": "BAD_REQUEST", "httpStatus": 400, "path": "events.publish"}


async def published_and_seen(publisher: Puppet, *subs: Sub) -> None:
    for sub in subs:
        await sub.until(lambda sub: "started" in sub.events)
    await publisher.mutate("events.publish", made(VALUE))
    for sub in subs:
        await sub.until(lambda sub: sub.data)


@EACH_VERSION
async def test_events_carry_them_over_websockets(version: Version) -> None:
    async with running_hub(CONFIG) as hub, speaking(version, hub.url) as client:
        plain = await client.subscribe("things.onThing", {"name": "n"})
        whole = await client.subscribe("stream.onEvent", {"topics": ["thing.*"]})
        await published_and_seen(client, plain, whole)
        assert same(plain.data[0]["value"])
        assert same(whole.data[0]["payload"]["value"])
        assert isinstance(whole.data[0]["timestamp"], Js)


@EACH_V11
async def test_events_carry_them_over_sse(version: V11) -> None:
    async with running_hub(CONFIG) as hub, speaking(version, hub.url, "batch+sse") as client:
        plain = await client.subscribe("things.onThing", {"name": "n"})
        tracked = await client.subscribe("tracked.onEvent", {"topics": ["thing.*"]})
        await published_and_seen(client, plain, tracked)
        assert same(plain.data[0]["value"])
        assert same(tracked.data[0]["data"]["payload"]["value"])
        (kept,) = (await client.query("events.history", {"topics": ["thing.*"]}))["events"]
        assert kept["id"] == tracked.data[0]["id"]
        assert same(kept["payload"]["value"])


@EACH_VERSION
async def test_the_dates_of_typed_events_are_dates_both_ways(version: Version) -> None:
    payload = "{taskId: 't', phase: 'impl', progress: 1, message: '', timestamp: new Date(5)}"
    async with running_hub(CONFIG) as hub, speaking(version, hub.url) as client:
        receipt = await client.mutate("events.publish", Js(f"{{topic: 'task.progress', payload: {payload}}}"))
        assert isinstance(receipt["timestamp"], Js)
        sub = await client.subscribe("tracked.onTaskProgress", {"taskId": "t"})
        await sub.until(lambda sub: sub.data)
        assert sub.data[0]["data"]["timestamp"] == Js("1970-01-01T00:00:00.005Z")


@EACH_V11
@pytest.mark.parametrize("via", ["ws", "batch+sse"])
async def test_a_subscriber_resumes_as_without_it(version: V11, via: Via) -> None:
    async with running_hub(CONFIG) as hub, severing_proxy(hub.port) as proxy:
        async with (
            speaking(version, f"ws://127.0.0.1:{proxy.port}", via) as client,
            speaking(version, hub.url) as publisher,
        ):
            sub = await client.subscribe("tracked.onEvent", {"topics": ["thing.*"]})
            await sub.until(lambda sub: "started" in sub.events)
            for number in range(3):
                await publisher.mutate("events.publish", made(f"{number}n"))
            await sub.until(lambda sub: len(sub.data) == 3)
            await until(proxy.cut)
            for number in range(3, 6):
                await publisher.mutate("events.publish", made(f"{number}n"))
            await sub.until(lambda sub: len(sub.data) == 6)
            values = [event["data"]["payload"]["value"] for event in sub.data]
            assert values == [Js(f"{number}n") for number in range(6)]


async def test_a_value_that_looks_like_an_annotated_one_is_left_alone() -> None:
    async with running_hub(CONFIG) as hub, speaking("v11", hub.url) as client:
        await client.mutate("state.set", {"key": "k", "value": {"json": 1, "meta": {"values": ["Date"]}}})
        entry = await client.query("state.get", {"key": "k"})
        assert entry["value"] == {"json": 1, "meta": {"values": ["Date"]}}
