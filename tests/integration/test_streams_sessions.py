"""A session between a client and a process or ports, on socket pairs: bytes, ends, and who holds up whom."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fakes.runtime import FakeAttached
from fakes.stream_client import masked

from mini8s.agent.runtime.base import EngineError
from mini8s.agent.streams.channels import WebSocketChannels, Wishes
from mini8s.agent.streams.command import Command
from mini8s.agent.streams.duct import FULL, RECORD, Duct
from mini8s.agent.streams.errors import ProtocolError, Vanished
from mini8s.agent.streams.forward import Forward
from mini8s.agent.streams.forwarding import ChannelForwarding

GREETING = b"\x82\x01\x01"
GOODBYE = b"\x88\x02\x03\xe8"
CLOSE = masked(b"\x03\xe8", 8)


class Session:
    """One that runs on a thread of its own; `error` is how it ended."""

    def __init__(self, make: Callable[[Duct], Any]) -> None:
        self.client, theirs = socket.socketpair()
        self.client.settimeout(30)
        self.error: BaseException | None = None
        self._duct = Duct(theirs)
        self._session = make(self._duct)
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            self._session.run()
        except (OSError, ProtocolError) as error:
            self.error = error
        finally:
            self._duct.close()

    def end(self) -> BaseException | None:
        self.thread.join(30)
        assert not self.thread.is_alive()
        return self.error


@contextmanager
def command(attached: FakeAttached) -> Iterator[Session]:
    wishes = Wishes(stdin=True, stdout=True, tty=True)
    session = Session(
        lambda duct: Command(duct, WebSocketChannels(duct.put, wishes), lambda: attached, coded=True)
    )
    attached.process.settimeout(30)
    try:
        assert read(session.client, len(GREETING)) == GREETING
        yield session
    finally:
        session.client.close()
        attached.process.close()
        session.end()


def read(sock: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        piece = sock.recv(length - len(data))
        assert piece, f"it ended after {data!r}"
        data += piece
    return data


def status(sock: socket.socket) -> Any:
    """What is said on the error channel."""
    first, length = read(sock, 2)
    assert first == 0x82
    if length == 126:
        length = int.from_bytes(read(sock, 2), "big")
    message = read(sock, length)
    assert message[0] == 3
    return json.loads(message[1:])


def test_input_output_size_and_exit_code() -> None:
    attached = FakeAttached(code=3)
    with command(attached) as session:
        session.client.sendall(masked(b"\0in") + masked(b'\4{"Width":80,"Height":24}') + masked(b"\xff\0"))
        assert read(attached.process, 2) == b"in"
        assert attached.process.recv(1) == b""  # its input has ended, its output has not
        attached.process.sendall(b"out")
        assert read(session.client, 6) == b"\x82\x04\1out"
        attached.process.close()
        said = status(session.client)
        assert said["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]
        assert read(session.client, 4) == GOODBYE
        session.client.sendall(CLOSE)
        assert session.end() is None
    assert attached.sizes == [(80, 24)]
    assert not attached.abandoned


def test_success_is_said_in_two_words() -> None:
    attached = FakeAttached()
    with command(attached) as session:
        attached.process.close()
        assert status(session.client) == {"metadata": {}, "status": "Success"}


def test_a_process_that_reads_no_more_may_still_speak() -> None:
    attached = FakeAttached()
    with command(attached) as session:
        attached.process.shutdown(socket.SHUT_RD)
        session.client.sendall(masked(b"\0unread"))
        time.sleep(0.05)
        attached.process.sendall(b"out")
        assert read(session.client, 6) == b"\x82\x04\1out"


def test_a_client_that_vanishes_takes_its_process_along() -> None:
    attached = FakeAttached()
    with command(attached) as session:
        session.client.close()
        assert isinstance(session.end(), Vanished)
    assert attached.abandoned


def test_nonsense_takes_the_process_along() -> None:
    attached = FakeAttached()
    with command(attached) as session:
        session.client.sendall(b"\x82\x01a")
        assert isinstance(session.end(), ProtocolError)
    assert attached.abandoned


def test_a_process_that_reads_nothing_holds_up_its_client() -> None:
    attached = FakeAttached()
    with command(attached) as session:
        session.client.setblocking(False)
        piece, taken, idle = masked(b"\0" + bytes(60_000)), 0, 0
        while idle < 20:
            try:
                taken += session.client.send(piece)  # frames are cut, which is no matter here
                idle = 0
            except BlockingIOError:
                idle += 1
                time.sleep(0.01)
            except OSError:
                break
        assert taken < 4 * FULL
        session.client.close()  # it notices although it doesn't listen
        session.end()
    assert attached.abandoned


def test_a_client_that_reads_nothing_holds_up_its_process() -> None:
    attached = FakeAttached()
    with command(attached) as session:
        attached.process.setblocking(False)
        taken, idle = 0, 0
        while idle < 20:
            try:
                taken += attached.process.send(bytes(60_000))
                idle = 0
            except BlockingIOError:
                idle += 1
                time.sleep(0.01)
        assert taken < 4 * FULL
        assert not attached.abandoned
    assert session.error is not None


def test_an_engine_that_refuses_is_quoted() -> None:
    def refuse() -> FakeAttached:
        raise EngineError("Container x is not running")

    wishes = Wishes(stdout=True)
    session = Session(lambda duct: Command(duct, WebSocketChannels(duct.put, wishes), refuse, coded=True))
    read(session.client, len(GREETING))
    assert status(session.client)["message"].endswith("command in container: Container x is not running")
    session.client.close()
    session.end()


def test_many_pieces_leave_in_their_order_however_little_is_taken_at_a_time() -> None:
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    theirs.settimeout(30)
    duct = Duct(ours)
    pieces = [bytes((number % 251,)) * (number * 37 % 9000) for number in range(300)]
    for piece in pieces:
        duct.put(piece)
    duct.finish()
    heard = b""
    while piece := _after(duct.flush, theirs):
        heard += piece
    assert (heard == b"".join(pieces), duct.waiting) == (True, 0)
    duct.close()
    theirs.close()


def test_what_comes_in_full_records_is_taken_at_once() -> None:
    """A packet stands for a record of TLS: each call gives out one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    duct = Duct(ours)
    for piece in (b"a" * RECORD, b"b" * RECORD, b"c", b"d"):
        theirs.send(piece)
    assert duct.take() == b"a" * RECORD + b"b" * RECORD + b"c"
    assert duct.take() == b"d"
    theirs.send(b"e" * RECORD)
    theirs.close()
    assert (duct.take(), duct.ended) == (b"e" * RECORD, False)
    assert (duct.take(), duct.ended) == (b"", True)
    duct.close()


