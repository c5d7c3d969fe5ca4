"""RFC 6455 as exchanges of bytes: what a client sends, and what must be heard of it.

The sections are those of the Autobahn suite's cases 1-7, in our own words and data. The hub speaks tRPC, so
what has become of a message is seen by what it is answered:

    echo TEXT       a query for the path TEXT, which does not exist, was understood to the letter
    no request      the message came whole and is no tRPC
    pong HEX        a ping was answered
    close CODE      a close frame came, and nothing behind it
    waiting         the connection did not end
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import chain

from attrs import evolve, frozen

from tests.wire import client_frames as client
from tests.wire.client_frames import (
    ClientFrame,
    close,
    fragmented,
    more,
    octets,
    pieces,
    ping,
    pong,
    stream,
    text,
)

LIMIT = 70_000
"""`max_message_bytes` of the hub with which they are held."""

NO_REQUEST = "no request"
WAITING = "waiting"


@frozen
class Exchange:
    """`sent` piece by piece, and what is `heard`, up to the end of the connection."""

    sent: Sequence[bytes]
    heard: Sequence[str]
    is_fault: bool = False
    """Whether the close is the hub's answer to a fault, and not to a close."""


Section = dict[str, Exchange]


def query(path: str, *, size: int = 0) -> bytes:
    """A query for `path`, of at least `size` bytes."""
    return json.dumps({"id": 1, "method": "query", "params": {"path": path}}).encode().ljust(size)


def echo(path: str) -> str:
    """How the answer to `query(path)` is shown."""
    return f"echo {path}"


def code(number: int | None) -> str:
    """How a close frame is shown."""
    return "close" if number is None else f"close {number}"


BYE = bytes(close(1000))
BEFORE, AFTER = text(query("before")), text(query("after"))


def good(*pieces: bytes, heard: Sequence[str]) -> Exchange:
    """What is in order: something comes before and after it, and all three are answered."""
    sent = [bytes(BEFORE), *pieces, bytes(AFTER), BYE]
    return Exchange(sent, [echo("before"), *heard, echo("after"), code(1000)])


def bad(*pieces: bytes, why: int = 1002, heard: Sequence[str] = ()) -> Exchange:
    """What breaks the protocol: what came before it is answered, what comes after is not."""
    sent = [bytes(BEFORE), *pieces, bytes(AFTER)]
    return Exchange(sent, [echo("before"), *heard, code(why)], is_fault=True)


def unfinished(*pieces: bytes, why: int) -> Exchange:
    """What breaks the protocol before it is over; then the client only waits."""
    behind = bad(*pieces, why=why)
    return evolve(behind, sent=behind.sent[:-1])


def in_every_form(name: str, wrong: bytes, why: int = 1002) -> Section:
    """A fault by itself, a byte at a time, and in one piece with what surrounds it."""
    return {
        f"{name}": bad(wrong, why=why),
        f"{name}, a byte at a time": bad(*octets(wrong), why=why),
        f"{name}, all at once": evolve(bad(why=why), sent=[stream(BEFORE) + wrong + stream(AFTER)]),
    }


def merged(*sections: Section) -> Section:
    return dict(chain.from_iterable(section.items() for section in sections))


# ── 1: frames and their lengths ──────────────────────────────────────────────────────────────────────────

SIZES = (125, 126, 127, 128, 65_535, 65_536)
"""Around the borders of the three forms of a length."""


def framing() -> Section:
    section: Section = {
        "text without a byte": good(stream(text("")), heard=[NO_REQUEST]),
        "a byte of text": good(stream(text("x")), heard=[NO_REQUEST]),
        "octets without a byte": good(stream(client.binary(b"")), heard=[NO_REQUEST]),
    }
    for size in SIZES:
        whole = stream(text(query("a", size=size)))
        section[f"text of {size} bytes"] = good(whole, heard=[echo("a")])
        section[f"octets of {size} bytes"] = good(stream(client.binary(b"\xfe" * size)), heard=[NO_REQUEST])
        cuts = list(range(0, len(whole), 997))
        section[f"text of {size} bytes in pieces"] = good(*pieces(whole, cuts), heard=[echo("a")])
    for key in (bytes(4), b"\xff" * 4, b"\x01\x80\x00\xfe"):
        masked = bytes(ClientFrame(query("a"), key=key))
        section[f"masked with {key.hex()}"] = good(masked, heard=[echo("a")])
    for opcode in (client.TEXT, client.BINARY, client.PING, client.PONG, client.CLOSE, client.CONTINUATION):
        frame = bytes(ClientFrame(b"", opcode, masked=False))
        section |= in_every_form(f"opcode {opcode:x} without a mask", frame)
    for size, width in ((0, 2), (125, 2), (125, 8), (126, 8), (65_535, 8)):
        frame = bytes(ClientFrame(b"x" * size, width=width))
        section[f"{size} bytes with a length of {width}"] = bad(frame)
    for length in (2**63, 2**64 - 1):
        section |= in_every_form(f"a length of {length:#x}", b"\x82\xff" + length.to_bytes(8, "big"))
    return section


# ── 2: pings and pongs ───────────────────────────────────────────────────────────────────────────────────


