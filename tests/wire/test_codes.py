"""The error table agrees with JSON-RPC, with HTTP and with every error that was ever recorded."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, get_args

import pytest

from adohub.errors import ErrorCode
from adohub.wire.codes import CODES, CodeNumbers
from tests.transcripts.golden_files import GOLDEN, recorded

PECULIAR = {"PARSE_ERROR": (-32700, 400), "BAD_REQUEST": (-32600, 400)}
NAMED_OTHERWISE = {
    "METHOD_NOT_SUPPORTED": HTTPStatus.METHOD_NOT_ALLOWED,
    "TIMEOUT": HTTPStatus.REQUEST_TIMEOUT,
    "PAYLOAD_TOO_LARGE": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "UNPROCESSABLE_CONTENT": HTTPStatus.UNPROCESSABLE_ENTITY,
}
NOT_HTTPS_OWN = {"PARSE_ERROR", "CLIENT_CLOSED_REQUEST"}


def test_every_code_has_its_numbers() -> None:
    assert set(CODES) == set(get_args(ErrorCode))


@pytest.mark.parametrize("name", get_args(ErrorCode))
def test_the_number_follows_from_the_status(name: ErrorCode) -> None:
    """4xx count down from -32000, 5xx share JSON-RPC's internal error, and two are JSON-RPC's own."""
    number, status = CODES[name]
    if name in PECULIAR:
        assert (number, status) == PECULIAR[name]
    elif status < 500:
        assert number == -32000 - (status - 400)
    else:
        assert number == -32603


@pytest.mark.parametrize("name", sorted(set(get_args(ErrorCode)) - NOT_HTTPS_OWN))
def test_the_status_is_the_one_of_that_name(name: ErrorCode) -> None:
    assert CODES[name].http_status == NAMED_OTHERWISE.get(name, getattr(HTTPStatus, name, None))


def test_a_client_that_went_away_has_the_customary_status() -> None:
    assert CODES["CLIENT_CLOSED_REQUEST"] == CodeNumbers(-32099, 499)


def test_every_recorded_error_has_our_numbers() -> None:
    seen = set()
    for transcript in recorded(GOLDEN):
        for name, numbers in errors_in(transcript.document["frames"]):
            assert CODES[name] == numbers, transcript
            seen.add(name)
    assert seen >= {"PARSE_ERROR", "BAD_REQUEST", "UNAUTHORIZED", "FORBIDDEN", "NOT_FOUND"}


def errors_in(value: Any) -> Iterator[tuple[ErrorCode, tuple[int, int]]]:
    """Each error shape anywhere in `value`, as (name, (number, status))."""
    if isinstance(value, list):
        for item in value:
            yield from errors_in(item)
    elif isinstance(value, dict):
        data = value.get("data")
        if isinstance(data, dict) and "httpStatus" in data and "code" in value:
            yield data["code"], (value["code"], data["httpStatus"])
        for item in value.values():
            yield from errors_in(item)
