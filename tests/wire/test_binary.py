"""A connection that begins with a binary frame is had in MessagePack, by the same ledger."""

from __future__ import annotations

import ormsgpack
import pytest

from adohub.wire.conversation import (
    Answer,
    Authenticate,
    Conversation,
)
from adohub.wire.messages import Failure, Params, Pong, Request, Tag

BINARY_QUERY = ormsgpack.packb({"id": 1, "method": "query", "params": {"path": "a.b"}})
TEXT_QUERY = '{"id":1,"method":"query","params":{"path":"a.b"}}'


@pytest.mark.parametrize(("first", "is_binary"), [(BINARY_QUERY, True), (TEXT_QUERY, False)])
def test_the_first_message_decides_how_a_connection_speaks(first: str | bytes, is_binary: bool) -> None:
    ledger = Conversation(expects_params=False, max_subscriptions=1)
    assert list(ledger.receive("PING")) == [Answer(Pong())]
    [request] = ledger.receive(first)
    assert request == Request(Tag(1), "query", "a.b")
    assert bool(ledger.is_binary) is is_binary
    other = TEXT_QUERY if is_binary else BINARY_QUERY
    [refused] = ledger.receive(other)
    assert isinstance(refused, Answer)
    assert isinstance(refused.message, Failure)
    assert (refused.message.tag, refused.message.code) == (Tag(None), "PARSE_ERROR")
    assert list(ledger.receive("PING")) == [Answer(Pong())]
    assert list(ledger.receive(first)) == [request]


def test_who_speaks_messagepack_is_of_version_11() -> None:
    ledger = Conversation(expects_params=False, max_subscriptions=1)
    list(ledger.receive(BINARY_QUERY))
    assert ledger.speaks_v11


def test_connection_params_may_come_in_messagepack() -> None:
    ledger = Conversation(expects_params=True, max_subscriptions=1)
    params = ormsgpack.packb({"method": "connectionParams", "data": {"token": "t"}})
    assert list(ledger.receive(params)) == [Authenticate(Params({"token": "t"}))]
    ledger.accepted()
    assert list(ledger.receive(BINARY_QUERY)) == [Request(Tag(1), "query", "a.b")]
