"""RFC 6455 frames as clients send them, and as they must not: bytes, and strategies for whole streams."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle, pairwise
from operator import xor

from attrs import evolve, frozen
from hypothesis import strategies as st

from tests.wire import strategies as some

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
LENGTHS = (0, 1, 2, 3, 4, 5, 124, 125, 126, 127, 128, 1023, 1024, 1025, 65_535, 65_536, 65_537)
"""Around every border: of the length's three forms, of the key's four bytes, of the ways to unmask."""


@frozen
class ClientFrame:
    """One frame. `width` is how many bytes the extended length takes; None is as few as may be."""

    payload: bytes = b""
    opcode: int = TEXT
    final: bool = True
    key: bytes = b"\x37\xfa\x21\x3d"
    reserved: int = 0
    masked: bool = True
    width: int | None = None

    def __bytes__(self) -> bytes:
        return self.header + (mask(self.payload, self.key) if self.masked else self.payload)

    @property
    def header(self) -> bytes:
        length = len(self.payload)
        width = self.width
        if width is None:
            width = 0 if length < 126 else 2 if length < 65_536 else 8
        first = self.final << 7 | self.reserved << 4 | self.opcode
        second = self.masked << 7 | {0: length, 2: 126, 8: 127}[width]
        extended = length.to_bytes(width, "big") if width else b""
        return bytes((first, second)) + extended + (self.key if self.masked else b"")


def mask(payload: bytes, key: bytes) -> bytes:
    """RFC 6455, section 5.3, to the letter: octet i XOR key octet i modulo 4."""
    return bytes(map(xor, payload, cycle(key)))


def text(content: str | bytes, *, final: bool = True) -> ClientFrame:
    return ClientFrame(content.encode() if isinstance(content, str) else content, TEXT, final)


def binary(payload: bytes, *, final: bool = True) -> ClientFrame:
    return ClientFrame(payload, BINARY, final)


def more(payload: bytes, *, final: bool = True) -> ClientFrame:
    return ClientFrame(payload, CONTINUATION, final)


def ping(payload: bytes = b"") -> ClientFrame:
    return ClientFrame(payload, PING)


def pong(payload: bytes = b"") -> ClientFrame:
    return ClientFrame(payload, PONG)


def close(code: int | None = None, reason: str | bytes = b"") -> ClientFrame:
    said = reason.encode() if isinstance(reason, str) else reason
    return ClientFrame(b"" if code is None else code.to_bytes(2, "big") + said, CLOSE)


def stream(*frames: ClientFrame) -> bytes:
    return b"".join(map(bytes, frames))


def fragmented(payload: bytes, *cuts: int) -> list[ClientFrame]:
    """A text in the parts between `cuts`, each a fragment."""
    *begun, last = pieces(payload, list(cuts))
    if not begun:
        return [text(last)]
    return [text(begun[0], final=False), *(more(part, final=False) for part in begun[1:]), more(last)]


# ── ways to cut ──────────────────────────────────────────────────────────────────────────────────────────


def pieces(whole: bytes, cuts: list[int]) -> list[bytes]:
    """`whole` in the parts between `cuts`, some of which may be empty."""
    borders = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    return [whole[start:stop] for start, stop in pairwise(borders)]


def octets(whole: bytes) -> list[bytes]:
    """`whole`, a byte at a time."""
    return [bytes((octet,)) for octet in whole]


# ── strategies ───────────────────────────────────────────────────────────────────────────────────────────

keys = st.binary(min_size=4, max_size=4) | st.just(bytes(4))
cuts = st.lists(st.integers(0, 1500), max_size=12)
short_payloads = st.binary(max_size=125)
long_payloads = st.builds(
    lambda seed, length: (seed * (length // len(seed) + 1))[:length],
    st.binary(min_size=1, max_size=7),
    st.sampled_from(LENGTHS),
)
long_texts = st.builds(
    lambda char, length: char * (length // len(char.encode())),
    st.characters(codec="utf-8"),
    st.sampled_from(LENGTHS),
)
texts = (st.text(some.UNICODE, max_size=60) | long_texts).map(str.encode)
payloads = st.binary(max_size=200) | long_payloads

FREE_CODES = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 3999, 4000, 4999)
"""Close codes a peer may send; 1014 is among `wsproto`'s disagreements."""
BARRED_CODES = (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 65_535)

