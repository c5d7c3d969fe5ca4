"""Plugins that a hub must survive: what they give is only there to go wrong, or to wait."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any

import trio
from attrs import define, field, frozen

from adohub import (
    Authenticator,
    Channel,
    Credentials,
    PeerError,
    Principal,
    Procedure,
    Route,
    RouteRequest,
    RouteResponse,
    Selection,
)
from adohub.plugin.registry import Contribution

SECRET = "the inner text that no client may see"


@define
class Patience:
    """Calls of `test.wait` begin, and end when they are let go."""

    begun: int = 0
    let_go: trio.Event = field(factory=trio.Event)

    def wait(self, input: None, call: object) -> Awaitable[int]:
        self.begun += 1
        return self._answer(self.begun)

    async def _answer(self, number: int) -> int:
        await self.let_go.wait()
        return number


@frozen
class Nothing:
    """An input without fields."""


def fault(*_: object) -> Any:
    raise RuntimeError(SECRET)


async def late_fault(*_: object) -> Any:
    await trio.lowlevel.checkpoint()
    raise RuntimeError(SECRET)


def unspeakable(*_: object) -> Any:
    raise PeerError("BAD_REQUEST", "fine words", data={"inner": object()})


def unprintable(*_: object) -> Any:
    raise PeerError("BAD_REQUEST", "half an emoji: \ud83d")


def uncoded(*_: object) -> Any:
    raise PeerError("NO_SUCH_CODE", "fine words")  # type: ignore[arg-type]


def no_json(*_: object) -> Any:
    return {"inner": object()}


FAULTY_CALLS = {
    "raises at once": fault,
    "raises later": late_fault,
    "refuses with what is no JSON": unspeakable,
    "refuses with what is no text": unprintable,
    "refuses with an unknown code": uncoded,
    "returns what is no JSON": no_json,
}


def faulty_procedures() -> Sequence[Procedure]:
    """`test.fault0` … one for each of FAULTY_CALLS."""
    return [
        Procedure(f"test.fault{number}", "query", run) for number, run in enumerate(FAULTY_CALLS.values())
    ]


def select_fault(_: object) -> Selection:
    raise RuntimeError(SECRET)


async def crashing_route(request: RouteRequest) -> RouteResponse:
    raise RuntimeError(SECRET)


async def echoing_route(request: RouteRequest) -> RouteResponse:
    return RouteResponse(body=request.body)


def strangers(patience: Patience | None = None) -> Contribution:
    """All of them: `test.fault*`, `test.wait`, `test.onFault`, GET /crash, POST /echo."""
    waiting = [Procedure("test.wait", "query", (patience or Patience()).wait)]
    return Contribution(
        "strangers",
        procedures=[*faulty_procedures(), *waiting],
        channels=[Channel("test.onFault", input=Nothing, select=select_fault)],
        routes=[Route("GET", "/crash", crashing_route), Route("POST", "/echo", echoing_route)],
    )


def doorkeeper() -> Contribution:
    """Lets in who shows the token "good"; breaks down over "poison"."""

    async def authenticate(credentials: Credentials) -> Principal | None:
        if credentials.get("token") == "poison":
            raise RuntimeError(SECRET)
        return Principal("guest", roles=["*"]) if credentials.get("token") == "good" else None

    return Contribution("doorkeeper", authenticators=[Authenticator("doorkeeper", authenticate)])
