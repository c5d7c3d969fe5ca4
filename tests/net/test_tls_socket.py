"""To its outbox a TLS socket is a socket: what is taken arrives, once, and no peer keeps it busy."""

from __future__ import annotations

import fcntl
import random
import select
import socket
import ssl
import termios
from array import array
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import trustme

from adohub.net.tls import ASIDE_BYTES, PIECE_BYTES, TlsSocket
from tests.net.test_outbox import connected_sockets
from tests.net.tls_peer import TlsPeer


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = connected_sockets()
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def pair(ends: tuple[socket.socket, socket.socket], tmp_path: Path) -> tuple[TlsSocket, TlsPeer]:
    """Both ends of a connection whose handshake is done."""
    ours, theirs = ends
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    secure, peer = TlsSocket(ours, context), TlsPeer(trusting, tmp_path / "keys")
    theirs.setblocking(True)
    theirs.settimeout(10)
    is_done, heard = False, b""
    while not is_done:
        is_done, said = peer.shake_hands(heard)
        theirs.sendall(said)
        while not secure.handshake():
            if heard := arrived(theirs):
                break
    assert secure.flushed()
    return secure, peer


def arrived(end: socket.socket) -> bytes:
    """What is there to be read now."""
    end.setblocking(False)
    data = bytearray()
    with suppress(BlockingIOError):
        while piece := end.recv(65_536):
            data += piece
    end.settimeout(10)
    return bytes(data)


def read(secure: TlsSocket, limit: int = 100) -> bytes:
    """What it gives once there is something to look at."""
    if not secure.pending():
        readable, _, _ = select.select([secure], [], [], 10)
        assert readable
    return secure.recv(limit)


def unread(secure: TlsSocket) -> int:
    """How many bytes have come that it has not looked at."""
    number = array("i", [0])
    fcntl.ioctl(secure.fileno(), termios.FIONREAD, number)
    return number[0]


# ── out ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seed", range(5))
def test_what_is_taken_arrives_once_and_in_order_whatever_the_socket_takes_at_a_time(
    seed: int, pair: tuple[TlsSocket, TlsPeer], ends: tuple[socket.socket, socket.socket]
) -> None:
    (secure, peer), (_, theirs) = pair, ends
    chance = random.Random(seed)
    expected, received, rest = bytearray(), bytearray(), memoryview(b"")
    while len(expected) < 3_000_000 or rest:
        if not rest:
            data = chance.randbytes(chance.choice([0, 1, 100, 16_384, 16_385, 200_000]))
            expected += data
            rest = memoryview(data)
        try:
            rest = rest[secure.send(rest) :]
        except BlockingIOError:
            received += peer.understood(theirs.recv(chance.randrange(1, 50_000)))
            if chance.random() < 0.3:  # what it hears has it write, too
                theirs.sendall(peer.said(b"news"))
                with suppress(BlockingIOError):
                    secure.recv(100)
    while len(received) < len(expected):
        received += peer.understood(theirs.recv(65_536))
    assert received == expected


def test_the_end_is_said_once_the_socket_takes_it(
    pair: tuple[TlsSocket, TlsPeer], ends: tuple[socket.socket, socket.socket]
) -> None:
    (secure, peer), (ours, theirs) = pair, ends
    filling = bytearray()
    with suppress(BlockingIOError):  # in records that it takes whole or not at all
        while True:
            ours.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 1)
            filling += b"x" * secure.send(b"x" * 1000)
    with pytest.raises(BlockingIOError):
        secure.shutdown(socket.SHUT_WR)
    received, tries = b"", 0
    while True:
        received += peer.understood(theirs.recv(65_536))
        tries += 1
        with suppress(BlockingIOError):
            secure.shutdown(socket.SHUT_WR)
            break
    while chunk := theirs.recv(65_536):
        received += peer.understood(chunk)
    assert received.startswith(filling)
    assert peer.tls.read(1) == b""


