"""A URL says where Redis is; what it cannot mean is refused in words that hold no password."""

from __future__ import annotations

from pathlib import Path

import pytest
from adohub_redis.address import Address, Endpoint, Login

from adohub import StorageError

LOCAL = [Endpoint("localhost", 6379)]


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://", Address("single", LOCAL)),
        ("redis://localhost:6379/0", Address("single", LOCAL)),
        ("redis://localhost/7", Address("single", LOCAL, database=7)),
        ("redis://localhost?db=7", Address("single", LOCAL, database=7)),
        ("redis://[::1]:7000", Address("single", [Endpoint("::1", 7000)])),
        ("redis://[::1]", Address("single", [Endpoint("::1", 6379)])),
        (
            "redis://ann:a%40b%3A%2F@h:1/2",
            Address("single", [Endpoint("h", 1)], Login("ann", "a@b:/"), database=2),
        ),
        ("redis://:secret@h", Address("single", [Endpoint("h", 6379)], Login(None, "secret"))),
        ("unix:///run/redis.sock", Address("unix", [Endpoint("/run/redis.sock")])),
        (
            "unix://:secret@/run/a%20b.sock?db=3",
            Address("unix", [Endpoint("/run/a b.sock")], Login(None, "secret"), database=3),
        ),
        (
            "redis+sentinel://ann:x@a,b:1/main/4?sentinel_username=sue&sentinel_password=y",
            Address(
                "sentinel",
                [Endpoint("a", 26379), Endpoint("b", 1)],
                Login("ann", "x"),
                Login("sue", "y"),
                4,
                "main",
            ),
        ),
        ("redis+cluster://a:1,b", Address("cluster", [Endpoint("a", 1), Endpoint("b", 6379)])),
    ],
)
def test_what_a_url_says(url: str, address: Address) -> None:
    assert Address.parse(url) == address
    assert Address.parse(url).tls is None


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("localhost:6379", "begins with none of redis://"),
        ("http://:hush@h", "begins with none of redis://"),
        ("redis://:hush@h:0", "a port is a number from 1 to 65535"),
        ("redis://:hush@h:70000", "a port is a number from 1 to 65535"),
        ("redis://:hush@h:x", "a port is a number from 1 to 65535"),
        ("redis://:hush@h/one", "a database is a number"),
        ("redis://:hush@a,b", "several hosts need redis+sentinel:// or redis+cluster://"),
        ("redis+cluster://:hush@a/3", "a cluster has no database but 0"),
        ("redis+sentinel://:hush@a", "name their service"),
        ("unix://:hush@/", "it names no socket"),
        ("redis://:hush@h?tls=yes", "after ? there are db, ssl_ca_certs"),
        ("redis://:what?hush=x@h", "in a password ? is written %3F"),
        ("redis://:hush\u2100@h", "is no URL"),
        ("rediss://:hush@h?ssl_cert_reqs=some", 'ssl_cert_reqs is "required" or "none"'),
        ("rediss://:hush@h?ssl_ca_certs=/no/such/file", "ssl_ca_certs: there is no file /no/such/file"),
    ],
)
def test_what_no_url_may_say(url: str, why: str) -> None:
    with pytest.raises(StorageError, match=r"^storage\.redis\.url: ") as caught:
        Address.parse(url)
    assert why in str(caught.value)
    assert "hush" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_certificate_that_is_none_is_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "ca.pem"
    wrong.write_text("no certificate")
    with pytest.raises(StorageError, match=r"storage\.redis\.url: "):
        Address.parse(f"rediss://h?ssl_ca_certs={wrong}")


def test_tls_checks_who_answers_unless_told_otherwise() -> None:
    strict, trusting = Address.parse("rediss://h").tls, Address.parse("rediss://h?ssl_cert_reqs=none").tls
    assert strict is not None
    assert strict.check_hostname
    assert trusting is not None
    assert not trusting.check_hostname


def test_what_is_shown_of_it_is_no_secret() -> None:
    assert "hush" not in repr(Address.parse("redis://ann:hush@h:1/2?sentinel_password=hush"))