def pings() -> Section:
    longest = bytes(range(125))
    ten = [ping(b"%d" % number) for number in range(10)]
    ten_heard = [f"pong {frame.payload.hex()}" for frame in ten]
    return merged(
        {
            "a ping": good(stream(ping()), heard=["pong "]),
            "a ping with text": good(stream(ping(b"hello")), heard=["pong 68656c6c6f"]),
            "a ping with octets": good(stream(ping(b"\x00\xff\xfe")), heard=["pong 00fffe"]),
            "a ping of 125 bytes": good(stream(ping(longest)), heard=[f"pong {longest.hex()}"]),
            "the same, a byte at a time": good(
                *octets(stream(ping(longest))), heard=[f"pong {longest.hex()}"]
            ),
            "a pong that nobody asked for": good(stream(pong()), heard=[]),
            "the same with something in it": good(stream(pong(b"hello")), heard=[]),
            "a pong and a ping": good(stream(pong(b"1"), ping(b"2")), heard=["pong 32"]),
            "ten pings": good(stream(*ten), heard=ten_heard),
            "ten pings, a byte at a time": good(*octets(stream(*ten)), heard=ten_heard),
        },
        in_every_form("a ping of 126 bytes", bytes(ping(b"x" * 126))),
        in_every_form("a pong of 126 bytes", bytes(pong(b"x" * 126))),
        in_every_form("a ping whose length takes 2 bytes", bytes(ClientFrame(b"x", client.PING, width=2))),
    )


# ── 3 and 4: reserved bits and opcodes ───────────────────────────────────────────────────────────────────


def reserved() -> Section:
    section: Section = {}
    for bits in range(1, 8):
        frame = bytes(ClientFrame(query("a"), reserved=bits))
        section |= in_every_form(f"reserved bits {bits:03b}", frame)
        for opcode in (client.BINARY, client.PING, client.CLOSE):
            frame = bytes(ClientFrame(b"", opcode, reserved=bits))
            section[f"reserved bits {bits:03b} with opcode {opcode:x}"] = bad(frame)
    section["a reserved bit behind a ping"] = bad(
        stream(ping(), ClientFrame(b"", reserved=4)), heard=["pong "]
    )
    section["a reserved bit in the second fragment"] = bad(
        stream(text("a", final=False), ClientFrame(b"b", client.CONTINUATION, reserved=2))
    )
    for opcode in (*range(3, 8), *range(11, 16)):
        section |= in_every_form(f"opcode {opcode:x}", bytes(ClientFrame(b"", opcode)))
        section[f"opcode {opcode:x} with something in it"] = bad(bytes(ClientFrame(b"hello", opcode)))
        section[f"opcode {opcode:x} inside a message"] = bad(
            stream(text("a", final=False), ClientFrame(b"", opcode))
        )
    return section


# ── 5: fragments ─────────────────────────────────────────────────────────────────────────────────────────


def with_pings(frames: Sequence[ClientFrame]) -> Iterator[ClientFrame]:
    """`frames`, and a ping behind each."""
    for number, frame in enumerate(frames):
        yield frame
        yield ping(bytes((number,)))


def fragmentation() -> Section:
    whole = query("whole")
    two, five = fragmented(whole, 20), fragmented(whole, 0, 9, 9, len(whole))
    pongs = [f"pong {number:02x}" for number in range(len(five))]
    apart = {
        "two fragments": good(stream(*two), heard=[echo("whole")]),
        "two fragments, each by itself": good(*map(bytes, two), heard=[echo("whole")]),
        "two fragments, a byte at a time": good(*octets(stream(*two)), heard=[echo("whole")]),
        "five fragments, some without a byte": good(stream(*five), heard=[echo("whole")]),
        "pings between five fragments": good(
            stream(*with_pings(five)), heard=[*pongs[:-1], echo("whole"), pongs[-1]]
        ),
        "pongs between two fragments": good(stream(two[0], pong(b"x"), two[1]), heard=[echo("whole")]),
        "nothing, in three fragments": good(
            stream(text("", final=False), more(b"", final=False), more(b"")), heard=[NO_REQUEST]
        ),
        "octets in two fragments": good(
            stream(client.binary(b"\xfe", final=False), more(b"\xff")), heard=[NO_REQUEST]
        ),
        "an end behind a whole message": bad(stream(*two, more(b"")), heard=[echo("whole")]),
        "a message behind a fragmented one": good(stream(*two, *two), heard=[echo("whole"), echo("whole")]),
        "a close inside a message": Exchange(
            [stream(BEFORE, two[0], close(1000), two[1], AFTER)], [echo("before"), code(1000)]
        ),
    }
    return merged(
        apart,
        in_every_form(
            "a ping in two fragments", stream(ClientFrame(b"a", client.PING, final=False), more(b"b"))
        ),
        in_every_form(
            "a pong in two fragments", stream(ClientFrame(b"a", client.PONG, final=False), more(b"b"))
        ),
        in_every_form("a close that is not final", stream(ClientFrame(b"", client.CLOSE, final=False))),
        in_every_form("an end of nothing", stream(more(b"x"))),
        in_every_form("a middle of nothing", stream(more(b"x", final=False))),
        in_every_form("text inside text", stream(two[0], text("x"))),
        in_every_form("octets inside text", stream(two[0], client.binary(b"x"))),
        in_every_form("text inside octets", stream(client.binary(b"x", final=False), text("x"))),
        in_every_form("a beginning inside a message", stream(two[0], text("x", final=False))),
    )
