"""UTF-8 in text messages: what is text, what is none, and from which byte on that is certain.

Sources: RFC 3629, section 4; table 3-7 of the Unicode standard; RFC 6455, section 8.1.
"""

from __future__ import annotations

from adohub.wire.websocket import CLOSE_INVALID_TEXT
from tests.conformance.exchanges import Section, bad, echo, good, merged, query, unfinished
from tests.wire.client_frames import ClientFrame, fragmented, more, octets, ping, stream, text

TEXTS = {
    "Greek": "κόσμε",
    "the first of 2 bytes": "\x80",
    "the last of 2 bytes": "\u07ff",
    "the first of 3 bytes": "\u0800",
    "the last before the surrogates": "\ud7ff",
    "the first behind the surrogates": "\ue000",
    "the last of 3 bytes, which is no character": "\uffff",
    "a byte order mark": "\ufeff",
    "the first of 4 bytes": "\U00010000",
    "the last of 4 bytes": "\U0010ffff",
    "others that are no characters": "\ufdd0\U0001fffe\U0008ffff",
    "a family": "👨‍👩‍👧 naïve 漢字",
}

NO_TEXTS = {
    "a continuation by itself": (b"", b"\x80"),
    "the last continuation by itself": (b"", b"\xbf"),
    "the byte fe": (b"", b"\xfe"),
    "the byte ff": (b"", b"\xff"),
    "a slash in 2 bytes": (b"", b"\xc0\xaf"),
    "7f in 2 bytes": (b"", b"\xc1\xbf"),
    "a slash in 3 bytes": (b"\xe0", b"\x80\xaf"),
    "7ff in 3 bytes": (b"\xe0", b"\x9f\xbf"),
    "a slash in 4 bytes": (b"\xf0", b"\x80\x80\xaf"),
    "ffff in 4 bytes": (b"\xf0", b"\x8f\xbf\xbf"),
    "the first surrogate": (b"\xed", b"\xa0\x80"),
    "the last surrogate": (b"\xed", b"\xbf\xbf"),
    "a pair of surrogates": (b"\xed", b"\xa0\x80\xed\xb0\x80"),
    "beyond the last code point": (b"\xf4", b"\x90\x80\x80"),
    "far beyond it": (b"", b"\xf5\x80\x80\x80"),
    "5 bytes": (b"", b"\xf8\x88\x80\x80\x80"),
    "6 bytes": (b"", b"\xfc\x84\x80\x80\x80\x80"),
    "2 bytes of which the second is missing": (b"\xc3", b"x"),
    "3 bytes of which the third is missing": (b"\xe2\x82", b"x"),
    "4 bytes of which the fourth is missing": (b"\xf0\x9f\x8e", b"x"),
    "a beginning behind a beginning": (b"\xc3", b"\xc3\xa9"),
}
"""By what it is: what could still become text, and what begins with the byte after which it cannot."""

HALVES = {"1 byte of 2": b"\xc3", "2 bytes of 3": b"\xe2\x82", "3 bytes of 4": b"\xf0\x9f\x8e"}
"""What is no text if the message ends here."""


def texts() -> Section:
    """What is text, however it is cut."""
    section: Section = {}
    for name, path in TEXTS.items():
        raw = query("").replace(b'""', b'"' + path.encode() + b'"')
        whole, each = stream(text(raw)), fragmented(raw, *range(1, len(raw)))
        section[name] = good(whole, heard=[echo(path)])
        section[f"{name}, a byte at a time"] = good(*octets(whole), heard=[echo(path)])
        section[f"{name}, a byte in each fragment"] = good(*map(bytes, each), heard=[echo(path)])
        torn = [part for frame in each for part in (frame, ping(b""))]
        pongs = ["pong "] * len(each)
        section[f"{name}, with pings between its bytes"] = good(
            stream(*torn), heard=[*pongs[:-1], echo(path), pongs[-1]]
        )
    return section


def no_texts() -> Section:
    """What is none, however it is cut, and as soon as it is certain."""
    section: Section = {}
    for name, (beginning, wrong) in NO_TEXTS.items():
        raw = b"caf\xc3\xa9 " + beginning + wrong + b" au lait"
        whole, each = stream(text(raw)), stream(*fragmented(raw, *range(1, len(raw))))
        for form, sent in {
            name: [whole],
            f"{name}, a byte at a time": octets(whole),
            f"{name}, a byte in each fragment": [each],
            f"{name}, a byte in each fragment, a byte at a time": octets(each),
        }.items():
            section[form] = bad(*sent, why=CLOSE_INVALID_TEXT)
    for name, raw in HALVES.items():
        section[f"{name} at the end"] = bad(stream(text(raw)), why=CLOSE_INVALID_TEXT)
        section[f"{name} at the end of the last fragment"] = bad(
            stream(text(b"a", final=False), more(raw)), why=CLOSE_INVALID_TEXT
        )
        section[f"{name} before an empty last fragment"] = bad(
            stream(text(raw, final=False), more(b"")), why=CLOSE_INVALID_TEXT
        )
    return section


def hopeless() -> Section:
    """What cannot become text any more although more of it is announced: nothing comes behind it."""
    section: Section = {}
    for name, (beginning, wrong) in NO_TEXTS.items():
        said = b"caf\xc3\xa9 " + beginning
        in_frame = bytes(ClientFrame(said + wrong[:1] + bytes(20)))[:-20]
        in_message = stream(text(said, final=False), more(wrong[:1], final=False))
        section[f"{name}, in the middle of a frame"] = unfinished(in_frame, why=CLOSE_INVALID_TEXT)
        section[f"{name}, in the middle of a frame, a byte at a time"] = unfinished(
            *octets(in_frame), why=CLOSE_INVALID_TEXT
        )
        section[f"{name}, in the middle of a message"] = unfinished(in_message, why=CLOSE_INVALID_TEXT)
    return section


def utf8() -> Section:
    return merged(texts(), no_texts(), hopeless())
