"""The API process with gunicorn's worker, TLS and SQLite, as clients and operators meet it."""

from __future__ import annotations

import base64
import concurrent.futures
import contextlib
import http.client
import json
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from integration import api_process
from integration.api_process import ApiProcess

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
WATCH = "/api/v1/configmaps?watch=true"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    with api_process.running(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture
def own_api(tmp_path: Path) -> Iterator[ApiProcess]:
    """One that the test may end."""
    with api_process.running(tmp_path) as running:
        yield running


def config(name: str, size: int = 10) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": {"x": "y" * size}}


class Watch:
    """An open watch on a raw socket."""

    def __init__(self, sock: socket.socket, path: str) -> None:
        self.sock = sock
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        self.response = http.client.HTTPResponse(sock)
        self.response.begin()

    def events(self, count: int) -> list[dict[str, Any]]:
        return [json.loads(self.response.readline()) for _ in range(count)]

    def close(self) -> None:
        self.response.close()
        self.sock.close()


@pytest.mark.parametrize("secure", [False, True])
def test_a_watch_hears_what_comes(api: ApiProcess, secure: bool) -> None:
    name = f"heard-{secure}".lower()
    newest = api.ask("GET", f"{CONFIGMAPS}?limit=1")[1]["metadata"]["resourceVersion"]
    watch = Watch(api.secure() if secure else api.unix(), f"{WATCH}&resourceVersion={newest}")
    made = api.ask("POST", CONFIGMAPS, config(name))[1]
    api.ask("DELETE", f"{CONFIGMAPS}/{name}")
    added, deleted = watch.events(2)
    watch.close()
    assert (added["type"], added["object"]) == ("ADDED", made)
    assert deleted["type"] == "DELETED"
    assert int(deleted["object"]["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])


@pytest.mark.parametrize("secure", [False, True])
def test_large_events_reach_a_slow_reader_whole(api: ApiProcess, secure: bool) -> None:
    """More than the socket takes at once, so that writes are cut anywhere."""
    prefix = f"large-{secure}".lower()
    newest = api.ask("GET", f"{CONFIGMAPS}?limit=1")[1]["metadata"]["resourceVersion"]
    watch = Watch(api.secure() if secure else api.unix(), f"{WATCH}&resourceVersion={newest}")
    for number in range(10):
        api.ask("POST", CONFIGMAPS, config(f"{prefix}-{number}", 300_000))
    seen = [event["object"]["metadata"]["name"] for event in watch.events(10)]
    watch.close()
    assert seen == [f"{prefix}-{number}" for number in range(10)]
    for number in range(10):
        api.ask("DELETE", f"{CONFIGMAPS}/{prefix}-{number}")


def test_who_does_not_read_is_cut_off(own_api: ApiProcess) -> None:
    watch = Watch(own_api.unix(), WATCH)
    good = Watch(own_api.unix(), f"{WATCH}&resourceVersion=2")
    heard: list[Any] = []
    reader = threading.Thread(target=lambda: heard.extend(good.events(30)))
    reader.start()
    for number in range(30):
        own_api.ask("POST", CONFIGMAPS, config(f"c-{number}", 400_000))
    reader.join(60)
    assert len(heard) == 30  # nobody else suffers
    metrics = own_api.ask("GET", "/metrics")[1]
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        watch.response.read()  # what the sockets held, and then no proper end
    watch.close()
    good.close()
    assert re.search(r"^mini8s_watch_cut_off_total 1", metrics, re.MULTILINE)


def test_reconnecting_misses_nothing(api: ApiProcess) -> None:
    """A watcher that hangs up again and again sees each of a writer's changes once and in order."""
    start = api.ask("GET", f"{CONFIGMAPS}?limit=1")[1]["metadata"]["resourceVersion"]
    names = [f"r-{number}" for number in range(200)]

    def write() -> None:
        for name in names:
            api.ask("POST", CONFIGMAPS, config(name))

    writer = threading.Thread(target=write)
    writer.start()
    seen: list[str] = []
    version = start
    while len(seen) < len(names):
        watch = Watch(api.unix(), f"{WATCH}&resourceVersion={version}")
        for event in watch.events(min(7, len(names) - len(seen))):
            seen.append(event["object"]["metadata"]["name"])
            version = event["object"]["metadata"]["resourceVersion"]
        watch.close()
    writer.join()
    assert seen == names


def test_the_initial_state_ends_with_a_bookmark(api: ApiProcess) -> None:
    api.ask("POST", CONFIGMAPS, config("initial"))
    query = "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    field = "&fieldSelector=metadata.name%3Dinitial"
    watch = Watch(api.unix(), WATCH + query + field)
    state, bookmark = watch.events(2)
    watch.close()
    assert state["type"] == "ADDED"
    assert bookmark["type"] == "BOOKMARK"
    notes = bookmark["object"]["metadata"]["annotations"]
    assert notes["k8s.io/initial-events-end"] == "true"
    blueprint = json.loads(base64.b64decode(notes["kubernetes.io/initial-events-list-blueprint"]))
    assert blueprint == {"kind": "ConfigMapList", "apiVersion": "v1", "metadata": {}, "items": None}


def test_the_old_path_of_a_watch(api: ApiProcess) -> None:
    api.ask("POST", CONFIGMAPS, config("old-path"))
    watch = Watch(api.unix(), CONFIGMAPS.replace("/api/v1/", "/api/v1/watch/") + "/old-path")
    [event] = watch.events(1)
    watch.close()
    assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "old-path")


def test_a_watch_of_a_table_says_columns_once(api: ApiProcess) -> None:
    sock = api.unix()
    path = f"{WATCH}&fieldSelector=metadata.name%3Dtable"
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\n\r\n".encode())
    response = http.client.HTTPResponse(sock)
    response.begin()
    api.ask("POST", CONFIGMAPS, config("table"))
    api.ask("DELETE", f"{CONFIGMAPS}/table")
    first, second = (json.loads(response.readline())["object"] for _ in range(2))
    response.close()
    sock.close()
    assert first["columnDefinitions"][0]["name"] == "Name"
    assert not second["columnDefinitions"]
    assert second["rows"][0]["cells"][0] == "table"


def test_a_watch_ends_when_its_time_is_over(api: ApiProcess) -> None:
    began = time.monotonic()
    status, text = api.ask("GET", f"{WATCH}&timeoutSeconds=1&resourceVersion=2&as=yaml")
    assert status == 200
    assert 0.8 < time.monotonic() - began < 60
    assert isinstance(text, str)


def test_a_revision_from_the_future(api: ApiProcess) -> None:
    status, answer = api.ask("GET", f"{WATCH}&resourceVersion=99999999")
    assert (status, answer["reason"]) == (504, "Timeout")


def test_users_come_from_certificates_tokens_and_the_socket(api: ApiProcess) -> None:
    assert api.ask("GET", CONFIGMAPS, user="")[0] == 401
    assert api.ask("GET", CONFIGMAPS, user="admin")[0] == 200
    assert api.ask("GET", CONFIGMAPS, user="jane")[0] == 403
    assert api.ask("GET", CONFIGMAPS)[0] == 200
    assert api.ask("GET", CONFIGMAPS, user="", Authorization="Bearer wrong")[0] == 401
    status, answer = api.ask("GET", CONFIGMAPS, user="", Authorization="Bearer janes-token")
    assert status == 403
    assert 'User "jane"' in answer["message"]


@pytest.mark.parametrize("user", ["foreign", "ended"])
def test_a_certificate_of_another_cluster_or_time_opens_nothing(api: ApiProcess, user: str) -> None:
    """Not even what everybody may see: the handshake fails, of which a client of TLS 1.3 learns when it
    reads."""
    alert = r"alert (unknown ca|decrypt error|certificate expired|bad certificate)"
    with pytest.raises(OSError, match=alert), contextlib.closing(api.secure(user)) as sock:
        sock.recv(1)


def test_a_stranger_may_see_the_ca(api: ApiProcess) -> None:
    status, text = api.ask("GET", "/cacerts", user="")
    assert (status, text) == (200, (api.folder / "ca.crt").read_text())


@pytest.mark.parametrize("secure", [False, True])
def test_an_answer_larger_than_all_buffers_arrives_whole(api: ApiProcess, secure: bool) -> None:
    """The server fills what the kernel has for a connection, and must go on where it was when the client
    reads on: TLS is strict about how."""
    for number in range(20):
        api.ask("POST", CONFIGMAPS, config(f"huge-{number}", 900_000))
    connection = http.client.HTTPConnection("api", timeout=60)
    connection.sock = api.secure() if secure else api.unix()
    for _ in range(3):  # the kernel gives more room once it sees much go through
        connection.request("GET", CONFIGMAPS)
        listed = json.loads(connection.getresponse().read())
    connection.close()
    found = {item["metadata"]["name"]: len(item["data"]["x"]) for item in listed["items"]}
    assert {f"huge-{number}": 900_000 for number in range(20)}.items() <= found.items()
    for number in range(20):
        api.ask("DELETE", f"{CONFIGMAPS}/huge-{number}")


def test_large_answers_are_packed_when_asked(api: ApiProcess) -> None:
    api.ask("POST", CONFIGMAPS, config("packed", 200_000))
    connection = http.client.HTTPConnection("api")
    connection.sock = api.unix()
    connection.request("GET", f"{CONFIGMAPS}/packed", headers={"Accept-Encoding": "gzip"})
    answer = connection.getresponse()
    assert answer.getheader("Content-Encoding") == "gzip"
    assert len(answer.read()) < 5000
    connection.close()
    api.ask("DELETE", f"{CONFIGMAPS}/packed")


def test_a_chunked_body_and_one_that_is_too_large(api: ApiProcess) -> None:
    connection = http.client.HTTPConnection("api")
    connection.sock = api.unix()
    pieces = [json.dumps(config("chunked")).encode()[:20], json.dumps(config("chunked")).encode()[20:]]
    connection.request("POST", CONFIGMAPS, iter(pieces), encode_chunked=True)
    assert connection.getresponse().status == 201
    connection.close()
    status, answer = api.ask("POST", CONFIGMAPS, b" " * (3 * 1024 * 1024 + 1))
    assert (status, answer["reason"]) == (413, "RequestEntityTooLarge")


def test_nonsense_on_the_wire_harms_nobody(api: ApiProcess) -> None:
    for noise in (b"\r\n\r\n", b"\x16\x03\x01nonsense", b"GET\r\n\r\n", b"POST / HTTP/9.9\r\n\r\n"):
        with api.unix() as sock:
            sock.sendall(noise)
            sock.shutdown(socket.SHUT_WR)  # what waits for more learns that there is none
            with contextlib.suppress(ConnectionError):
                sock.recv(1000)
    with socket.create_connection(("127.0.0.1", api.port)) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        plain.settimeout(60)
        with contextlib.suppress(ConnectionError):
            plain.recv(100)
    assert api.ask("GET", "/readyz") == (200, "ok")


def test_many_connections_at_once(api: ApiProcess) -> None:
    idle = [api.unix() for _ in range(1500)]  # more than gunicorn's own default lets in
    assert api.ask("GET", "/readyz") == (200, "ok")
    for sock in idle:
        sock.close()


def test_creates_at_once_get_each_its_own_revision(api: ApiProcess) -> None:
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: api.ask("POST", CONFIGMAPS, config(f"at-once-{n}")), range(100)))
    assert {status for status, _ in answers} == {201}
    assert len({body["metadata"]["resourceVersion"] for _, body in answers}) == 100