reasons = st.text(some.UNICODE, max_size=30)
closes = st.builds(close) | st.builds(close, st.sampled_from(FREE_CODES), reasons)
controls = st.builds(ping, short_payloads) | st.builds(pong, short_payloads)


@st.composite
def messages(draw: st.DrawFn) -> list[ClientFrame]:
    """The frames of one message, cut anywhere, with control frames between them."""
    opcode = draw(st.sampled_from((TEXT, BINARY)))
    payload = draw(texts if opcode == TEXT else payloads)
    fragments = pieces(payload, draw(st.lists(st.integers(0, len(payload)), max_size=3)))
    frames = []
    for number, fragment in enumerate(fragments):
        frames.append(ClientFrame(fragment, CONTINUATION if number else opcode, final=False))
        frames += draw(st.lists(controls, max_size=1)) if number < len(fragments) - 1 else []
    frames[-1] = evolve(frames[-1], final=True)
    return [evolve(frame, key=draw(keys)) for frame in frames]


@st.composite
def conversations(draw: st.DrawFn) -> list[ClientFrame]:
    """What a well-behaved client sends, perhaps up to its close frame, and what it then sends in vain."""
    parts = draw(st.lists(messages() | controls.map(lambda frame: [frame]), max_size=5))
    if draw(st.booleans()):
        parts.insert(draw(st.integers(0, len(parts))), [draw(closes)])
    return [frame for part in parts for frame in part]


Fault = Callable[[ClientFrame], ClientFrame]


def _barred(code: int, _: ClientFrame) -> ClientFrame:
    return close(code)


WRONG: dict[str, Fault] = {
    "reserved bit 1": lambda frame: evolve(frame, reserved=4),
    "reserved bit 2": lambda frame: evolve(frame, reserved=2),
    "reserved bit 3": lambda frame: evolve(frame, reserved=1),
    "reserved opcode": lambda frame: evolve(frame, opcode=frame.opcode | 0x3),
    "reserved control opcode": lambda frame: evolve(frame, opcode=0xB),
    "no mask": lambda frame: evolve(frame, masked=False),
    "fragmented control frame": lambda frame: ClientFrame(frame.payload[:9], PING, final=False),
    "long control frame": lambda frame: ClientFrame(frame.payload.ljust(126, b"x"), PONG),
    "length in 2 bytes": lambda frame: evolve(frame, payload=frame.payload[:125], width=2),
    "length in 8 bytes": lambda frame: evolve(frame, payload=frame.payload[:65_535], width=8),
    "stray continuation": lambda frame: evolve(frame, opcode=CONTINUATION),
    "stray text": lambda frame: evolve(frame, opcode=TEXT, payload=b"stray"),
    "never final": lambda frame: evolve(frame, final=False),
    "half a close code": lambda frame: evolve(frame, opcode=CLOSE, payload=b"\x03"),
    "no UTF-8": lambda frame: evolve(frame, payload=frame.payload[:9] + b"\xff" + frame.payload[9:]),
    "half a character": lambda frame: evolve(frame, payload=frame.payload + b"\xe2\x82"),
    "half a surrogate pair": lambda frame: evolve(frame, payload=b"\xed\xa0\x80" + frame.payload),
    "close reason without UTF-8": lambda _: close(1000, b"\xf0\x9f\x8e"),
    **{f"close code {code}": partial(_barred, code) for code in BARRED_CODES},
}
"""What may be wrong with a frame. Not every fault is one in every frame: the oracle knows."""


@st.composite
def misbehaviour(draw: st.DrawFn) -> list[ClientFrame]:
    """A conversation in which something may be wrong with one frame."""
    frames = draw(conversations().filter(bool))
    place = draw(st.integers(0, len(frames) - 1))
    frames[place] = WRONG[draw(st.sampled_from(sorted(WRONG)))](frames[place])
    return frames


def every_prefix(whole: bytes) -> Iterator[bytes]:
    return (whole[:length] for length in range(len(whole) + 1))
