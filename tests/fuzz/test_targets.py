"""Every reader of the hub gives an answer to whatever it is given."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import asking, configuring, making
from tests.fuzz.targets import TARGETS, problems_with

EXAMPLES = 300
READS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)

NEARLY_IN_ORDER: dict[str, st.SearchStrategy[bytes]] = {
    "frames": st.binary(max_size=300),
    "json": making.json_messages.map(lambda text: text.encode("utf-8", "surrogatepass")),
    "messagepack": making.packed_messages,
    "superjson": making.superjson_inputs.map(lambda text: text.encode("utf-8", "surrogatepass")),
    "requests": asking.http_requests() | asking.event_stream_requests(),
    "letters": asking.letters(),
    "toml": configuring.toml_files() | st.text(max_size=60).map(str.encode),
}


@pytest.mark.parametrize("name", TARGETS)
def test_what_real_clients_have_sent_is_read(name: str) -> None:
    target = TARGETS[name]
    assert target.seeds()
    for seed in target.seeds():
        target.read(seed)


@pytest.mark.parametrize("name", TARGETS)
def test_what_real_clients_have_sent_is_read_or_refused_when_it_is_spoiled(name: str) -> None:
    hold(making.mutations(TARGETS[name].seeds()), TARGETS[name].read)


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_nearly_in_order_is_read_or_refused(name: str) -> None:
    hold(NEARLY_IN_ORDER[name], TARGETS[name].read)


def test_no_problem_with_a_configuration_tells_a_secret() -> None:
    def read(data: bytes) -> None:
        error = problems_with(data)
        assert error is None or configuring.CANARY not in str(error)

    hold(configuring.toml_with_secrets(), read)


def hold(data: st.SearchStrategy[bytes], law: Callable[[bytes], None]) -> None:
    """Fails if any of `data` breaks `law`."""
    READS(given(data)(law))()
