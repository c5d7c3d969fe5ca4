"""What the claims of a good token make of its holder: a name, and the hub's roles."""

from __future__ import annotations

from typing import Any

import pytest
from adohub_jwt.claims import principal
from adohub_jwt.config import JwtConfig

ANNA = {"sub": "anna"}


@pytest.mark.parametrize(
    ("config", "claims", "roles"),
    [
        ({}, {"roles": "reader writer"}, ("reader", "writer")),
        ({}, {"roles": ["reader", 5, None, "*"]}, ("reader",)),
        ({}, {"roles": "*"}, ()),
        ({}, {"roles": 5}, ()),
        ({}, {"roles": None}, ()),
        ({"roles_claim": "realm_access.roles"}, {"realm_access": {"roles": ["a"]}}, ("a",)),
        ({"roles_claim": "https://x.example/roles"}, {"https://x.example/roles": ["a"]}, ("a",)),
        ({"roles_claim": "a.b.c"}, {"a": {"b": 5}}, ()),
        ({"roles": {"admins": ["boss", "reader"]}}, {"roles": ["admins", "reader"]}, ("boss", "reader")),
        ({"default_roles": ["guest"]}, {"roles": ["reader"]}, ("guest", "reader")),
    ],
)
def test_what_a_claim_says_of_roles(config: Any, claims: Any, roles: tuple[str, ...]) -> None:
    assert principal({**ANNA, **claims}, JwtConfig(**config)).roles == roles


def test_the_name_may_be_in_another_claim() -> None:
    found = principal({**ANNA, "email": "anna@example.org"}, JwtConfig(name_claim="email"))
    assert found.name == "anna@example.org"


def test_a_prefix_keeps_names_apart_from_those_of_others() -> None:
    assert principal(ANNA, JwtConfig(name_prefix="sso:")).name == "sso:anna"
