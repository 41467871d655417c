"""Clients that say too little, too late: each is let go of in time, and nobody else notices."""

from __future__ import annotations

import contextlib
import re
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from depth import examples
from integration import api_process
from integration.api_process import ApiProcess

PATIENCE = 1
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
POST = b"POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    with api_process.running(tmp_path_factory.mktemp("api"), str(PATIENCE)) as running:
        yield running


LONG = 60 * PATIENCE  # a server that is short of time may take so long to lose its patience


def ending(sock: socket.socket, drip: bytes = b"", *, most: float = LONG) -> tuple[float, bytes]:
    """Seconds until the server hung up, and what it said; meanwhile a byte now and then keeps it hoping."""
    began, said = time.monotonic(), b""
    sock.settimeout(0.2)
    while time.monotonic() - began < most:
        try:
            if drip:
                sock.sendall(drip)
            piece = sock.recv(65536)
        except TimeoutError:
            continue
        except ConnectionError:
            break
        if not piece:
            break
        said += piece
    sock.close()
    return time.monotonic() - began, said


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET /version HTT",
        b"GET /version HTTP/1.1\r\nHost: x\r\n",
    ],
    ids=["nothing", "half a line", "half the headers"],
)
def test_headers_that_do_not_come(api: ApiProcess, begun: bytes) -> None:
    sock = api.unix()
    sock.sendall(begun)
    seconds, _ = ending(sock, b"X" if begun else b"")
    assert seconds < LONG
    assert api.ask("GET", "/readyz") == (200, "ok")


def test_a_body_that_does_not_come(api: ApiProcess) -> None:
    sock = api.unix()
    sock.sendall(POST + b"Content-Length: 1000\r\n\r\n{")
    seconds, said = ending(sock, b" ")
    assert seconds < LONG
    assert said.startswith(b"HTTP/1.1 400 ")
    assert b"took too long" in said


def test_a_tls_handshake_that_does_not_come(api: ApiProcess) -> None:
    seconds, _ = ending(socket.create_connection(("127.0.0.1", api.port)))
    assert seconds < LONG


def test_what_follows_an_abandoned_body_is_no_request(api: ApiProcess) -> None:
    """A refused body that never ends must not have its rest read as a request of its own."""
    sock = api.unix()
    sock.sendall(b"GET /version HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n")
    time.sleep(2 * PATIENCE)
    with contextlib.suppress(BrokenPipeError):  # it has hung up already: just as well
        sock.sendall(b"GET /cacerts HTTP/1.1\r\nHost: x\r\n\r\n")
    _, said = ending(sock)
    assert b"gitVersion" in said
    assert b"BEGIN CERTIFICATE" not in said


def test_a_watch_is_not_hurried(api: ApiProcess) -> None:
    sock = api.unix()
    sock.sendall(b"GET /api/v1/pods?watch=true HTTP/1.1\r\nHost: x\r\n\r\n")
    seconds, said = ending(sock, most=5 * PATIENCE)
    assert seconds >= 5 * PATIENCE
    assert said.startswith(b"HTTP/1.1 200 ")


def test_many_slow_ones_stop_nobody(api: ApiProcess) -> None:
    with ExitStack() as slow:
        for _ in range(300):
            slow.enter_context(api.unix()).sendall(b"GET /version HTT")
        began = time.monotonic()
        assert api.ask("GET", "/readyz") == (200, "ok")
        assert time.monotonic() - began < LONG


def test_more_clients_than_files_a_shell_gives(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as held:
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
        try:
            api = held.enter_context(api_process.running(tmp_path))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for _ in range(300):
            held.enter_context(api.unix())
        assert api.ask("GET", "/readyz") == (200, "ok")


def test_more_headers_than_are_read(api: ApiProcess, capfd: pytest.CaptureFixture[str]) -> None:
    sock = api.unix()
    sock.sendall(b"GET /version HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n")
    _, said = ending(sock)
    assert said.startswith(b"HTTP/1.1 400 ")
    assert capfd.readouterr().err == ""


def test_a_client_that_asks_without_a_pause_does_not_keep_others_waiting(api: ApiProcess) -> None:
    """It has its next request there before it has an answer, so that its connection never has to wait."""
    busy, other = api.unix(), api.unix()
    request, count, beaten = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n", 150, 0
    for _ in range(
        50
    ):  # one that is served next to others sees so in most rounds, unless it is short of time
        if beaten == 3:
            break
        busy.sendall(request * count)
        other.sendall(request)
        assert b"200 OK" in other.recv(65536)
        before = b""
        with contextlib.suppress(BlockingIOError):
            before = busy.recv(1 << 20, socket.MSG_DONTWAIT | socket.MSG_PEEK)
        beaten += before.count(b"200 OK") < count
        said = b""
        while said.count(b"200 OK") < count:
            said += busy.recv(1 << 20)
    busy.close()
    other.close()
    assert beaten == 3


def test_ten_thousand_idle_connections(tmp_path: Path) -> None:
    """Each has asked once and keeps its connection; whoever comes meanwhile is answered. The first few speak
    TLS (MINI8S_TEST_DEPTH=100: all)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = 10_000
    assert hard > count + 500, "the system's limit of open files is too low for this test"
    secure = min(count, examples(100))
    request = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    with ExitStack() as held:
        api = held.enter_context(api_process.running(tmp_path))
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        held.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        before = resident(api)
        idle = []
        for number in range(count):
            sock = held.enter_context(api.secure() if number < secure else api.unix())
            idle.append(sock)
            sock.sendall(request)
            assert sock.recv(4096).startswith(b"HTTP/1.1 200 ")
        assert api.ask("GET", "/readyz", user="admin") == (200, "ok")
        assert api.ask("POST", CONFIGMAPS, {"metadata": {"name": "meanwhile"}})[0] == 201
        each = (resident(api) - before) / count
        print(f"{count} idle connections, {secure} of them TLS: {each:.1f} KiB each")
        assert each < 100
        for sock in (idle[0], idle[-1]):  # they are still there
            sock.sendall(request)
            assert sock.recv(4096).startswith(b"HTTP/1.1 200 ")


def resident(api: ApiProcess) -> int:
    """KiB of memory."""
    found = re.search(r"VmRSS:\s*(\d+) kB", Path(f"/proc/{api.process.pid}/status").read_text())
    assert found is not None
    return int(found[1])
