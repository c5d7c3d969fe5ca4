"""Peers of the unix socket: known by user and group, the first entry that fits, unless they show a token."""

from __future__ import annotations

import os

import pytest

from adohub import Authenticator, Principal
from adohub.builtin import peers
from adohub.config import UnixPeer


def authenticator(*configured: UnixPeer) -> Authenticator:
    [one] = peers.adohub_authenticators(config=configured)
    return one


CONTROLLER = UnixPeer("controller", user="1001", roles=("boss",))
MEMBER = UnixPeer("member", group="50", roles=("reader",))
BOTH = UnixPeer("both", user="1002", group="60", roles=("writer",))

ALL = authenticator(CONTROLLER, MEMBER, BOTH)


@pytest.mark.parametrize(
    ("uid", "gids", "principal"),
    [
        (1001, (1001,), Principal("controller", roles=["boss"])),
        (1001, (50,), Principal("controller", roles=["boss"])),
        (7, (7, 50), Principal("member", roles=["reader"])),
        (1002, (1002, 60), Principal("both", roles=["writer"])),
        (1002, (1002,), None),
        (7, (60,), None),
        (7, (), None),
    ],
)
async def test_the_first_entry_that_fits_counts(
    uid: int, gids: tuple[int, ...], principal: Principal | None
) -> None:
    assert await ALL.authenticate({"uid": uid, "gids": gids, "address": "unix"}) == principal


async def test_whoever_shows_a_token_wants_to_be_known_by_that() -> None:
    assert await ALL.authenticate({"uid": 1001, "gids": (), "token": "wrong"}) is None


async def test_nobody_from_another_machine_is_known() -> None:
    assert await authenticator(UnixPeer("all", group="50")).authenticate({"address": "127.0.0.1"}) is None


def test_without_an_entry_there_is_no_authenticator() -> None:
    assert list(peers.adohub_authenticators(config=())) == []


async def test_an_entry_that_this_machine_does_not_know_is_nobody_and_hides_no_other() -> None:
    both = authenticator(UnixPeer("gone", user="no-such-user"), MEMBER)
    assert await both.authenticate({"uid": 7, "gids": (50,)}) == Principal("member", roles=["reader"])


def test_users_and_groups_may_be_named() -> None:
    root = UnixPeer("root", user="root", group="root")
    assert (root.uid, root.gid) == (0, 0)
    assert (UnixPeer("own", user=str(os.getuid())).uid, UnixPeer("own", user="0").gid) == (os.getuid(), None)
    with pytest.raises(LookupError):
        _ = UnixPeer("nobody", user="no such user").uid
