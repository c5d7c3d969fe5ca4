"""Authenticators in order, then the contract's rules for peers that show nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest
import structlog.testing
import trio
from trio.testing import MockClock

from adohub.errors import CredentialRefused, PeerError
from adohub.hub.authentication import Authentication
from adohub.hub.failures import Failures
from adohub.hub.policy import ALL_RIGHTS
from adohub.metrics import Metrics
from adohub.model import Principal
from adohub.plugin.contracts import Authenticator, Credentials

OWN_UID = os.getuid()


def knows(name: str, token: str, asked: list[str] | None = None) -> Authenticator:
    async def authenticate(credentials: Credentials) -> Principal | None:
        if asked is not None:
            asked.append(name)
        return Principal(name, roles=["reader"]) if credentials.get("token") == token else None

    return Authenticator(name, authenticate)


def authentication(
    *authenticators: Authenticator, allow_anonymous: bool = False, trusted: bool = True
) -> Authentication:
    return Authentication(
        authenticators, Failures(60, 0), Metrics(), allow_anonymous=allow_anonymous, trusted=trusted
    )


async def identified(authentication: Authentication, credentials: Credentials) -> tuple[str, Sequence[str]]:
    principal = await authentication.identify(credentials)
    return principal.name, principal.roles


async def refused(authentication: Authentication, credentials: Credentials) -> str:
    with pytest.raises(PeerError) as refusal:
        await authentication.identify(credentials)
    assert refusal.value.code == "UNAUTHORIZED"
    return refusal.value.message


async def test_the_first_authenticator_that_knows_decides() -> None:
    asked: list[str] = []
    both = authentication(knows("a", "x", asked), knows("b", "y", asked), knows("c", "y", asked))
    assert await identified(both, {"token": "y"}) == ("b", ("reader",))
    assert asked == ["a", "b"]


async def test_without_any_authenticator_a_trusted_peer_is_anonymous_with_all_rights() -> None:
    assert await identified(authentication(), {"address": "127.0.0.1"}) == ("anonymous", (ALL_RIGHTS,))
    assert await identified(authentication(), {"token": "whatever"}) == ("anonymous", (ALL_RIGHTS,))


async def test_without_any_authenticator_a_stranger_is_anonymous_only_where_that_is_allowed() -> None:
    assert await refused(authentication(trusted=False), {}) == "a credential is needed: send a token"
    welcome = authentication(trusted=False, allow_anonymous=True)
    assert await identified(welcome, {}) == ("anonymous", ("anonymous",))


async def test_with_an_authenticator_nobody_is_anonymous_unless_allowed() -> None:
    assert await refused(authentication(knows("a", "x")), {}) == "a credential is needed: send a token"
    welcome = authentication(knows("a", "x"), allow_anonymous=True)
    assert await identified(welcome, {}) == ("anonymous", ("anonymous",))


@pytest.mark.parametrize("allow_anonymous", [False, True])
async def test_a_credential_that_nobody_accepts_is_refused_also_where_anonymous_peers_are_welcome(
    allow_anonymous: bool,
) -> None:
    strict = authentication(knows("a", "x"), allow_anonymous=allow_anonymous)
    assert await refused(strict, {"token": "wrong"}) == "this credential is not accepted"


async def test_a_peer_of_the_hubs_own_uid_owns_the_hub_whatever_is_configured() -> None:
    assert await identified(authentication(knows("a", "x")), {"uid": OWN_UID}) == ("owner", (ALL_RIGHTS,))


async def test_a_peer_of_another_uid_is_nobody_though_the_address_is_trusted() -> None:
    assert await refused(authentication(), {"uid": OWN_UID + 1}) == "a credential is needed: send a token"
    assert await identified(authentication(knows("a", "x")), {"uid": OWN_UID + 1, "token": "x"}) == (
        "a",
        ("reader",),
    )


async def test_an_authenticator_may_refuse_outright() -> None:
    async def refuse(credentials: Credentials) -> Principal | None:
        raise PeerError("UNAUTHORIZED", "the token has expired")

    strict = authentication(Authenticator("jwt", refuse), knows("a", "x"), allow_anonymous=True)
    assert await refused(strict, {"token": "x"}) == "the token has expired"


async def test_a_refusal_is_logged_with_its_reason_and_counted_and_the_credential_is_not_told() -> None:
    async def refuse(credentials: Credentials) -> Principal | None:
        raise CredentialRefused("expired 12 s ago")

    metrics = Metrics()
    strict = Authentication(
        [Authenticator("jwt", refuse)], Failures(60, 0), metrics, allow_anonymous=False, trusted=True
    )
    with structlog.testing.capture_logs() as logs:
        message = await refused(strict, {"token": "hunter2", "address": "192.0.2.1"})
    [line] = logs
    assert (line["log_level"], line["address"], line["reason"]) == (
        "warning",
        "192.0.2.1",
        "expired 12 s ago",
    )
    assert "hunter2" not in str(logs)
    assert "expired" not in message
    assert metrics.auth_failures == 1


async def test_an_authenticator_that_crashes_lets_nobody_in() -> None:
    async def crash(credentials: Credentials) -> Principal | None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await authentication(Authenticator("bad", crash), allow_anonymous=True).identify({})


# ── too many of them ─────────────────────────────────────────────────────────────────────────────────────


def test_a_refusal_is_heard_though_there_is_less_time_than_it_would_be_held() -> None:
    async def play() -> None:
        strict = Authentication(
            [knows("a", "x")], Failures(1, 5.0), Metrics(), allow_anonymous=False, trusted=False
        )
        for _ in range(3):
            with trio.fail_after(1):
                await refused(strict, {"token": "wrong", "address": "192.0.2.1"})

    trio.run(play, clock=MockClock(autojump_threshold=0))


def test_a_refusal_too_many_is_held_and_a_good_credential_of_the_same_address_is_not() -> None:
    async def play() -> tuple[float, float]:
        strict = Authentication(
            [knows("a", "x")], Failures(2, 5.0), Metrics(), allow_anonymous=False, trusted=False
        )
        for _ in range(2):
            await refused(strict, {"token": "wrong", "address": "192.0.2.1"})
        at_once = trio.current_time()
        await identified(strict, {"token": "x", "address": "192.0.2.1"})
        assert trio.current_time() == at_once
        await refused(strict, {"token": "wrong", "address": "192.0.2.1"})
        held = trio.current_time()
        await refused(strict, {"token": "wrong", "address": "192.0.2.2"})
        return held - at_once, trio.current_time() - held

    held_s, other_s = trio.run(play, clock=MockClock(autojump_threshold=0))
    assert 2.5 <= held_s <= 5
    assert other_s == 0
