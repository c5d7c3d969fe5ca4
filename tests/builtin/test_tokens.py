"""Static tokens: the configured ones give their principal, every other text gives nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import pytest

from adohub import Authenticator, Principal
from adohub.builtin import tokens
from adohub.config import Token


def hashed(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def authenticator(*configured: Token) -> Authenticator:
    found: Sequence[Authenticator] = tokens.adohub_authenticators(config=configured)
    [one] = found
    return one


CI = Token("ci", hashed("open-sesame"), ("publisher", "reader"))
OPS = Token("ops", hashed("pässwörd").upper(), ("boss",))


async def test_a_configured_token_gives_its_principal() -> None:
    both = authenticator(CI, OPS)
    assert await both.authenticate({"token": "open-sesame"}) == Principal("ci", roles=["publisher", "reader"])
    assert await both.authenticate({"token": "pässwörd"}) == Principal("ops", roles=["boss"])


@pytest.mark.parametrize(
    "credentials",
    [
        {},
        {"token": ""},
        {"token": "open-sesame "},
        {"token": CI.sha256},
        {"token": 5},
        {"token": None},
        {"token": "\ud800"},
        {"params": {"token": "open-sesame"}},
    ],
)
async def test_anything_else_gives_nothing(credentials: dict[str, Any]) -> None:
    assert await authenticator(CI, OPS).authenticate(credentials) is None


def test_without_tokens_there_is_no_authenticator() -> None:
    assert tokens.adohub_authenticators(config=()) == []
