"""Bytes both ways between two sockets until one end is over.

The calls wait and let other requests run meanwhile; a pair that is never made to wait must give way by
itself. None of the protocols that pass here has half-closed connections: an end is the end of both ways.
"""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress

from mini8s.api.connection import Socket

PIECE = 65536  # bytes
TURN = 64 * 1024  # bytes after which others get their turn: a quarter of a millisecond
GIVE_WAY_SECONDS = 1e-6  # not 0: that lets others go on, but doesn't look who has something to say
LOOK_SECONDS = 5.0  # how often a client is looked after that nobody may be reading from
LINGER_SECONDS = 5.0  # for a client to take the last bytes and hang up
_ESTABLISHED = 1  # Linux's TCP state, the first byte of its tcp_info


def splice(client: Socket, node: Socket) -> None:
    """Returns when both are shut down. What the node said last reaches the client: its socket is closed only
    when it has hung up too, because unread bytes at a close would tear down what is still under way."""
    over = threading.Event()
    ways = ((client, node), (node, client))
    there, back = (threading.Thread(target=_copy, args=(*way, over), name="splice") for way in ways)
    there.start()
    back.start()
    try:
        while not over.wait(LOOK_SECONDS) and lives(client):
            pass  # a client whose bytes the node doesn't take now can hang up unnoticed
        _shut(client, socket.SHUT_WR)
        there.join(LINGER_SECONDS)
    finally:
        _shut(client, socket.SHUT_RDWR)
        _shut(node, socket.SHUT_RDWR)
        there.join()
        back.join()


def _copy(source: Socket, sink: Socket, over: threading.Event) -> None:
    """Until the source's end. What the sink takes no more is dropped: it may still have much to say."""
    passed, taken = 0, True
    with suppress(OSError):
        while piece := source.recv(PIECE):
            taken = taken and _sent(sink, piece)
            passed += len(piece)
            if passed > TURN:
                passed = 0
                time.sleep(GIVE_WAY_SECONDS)
    over.set()


def _sent(sink: Socket, piece: bytes) -> bool:
    try:
        sink.sendall(piece)
    except OSError:
        return False
    return True


def lives(sock: Socket) -> bool:
    """Whether the other end has neither hung up nor said its last, without reading from it."""
    try:
        return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _ESTABLISHED
    except OSError:
        return True  # a unix socket can't tell


def _shut(sock: Socket, how: int) -> None:
    with suppress(OSError):
        sock.shutdown(how)
