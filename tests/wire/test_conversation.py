"""One peer's ledger, held against a naive one through any sequence of words and verbs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import pytest
from attrs import define
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from adohub.errors import OverLimit, PeerError
from adohub.wire.conversation import (
    Answer,
    Authenticate,
    Cancel,
    Conversation,
    LedgerError,
    Step,
)
from adohub.wire.messages import ABSENT, Failure, Params, Pong, Request, Started, Stop, Stopped, Tag

Phase = Literal["greeting", "authenticating", "open", "refused"]

# Few ids, so that they meet: 1 and 1.0 are the same number, and "1" another id.
ids = st.sampled_from([0, 1, 1.0, 2, 2.5, "1", "", "a", None])
tags = st.builds(Tag, ids, st.booleans())
calls = st.builds(
    Request,
    tags,
    st.sampled_from(["query", "mutation"]),
    st.just("a.b"),
    st.just(ABSENT),
    last_event_id=st.sampled_from([None, None, "e-1"]),
)
subscribes = st.builds(
    Request,
    tags,
    st.just("subscription"),
    st.just("stream.onX"),
    st.just(ABSENT),
    last_event_id=st.sampled_from([None, None, ""]),
)
stops = st.builds(Stop, tags)
messages = calls | subscribes | subscribes | stops
errors = st.builds(
    PeerError,
    st.sampled_from(["UNAUTHORIZED", "FORBIDDEN", "TIMEOUT"]),
    st.sampled_from(["", "no"]),
    data=st.sampled_from([{}, {"hint": "x"}]),
)


def written(message: Request | Stop) -> dict[str, Any]:
    """`message` as a peer writes it."""
    fields: dict[str, Any] = {"id": message.tag.id}
    if message.tag.jsonrpc:
        fields["jsonrpc"] = "2.0"
    if isinstance(message, Stop):
        return fields | {"method": "subscription.stop"}
    params: dict[str, Any] = {"path": message.path}
    if message.input is not ABSENT:
        params["input"] = message.input
    if message.last_event_id is not None:
        params["lastEventId"] = message.last_event_id
    return fields | {"method": message.kind, "params": params}


FULL = "max_subscriptions_per_connection"


def refusal(tag: Tag, error: PeerError, path: str | None = None) -> Answer:
    limit = error.limit if isinstance(error, OverLimit) else ""
    return Answer(Failure(tag, error.code, error.message, path, error.data), limit)


def malformed(message: str) -> PeerError:
    return PeerError("PARSE_ERROR", message)


@define
class Subscription:
    """What the naive ledger remembers of one."""

    tag: Tag
    is_live: bool = False


class Ledgers(RuleBasedStateMachine):
    """The real ledger and a naive one, told the same."""

    @initialize(expects_params=st.booleans(), limit=st.integers(0, 3))
    def connect(self, expects_params: bool, limit: int) -> None:
        self.conversation = Conversation(expects_params=expects_params, max_subscriptions=limit)
        self.phase: Phase = "greeting" if expects_params else "open"
        self.speaks_v11 = expects_params
        self.limit = limit
        self.open: list[Subscription] = []
        self.over: list[Tag] = []
        self.verdict: PeerError | None = None

    # ── the naive ledger ─────────────────────────────────────────────────────────────────────────────

    def expected(self, message: Request | Stop) -> list[Step]:
        if message.tag.id is None:
            return [refusal(message.tag, malformed("`id` is required"))]
        namesakes = [one for one in self.open if one.tag.id == message.tag.id]
        if isinstance(message, Stop):
            return [Cancel(one.tag) for one in namesakes]
        if self.verdict is not None:
            return [refusal(message.tag, self.verdict, message.path)]
        if message.kind != "subscription":
            return [message]
        if namesakes:
            duplicate = PeerError("BAD_REQUEST", f"Duplicate id {message.tag.id}")
            return [refusal(message.tag, duplicate, message.path)]
        if len(self.open) == self.limit:
            text = f"this connection has {self.limit} subscriptions open, which is its limit"
            return [refusal(message.tag, OverLimit(FULL, "TOO_MANY_REQUESTS", text), message.path)]
        return [message]

    def note(self, step: Step) -> None:
        match step:
            case Request(tag, "subscription"):
                self.open.append(Subscription(tag))
            case Cancel(tag):
                self.end(tag)

    def end(self, tag: Tag) -> None:
        self.open = [one for one in self.open if one.tag is not tag]
        self.over.append(tag)

    # ── the peer speaks ──────────────────────────────────────────────────────────────────────────────

    def can_converse(self) -> bool:
        return self.phase in ("open", "refused")

    @precondition(can_converse)
    @rule(batch=st.lists(messages, min_size=1, max_size=4))
    def say(self, batch: list[Request | Stop]) -> None:
        frames = [written(message) for message in batch]
        frame = json.dumps(frames[0] if len(frames) == 1 else frames)
        steps = iter(self.conversation.receive(frame))
        for message in batch:
            if isinstance(message, Request) and message.last_event_id is not None:
                self.speaks_v11 = True
            for expected in self.expected(message):
                step = next(steps)
                assert step == expected
                self.note(step)
        assert list(steps) == []

    @precondition(can_converse)
    @rule(request=subscribes)
    def subscribe(self, request: Request) -> None:
        self.say([request])

    @precondition(lambda self: self.phase != "authenticating")
    @rule(word=st.sampled_from(["PING", "PONG"]))
    def ping_or_pong(self, word: str) -> None:
        answers = [Answer(Pong())] if word == "PING" else []
        assert list(self.conversation.receive(word)) == answers
        self.speaks_v11 = self.speaks_v11 or word == "PING"

    @precondition(lambda self: self.phase == "greeting")
    @rule(params=st.none() | st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2))
    def greet(self, params: Mapping[str, str] | None) -> None:
        frame = json.dumps({"method": "connectionParams", "data": params})
        assert list(self.conversation.receive(frame)) == [Authenticate(Params(params))]
        self.phase = "authenticating"

    @precondition(lambda self: self.phase == "greeting")
    @rule(
        rudeness=st.sampled_from(["{", "[]"]).map(
            lambda frame: (frame, "Malformed TRPCConnectionParamsMessage")
        )
        | messages.map(lambda message: (json.dumps(written(message)), "Invalid connection params shape"))
    )
    def greet_badly(self, rudeness: tuple[str | bytes, str]) -> None:
        frame, text = rudeness
        self.verdict = malformed(text)
        assert list(self.conversation.receive(frame)) == [refusal(Tag(None), self.verdict)]
        self.phase = "refused"

    # ── the hub decides ──────────────────────────────────────────────────────────────────────────────

    @precondition(lambda self: self.phase == "authenticating")
    @rule()
    def accept(self) -> None:
        self.conversation.accepted()
        self.phase = "open"

    @precondition(lambda self: self.phase == "authenticating")
    @rule(error=errors)
    def refuse(self, error: PeerError) -> None:
        assert self.conversation.refused(error) == [refusal(Tag(None), error)]
        self.phase, self.verdict = "refused", error

    @precondition(lambda self: any(not one.is_live for one in self.open))
    @rule(data=st.data(), recovered=st.none() | st.booleans())
    def start(self, data: st.DataObject, recovered: bool | None) -> None:
        one = data.draw(st.sampled_from([one for one in self.open if not one.is_live]))
        assert self.conversation.started(one.tag, recovered=recovered) == Started(one.tag, recovered)
        one.is_live = True

    @precondition(lambda self: any(one.is_live for one in self.open))
    @rule(data=st.data())
    def miss(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from([one for one in self.open if one.is_live]))
        assert self.conversation.missed(one.tag) == Started(one.tag, recovered=False)

    @precondition(lambda self: any(one.is_live for one in self.open))
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from([one for one in self.open if one.is_live]))
        assert self.conversation.finished(one.tag) == Stopped(one.tag)
        self.end(one.tag)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), error=errors)
    def fail(self, data: st.DataObject, error: PeerError) -> None:
        one = data.draw(st.sampled_from(self.open))
        failure = refusal(one.tag, error, "stream.onX").message
        said = self.conversation.failed(one.tag, error, "stream.onX")
        assert said == ([failure, Stopped(one.tag)] if one.is_live else [failure])
        self.end(one.tag)

    # ── what the hub may not do: it raises, and changes nothing (the invariants look) ────────────────

    @rule(error=errors, data=st.data(), stranger=tags)
    def overstep(self, error: PeerError, data: st.DataObject, stranger: Tag) -> None:
        """Also for a subscription that is over while another has its id, and for one that looks the same."""
        absent = [stranger, *self.over, *(Tag(*one.tag) for one in self.open)]
        oversteps = list(verbs(self.conversation, data.draw(st.sampled_from(absent))))
        for one in self.open:
            started, missed, finished, _ = verbs(self.conversation, one.tag)
            oversteps += [started] if one.is_live else [missed, finished]
        if self.phase == "authenticating":
            oversteps.append(lambda: list(self.conversation.receive("PING")))
        else:
            oversteps.append(self.conversation.accepted)
        if self.can_converse():
            oversteps.append(lambda: self.conversation.refused(error))
        for verb in oversteps:
            with pytest.raises(LedgerError):
                verb()

    # ── always ───────────────────────────────────────────────────────────────────────────────────────

    @invariant()
    def agree(self) -> None:
        assert self.conversation.open_subscriptions == len(self.open) <= self.limit
        assert self.conversation.is_refused is (self.phase == "refused")
        assert self.conversation.speaks_v11 is self.speaks_v11
        assert all(self.conversation.is_open(one.tag) for one in self.open)
        assert not any(self.conversation.is_open(tag) for tag in self.over)


def verbs(conversation: Conversation, tag: Tag) -> Iterator[Callable[[], object]]:
    """Everything a hub can say for the subscription of `tag`."""
    yield lambda: conversation.started(tag)
    yield lambda: conversation.missed(tag)
    yield lambda: conversation.finished(tag)
    yield lambda: conversation.failed(tag, PeerError("TIMEOUT"), "stream.onX")


TestLedgers = Ledgers.TestCase
TestLedgers.settings = settings(deadline=None, stateful_step_count=50)


# ── the same, told one by one ────────────────────────────────────────────────────────────────────────


def conversation(*, limit: int = 2) -> Conversation:
    return Conversation(expects_params=False, max_subscriptions=limit)


def subscription(id: int | str) -> str:
    return json.dumps({"id": id, "method": "subscription", "params": {"path": "stream.onX"}})


def opened(ledger: Conversation, id: int | str) -> Tag:
    (step,) = ledger.receive(subscription(id))
    assert isinstance(step, Request)
    return step.tag


def refused_with(ledger: Conversation, frame: str) -> str:
    (step,) = ledger.receive(frame)
    assert isinstance(step, Answer)
    assert isinstance(step.message, Failure)
    return step.message.code


def test_an_id_is_free_again_after_stop_end_and_failure() -> None:
    ledger = conversation(limit=1)
    tag = opened(ledger, 1)
    assert refused_with(ledger, subscription(1)) == "BAD_REQUEST"
    assert refused_with(ledger, subscription(2)) == "TOO_MANY_REQUESTS"
    assert list(ledger.receive('{"id":1,"method":"subscription.stop"}')) == [Cancel(tag)]
    tag = opened(ledger, 1)
    ledger.failed(tag, PeerError("TIMEOUT"), "stream.onX")
    tag = opened(ledger, 1)
    ledger.started(tag)
    ledger.finished(tag)
    assert opened(ledger, 2).id == 2


def test_a_number_and_its_text_are_two_ids() -> None:
    ledger = conversation()
    opened(ledger, 1)
    assert opened(ledger, "1").id == "1"


def test_steps_of_one_batch_are_taken_one_at_a_time() -> None:
    """What the hub decides about the first element is known when the second is looked at."""
    ledger = conversation(limit=1)
    steps = iter(ledger.receive(f"[{subscription(1)},{subscription(2)}]"))
    first = next(steps)
    assert isinstance(first, Request)
    ledger.failed(first.tag, PeerError("NOT_FOUND"), "stream.onX")
    assert isinstance(next(steps), Request)


def test_a_stop_is_answered_under_the_tag_of_what_it_stops() -> None:
    ledger = conversation()
    (step,) = ledger.receive(
        '{"id":1,"jsonrpc":"2.0","method":"subscription","params":{"path":"stream.onX"}}'
    )
    assert isinstance(step, Request)
    (end,) = ledger.receive('{"id":1,"method":"subscription.stop"}')
    assert end == Cancel(Tag(1, jsonrpc=True))


@pytest.mark.parametrize(
    "frame", ["{", "1", '{"id":1}', '[{"id":1,"method":"subscription.stop"},{}]', b"\x00"]
)
def test_what_cannot_be_read_is_answered_under_no_id_and_changes_nothing(frame: str | bytes) -> None:
    ledger = conversation()
    tag = opened(ledger, 1)
    (step,) = ledger.receive(frame)
    assert isinstance(step, Answer)
    assert isinstance(step.message, Failure)
    assert (step.message.tag, step.message.code, step.message.path) == (Tag(None), "PARSE_ERROR", None)
    assert ledger.is_open(tag)


def test_a_peer_can_be_refused_before_it_has_greeted() -> None:
    ledger = Conversation(expects_params=True, max_subscriptions=1)
    error = PeerError("TIMEOUT")
    assert ledger.refused(error) == [refusal(Tag(None), error)]
    assert ledger.is_refused


def test_nothing_is_read_before_the_verdict() -> None:
    ledger = Conversation(expects_params=True, max_subscriptions=1)
    list(ledger.receive('{"data":null}'))
    for frame in ("PING", subscription(1), b""):
        with pytest.raises(LedgerError):
            list(ledger.receive(frame))
    ledger.accepted()
    assert opened(ledger, 1).id == 1


@pytest.mark.parametrize(
    "frame",
    [
        "PING",
        '{"id":1,"method":"subscription","params":{"path":"a","lastEventId":""}}',
        '{"id":1,"method":"query","params":{"path":"a","lastEventId":"e-1"}}',
    ],
)
def test_what_only_v11_says_shows_a_v11_peer(frame: str) -> None:
    ledger = conversation()
    list(ledger.receive("PONG"))
    list(ledger.receive(subscription(7)))
    assert not ledger.speaks_v11
    list(ledger.receive(frame))
    assert ledger.speaks_v11


def test_a_refusal_is_repeated_whole_by_each_later_id() -> None:
    ledger = Conversation(expects_params=True, max_subscriptions=1)
    list(ledger.receive('{"data":null}'))
    error = PeerError("UNAUTHORIZED", "bad token", data={"hint": "renew it"})
    assert ledger.refused(error) == [refusal(Tag(None), error)]
    assert list(ledger.receive(subscription(7))) == [refusal(Tag(7), error, "stream.onX")]
    assert list(ledger.receive("PING")) == [Answer(Pong())]
