"""Ways to spoil bytes that are in order: flip, cut, repeat, splice, lengthen, put in what is at borders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

EDGES = (
    *(
        bytes((octet,))
        for octet in (0x00, 0x01, 0x7D, 0x7E, 0x7F, 0x80, 0x81, 0x88, 0x89, 0x8A, 0xC1, 0xFE, 0xFF)
    ),
    *(
        b"\xff" * 8,
        b"\x80" + bytes(7),
        b"\xed\xa0\x80",
        b"\xf0\x9f\x8e",
        b"\r\n",
        b"\r\n\r\n",
        b"\n",
        b"%",
        b"%ff",
    ),
    *(
        b'"',
        b"{",
        b"[" * 300,
        b"\\ud83d",
        b"NaN",
        b"1e999",
        b"-0",
        b"9" * 400,
        b'"__proto__":',
        b"null",
        b"\xc1",
    ),
    *(
        b"\xdb\xff\xff\xff\xff",
        b"\xdd\xff\xff\xff\xff",
        b"\xc9\xff\xff\xff\xff\x01",
        b"\xd4\x00\x00",
        b"Infinity",
    ),
)
"""What is at the borders of frames, HTTP, UTF-8, JSON and MessagePack."""

Mutation = Callable[[Random, bytes, bytes], bytes]
"""Spoils the second, with the help of the third."""


def _somewhere(random: Random, whole: bytes) -> tuple[int, int]:
    """The borders of a part of `whole`, most often a small one."""
    start = random.randint(0, len(whole))
    return start, min(len(whole), start + random.choice((1, 2, 8, 64, len(whole))))


def flip(random: Random, whole: bytes, other: bytes) -> bytes:
    """One bit is another."""
    if not whole:
        return other
    at = random.randrange(len(whole))
    return whole[:at] + bytes((whole[at] ^ 1 << random.randrange(8),)) + whole[at + 1 :]


def cut(random: Random, whole: bytes, other: bytes) -> bytes:
    """A part is missing."""
    start, stop = _somewhere(random, whole)
    return whole[:start] + whole[stop:]


def repeat(random: Random, whole: bytes, other: bytes) -> bytes:
    """A part is there again."""
    start, stop = _somewhere(random, whole)
    return whole[:stop] + whole[start:stop] * random.choice((1, 1, 2, 16)) + whole[stop:]


def splice(random: Random, whole: bytes, other: bytes) -> bytes:
    """It goes on as another."""
    return whole[: random.randint(0, len(whole))] + other[random.randint(0, len(other)) :]


def lengthen(random: Random, whole: bytes, other: bytes) -> bytes:
    """There is more of something."""
    start, stop = _somewhere(random, whole)
    return whole[:start] + bytes((random.randrange(256),)) * random.choice((1, 4, 126, 4096)) + whole[stop:]


def edge(random: Random, whole: bytes, other: bytes) -> bytes:
    """A part is what borders are made of."""
    start, stop = _somewhere(random, whole)
    return whole[:start] + random.choice(EDGES) + whole[random.choice((start, stop)) :]


def noise(random: Random, whole: bytes, other: bytes) -> bytes:
    """There is nothing of it left."""
    return random.randbytes(random.choice((1, 2, 14, 200)))


MUTATIONS: Sequence[Mutation] = (flip, flip, cut, repeat, splice, lengthen, edge, edge, noise)


def mutated(random: Random, seeds: Sequence[bytes], most: int = 65_536) -> bytes:
    """One of `seeds`, spoiled one to three times, of at most `most` bytes."""
    whole = random.choice(seeds)
    for _ in range(random.choice((1, 1, 2, 3))):
        whole = random.choice(MUTATIONS)(random, whole, random.choice(seeds))
    return whole[:most]