@pytest.mark.parametrize("secure", [False, True])
def test_sigterm_ends_within_seconds_with_watches_open(own_api: ApiProcess, secure: bool) -> None:
    watches = [Watch(own_api.secure() if secure else own_api.unix(), WATCH) for _ in range(20)]
    idle = own_api.unix()
    began = time.monotonic()
    assert own_api.stop() == 0
    assert time.monotonic() - began < 25, "gunicorn waits for thirty"
    for watch in watches:
        assert watch.response.read().splitlines() == []  # a clean end, not a cut
        watch.close()
    idle.close()
    assert not Path(own_api.socket_path).exists()


def test_what_was_answered_is_there_after_a_restart(own_api: ApiProcess) -> None:
    made = own_api.ask("POST", CONFIGMAPS, config("kept"))[1]
    own_api.process.kill()
    own_api.process.wait()
    again = api_process.start(own_api.folder, own_api.port)
    try:
        assert again.ask("GET", f"{CONFIGMAPS}/kept")[1] == made
    finally:
        again.stop()
        assert again.process.stdout is not None
        again.process.stdout.close()


def test_a_port_in_use_is_one_sentence(own_api: ApiProcess, tmp_path: Path) -> None:
    folder = tmp_path / "second"
    folder.mkdir()
    api_process.make_certificates(folder)
    second = subprocess.run(
        [sys.executable, str(api_process.SERVER), str(folder), str(own_api.port)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 1
    assert second.stderr == f"cannot listen on 127.0.0.1:{own_api.port}: another program does\n"


def test_tls_is_of_this_decade(api: ApiProcess) -> None:
    with api.secure() as sock:
        assert sock.version() in {"TLSv1.2", "TLSv1.3"}
    context = ssl.create_default_context(cafile=str(api.folder / "ca.crt"))
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection(("127.0.0.1", api.port), timeout=60) as plain,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        context.wrap_socket(plain, server_hostname="127.0.0.1")
