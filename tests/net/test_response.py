"""A response's head is what it was asked to be, or is not written at all."""

from __future__ import annotations

import re
import time
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adohub.net.response import response_head
from tests.net import raw


def read(head: bytes) -> h11.Response:
    """`head` as h11 reads it, which would refuse what is no response."""
    parser = h11.Connection(h11.CLIENT)
    parser.send(h11.Request(method="GET", target="/", headers=[("Host", "hub")]))
    parser.receive_data(head)
    event = parser.next_event()
    assert isinstance(event, h11.Response)
    assert not isinstance(parser.next_event(), h11.Data)
    return event


def test_a_head_is_a_status_line_a_date_and_the_headers_in_order() -> None:
    head = response_head(404, [("x-a", "é"), ("x-b", "")], "content-length: 1\r\n").decode("latin-1")
    assert re.fullmatch(
        r"HTTP/1\.1 404 Not Found\r\ndate: [^\r]+ GMT\r\nx-a: é\r\nx-b: \r\ncontent-length: 1\r\n\r\n", head
    )


def test_the_date_is_now() -> None:
    response = raw.response(response_head(200, [], ""))
    assert response is not None
    assert abs(parsedate_to_datetime(response.headers["date"]).timestamp() - time.time()) < 5


@pytest.mark.parametrize("status", [*(one.value for one in HTTPStatus if one >= 200), 299, 599])
def test_every_final_status_has_a_line(status: int) -> None:
    assert read(response_head(status, [], "content-length: 1\r\n")).status_code == status


@pytest.mark.parametrize("status", [-1, 0, 100, 101, 199, 600, 20000])
def test_no_other_number_is_a_status(status: int) -> None:
    with pytest.raises(ValueError, match="status"):
        response_head(status, [], "")


@pytest.mark.parametrize(
    "name", ["", "a b", "a:", "a\r\nb", "é", "connection", "content-length", "transfer-encoding"]
)
def test_a_name_that_is_none_or_the_servers_own_is_not_written(name: str) -> None:
    with pytest.raises(ValueError, match="no header"):
        response_head(200, [(name, "x")], "")


@given(st.text(max_size=20), st.text(max_size=30))
def test_whatever_a_header_holds_is_read_back_or_refused(name: str, value: str) -> None:
    try:
        head = response_head(200, [(name, value)], "content-length: 1\r\n")
    except ValueError:
        return
    headers = {key.decode(): text.decode("latin-1") for key, text in read(head).headers if key != b"date"}
    assert headers == {name.lower(): value.strip(" \t"), "content-length": "1"}