# ── in ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_several_records_are_one_read_and_what_is_over_is_pending(
    pair: tuple[TlsSocket, TlsPeer], ends: tuple[socket.socket, socket.socket]
) -> None:
    (secure, peer), (_, theirs) = pair, ends
    theirs.sendall(b"".join(peer.said(b"%d;" % number) for number in range(10)))
    assert read(secure, 15) == b"0;1;2;3;4;5;6;7"
    assert secure.pending()
    assert read(secure) == b";8;9;"
    assert not secure.pending()
    with pytest.raises(BlockingIOError):
        secure.recv(100)


def test_half_a_record_is_nothing_yet(
    pair: tuple[TlsSocket, TlsPeer], ends: tuple[socket.socket, socket.socket]
) -> None:
    (secure, peer), (_, theirs) = pair, ends
    record = peer.said(b"whole")
    for byte in record[:-1]:
        theirs.sendall(bytes([byte]))
        with pytest.raises(BlockingIOError):
            read(secure)
        assert not secure.pending()
    theirs.sendall(record[-1:])
    assert read(secure) == b"whole"


def test_a_peer_that_only_changes_its_keys_keeps_nobody_busy_for_more_than_a_piece(
    pair: tuple[TlsSocket, TlsPeer], ends: tuple[socket.socket, socket.socket]
) -> None:
    (secure, peer), (_, theirs) = pair, ends
    theirs.sendall(peer.key_updates(3 * PIECE_BYTES // 27, requested=False))
    looked_at = []
    while before := unread(secure):
        with pytest.raises(BlockingIOError):
            secure.recv(100)
        looked_at.append(before - unread(secure))
    assert max(looked_at) == PIECE_BYTES


def test_a_peer_that_has_us_change_ours_and_does_not_listen_is_given_up(
    pair: tuple[TlsSocket, TlsPeer], ends: tuple[socket.socket, socket.socket]
) -> None:
    (secure, peer), (_, theirs) = pair, ends
    updates = peer.key_updates(200_000, requested=True)
    theirs.settimeout(0)
    sent = waiting = 0

    def listen() -> None:
        nonlocal sent, waiting
        while sent < len(updates) or unread(secure):
            with suppress(BlockingIOError):
                sent += theirs.send(updates[sent:])
            with suppress(BlockingIOError):
                secure.recv(100)
            waiting = len(secure._rest)

    with pytest.raises(ConnectionAbortedError):
        listen()
    assert waiting <= ASIDE_BYTES


def test_garbage_between_records_breaks_the_connection_and_the_peer_is_told(
    pair: tuple[TlsSocket, TlsPeer], ends: tuple[socket.socket, socket.socket]
) -> None:
    (secure, peer), (_, theirs) = pair, ends
    theirs.sendall(b"\x17\x03\x03\x00\x20" + b"x" * 32)
    with pytest.raises(ssl.SSLError):
        read(secure)
    secure.shutdown(socket.SHUT_WR)
    heard = b""
    while chunk := theirs.recv(65_536):
        heard += chunk
    with pytest.raises(ssl.SSLError, match="alert bad record mac"):
        peer.understood(heard)


@pytest.mark.parametrize("is_said", [True, False], ids=["said", "not said"])
def test_the_peer_s_end_is_one_and_it_may_go_on_listening(
    is_said: bool, pair: tuple[TlsSocket, TlsPeer], ends: tuple[socket.socket, socket.socket]
) -> None:
    (secure, peer), (_, theirs) = pair, ends
    if is_said:
        theirs.sendall(peer.said(b"last words") + peer.ended())
    else:
        theirs.sendall(peer.said(b"last words"))
        theirs.shutdown(socket.SHUT_WR)
    assert read(secure) == b"last words"
    assert read(secure) == b""
    assert read(secure) == b""
    assert secure.send(b"answer") == 6
    secure.shutdown(socket.SHUT_WR)
    heard = b""
    while chunk := theirs.recv(65_536):
        heard += chunk
    assert peer.understood(heard) == b"answer"
