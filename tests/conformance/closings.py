"""How a WebSocket ends: the close handshake, its codes and reasons, and messages that are too long.

Sources: RFC 6455, sections 5.5.1, 7.1 and 7.4; IANA's registry of close codes for 1012 to 1014.
"""

from __future__ import annotations

from adohub.wire.websocket import CLOSE_INVALID_TEXT, CLOSE_TOO_BIG
from tests.conformance.exchanges import (
    AFTER,
    BEFORE,
    BYE,
    LIMIT,
    Exchange,
    Section,
    bad,
    code,
    echo,
    good,
    in_every_form,
    merged,
    query,
    unfinished,
)
from tests.wire import client_frames as client
from tests.wire.client_frames import ClientFrame, close, more, octets, pieces, ping, stream, text

CODES = (*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999)
"""Those that a close frame may carry."""

NO_CODES = (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 65_535)
"""Those that it may not: never on the wire, unassigned, or out of range."""


def ending(last: ClientFrame, heard: int | None, *behind: ClientFrame) -> Exchange:
    """A close frame behind a request, and perhaps more `behind` it, to which nobody listens."""
    return Exchange([stream(BEFORE, last, *behind)], [echo("before"), code(heard)])


def closing() -> Section:
    """What a close frame is answered with, and what is none."""
    section: Section = {
        "a close without a code": ending(close(), None),
        "a reason": ending(close(1000, "that is all"), 1000),
        "a reason of 123 bytes": ending(close(1000, "x" * 123), 1000),
        "a reason in many tongues": ending(close(1000, "κόσμε 👋"), 1000),
        "a message behind the close": ending(close(1000), 1000, AFTER),
        "a ping behind the close": ending(close(1000), 1000, ping(b"late")),
        "two closes": ending(close(1000), 1000, close(1001)),
        "noise behind the close": ending(close(1000), 1000, ClientFrame(b"x", 0x7, reserved=7)),
        "a close, a byte at a time": Exchange([stream(BEFORE), *octets(BYE)], [echo("before"), code(1000)]),
        "a close at once": Exchange([BYE], [code(1000)]),
    }
    for number in CODES:
        section[f"code {number}"] = ending(close(number, "why"), number)
    for number in NO_CODES:
        section[f"code {number}"] = bad(bytes(close(number)))
        section[f"code {number} with a reason"] = bad(bytes(close(number, "why")))
    return merged(
        section,
        in_every_form("half a code", bytes(ClientFrame(b"\x03", client.CLOSE))),
        in_every_form("a reason of 124 bytes", bytes(close(1000, "x" * 124))),
        in_every_form("a reason that is no UTF-8", bytes(close(1000, b"caf\xe9")), CLOSE_INVALID_TEXT),
        in_every_form(
            "a reason that ends in a character", bytes(close(1000, b"\xf0\x9f")), CLOSE_INVALID_TEXT
        ),
    )


def limits() -> Section:
    """How long a message may be: decided by the header of the frame that is too much."""
    most = stream(text(query("a", size=LIMIT)))
    half = query("a", size=LIMIT)
    parts = stream(*(ClientFrame(part, 0, final=False) for part in pieces(half, [100, 30_000])[1:-1]))
    within = stream(text(half[:100], final=False)) + parts + stream(more(half[30_000:]))
    over = stream(text(b"x" * LIMIT, final=False))
    return {
        "as long as may be": good(most, heard=[echo("a")]),
        "as long as may be, in fragments": good(within, heard=[echo("a")]),
        "as long as may be, in pieces": good(
            *pieces(most, list(range(0, len(most), 9_000))), heard=[echo("a")]
        ),
        "a byte too long": bad(bytes(text("x" * (LIMIT + 1))), why=CLOSE_TOO_BIG),
        "a byte too long, of which only the header comes": unfinished(
            text("x" * (LIMIT + 1)).header, why=CLOSE_TOO_BIG
        ),
        "far too long, of which only the header comes": unfinished(
            b"\x81\xff" + (2**40).to_bytes(8) + bytes(4), why=CLOSE_TOO_BIG
        ),
        "octets that are too long": bad(bytes(client.binary(b"x" * (LIMIT + 1))), why=CLOSE_TOO_BIG),
        "a fragment too long": bad(over + stream(more(b"x")), why=CLOSE_TOO_BIG),
        "a fragment that would be too long": unfinished(over + more(b"x").header, why=CLOSE_TOO_BIG),
        "characters that are too long as bytes": bad(bytes(text("é" * (LIMIT // 2 + 1))), why=CLOSE_TOO_BIG),
    }
