"""URLs of every form, and what is wrong with the others."""

from __future__ import annotations

import re

import pytest

from adohub.client import Address, BadAddress


@pytest.mark.parametrize(
    ("url", "authority", "resource", "tls"),
    [
        ("ws://localhost:3001", "localhost:3001", "/trpc", False),
        ("ws://hub.example", "hub.example:80", "/trpc", False),
        ("wss://hub.example/", "hub.example:443", "/", True),
        ("http://hub.example:8080/a?b=c", "hub.example:8080", "/a?b=c", False),
        ("https://hub.example", "hub.example:443", "/trpc", True),
        ("hub.example:9", "hub.example:9", "/trpc", False),
        ("hub.example", "hub.example:3001", "/trpc", False),
        (" ws://[::1]:3001 ", "[::1]:3001", "/trpc", False),
    ],
)
def test_network_addresses(url: str, authority: str, resource: str, tls: bool) -> None:
    address = Address.parse(url)
    assert (address.authority, address.resource, address.tls) == (authority, resource, tls)
    assert address.unix_socket is None


def test_a_unix_socket() -> None:
    address = Address.parse("unix:///run/adohub.sock")
    assert (address.unix_socket, address.resource, str(address)) == (
        "/run/adohub.sock",
        "/trpc",
        "unix:///run/adohub.sock",
    )


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("ftp://hub", 'unknown scheme "ftp"'),
        ("", "no host"),
        ("ws://", "no host"),
        ("ws://hub:x", "Port could not be cast"),
        ("ws://hub:70000", "Port out of range"),
        ("unix://relative", "absolute path"),
        ("unix:///", "absolute path"),
        ("ws://hub/a b", "percent-encoded"),
    ],
)
def test_what_is_no_address_is_refused_in_one_line(url: str, complaint: str) -> None:
    with pytest.raises(BadAddress, match=re.escape(complaint)) as fault:
        Address.parse(url)
    assert "\n" not in str(fault.value)


def test_secrets_are_not_shown() -> None:
    assert str(Address.parse("wss://me:secret@hub/trpc?token=secret")) == "wss://hub/trpc"
