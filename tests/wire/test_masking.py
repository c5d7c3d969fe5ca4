"""Unmasking is the XOR of RFC 6455, section 5.3, whichever way it is done."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adohub.wire.masking import REPEATED, SMALL_BYTES, turned, unmasked
from tests.wire import client_frames as client


@settings(deadline=None)
@given(client.payloads, client.keys)
def test_the_mask_comes_off(payload: bytes, key: bytes) -> None:
    assert unmasked(client.mask(payload, key), key) == payload


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 5, *range(SMALL_BYTES - 2, SMALL_BYTES + 7), 70_001])
def test_every_length_keeps_its_length(length: int) -> None:
    assert unmasked(b"\0" * length, b"\0\0\0\0") == b"\0" * length
    assert unmasked(b"\xff" * length, b"\xff\xff\xff\xff") == b"\0" * length


@settings(deadline=None)
@given(st.binary(max_size=3000), client.keys, st.integers(0, 3000))
def test_a_payload_may_come_in_two_parts(payload: bytes, key: bytes, cut: int) -> None:
    masked = client.mask(payload, key)
    first, second = masked[:cut], masked[cut:]
    assert unmasked(first, key) + unmasked(second, turned(key, len(first))) == payload


def test_a_key_and_the_longest_small_payload_find_their_repetition() -> None:
    words = (SMALL_BYTES + 7) // 4
    assert (0x04030201 * REPEATED[words]).to_bytes(words * 4, "little") == b"\1\2\3\4" * words