def _after(flush: Callable[[], None], sock: socket.socket) -> bytes:
    flush()
    return sock.recv(3000)


class Ports:
    """The pod's side: each dialled port is the other end of a socket pair."""

    def __init__(self) -> None:
        self.dialled: dict[int, socket.socket] = {}

    def dial(self, port: int) -> socket.socket:
        if port == 9:
            raise ConnectionRefusedError(111, "Connection refused")
        ours, self.dialled[port] = socket.socketpair()
        self.dialled[port].settimeout(30)
        return ours


@contextmanager
def forward(ports: Ports, *wanted: str) -> Iterator[Session]:
    session = Session(
        lambda duct: Forward(duct, ChannelForwarding(duct.put, wanted), ports.dial, "p_d, uid u")
    )
    try:
        session.client.sendall(masked(b"\0"))  # the first word connects
        read(session.client, 10 * len(wanted))
        yield session
    finally:
        session.client.close()
        session.end()
        for sock in ports.dialled.values():
            sock.close()


def test_bytes_to_a_port_and_back() -> None:
    ports = Ports()
    with forward(ports, "80", "81") as session:
        session.client.sendall(masked(b"\2ask"))
        assert read(ports.dialled[81], 3) == b"ask"
        ports.dialled[81].sendall(b"answer")
        assert read(session.client, 9) == b"\x82\x07\2answer"
        session.client.sendall(CLOSE)
        assert session.end() is None
        assert ports.dialled[80].recv(1) == b""


def test_a_port_that_nobody_listens_on() -> None:
    with forward(Ports(), "9") as session:
        said = read(session.client, 2)
        message = read(session.client, int.from_bytes(read(session.client, 2), "big"))
    assert said == b"\x82\x7e"
    assert message[1:].decode() == (
        "error forwarding port 9 to pod p_d, uid u: failed to connect to localhost:9 inside namespace: "
        "dial tcp4 127.0.0.1:9: connect: connection refused"
    )


@pytest.mark.parametrize("ending", [CLOSE, b""])
def test_a_client_that_leaves_closes_its_ports(ending: bytes) -> None:
    ports = Ports()
    with forward(ports, "80") as session:
        session.client.sendall(ending)
        session.client.close()
        session.end()
        assert ports.dialled[80].recv(1) == b""
