"""Ingresses through the real proxy, in a network namespace: routes, TLS, changes under load, a lost agent."""

from __future__ import annotations

import base64
import contextlib
import http.client
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mini8s.agent.ingress import process
from mini8s.agent.ingress.runner import Ingress, Setup
from mini8s.objects.kinds import (
    ENDPOINTSLICES,
    INGRESSCLASSES,
    INGRESSES,
    NODES,
    SECRETS,
    SERVICES,
    Kind,
    Obj,
)
from mini8s.util.workers import Stop
from tests.fakes.api import FakeApi
from tests.fakes.informers import FakeInformers
from tests.fakes.ingresses import CLASS, ingress, path, pem, secret
from tests.fakes.network_objects import endpoint, node, port, service, slice_of
from tests.integration.small_hosts import Place, eventually, remove_of_runs_that_were_killed, run

_BACKEND = """
import sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.headers.get("Upgrade") == "websocket":
            self.send_response(101); self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.send_header("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="); self.end_headers()
            self.wfile.write(self.rfile.read(4)[::-1]); self.close_connection = True
            return
        said = "".join(f"{k.lower()}: {v}\\n" for k, v in self.headers.items() if k.lower().startswith("x-"))
        body = (sys.argv[1] + "\\n" + said).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
    def handle(self):
        try: super().handle()
        except ConnectionError: pass
servers = [ThreadingHTTPServer((address, 8080), Handler) for address in sys.argv[2:]]
for one in servers: threading.Thread(target=one.serve_forever, daemon=True).start()
print("ready", flush=True); threading.Event().wait()
"""


class Recorder:
    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    def event(self, obj: Obj, type: str, reason: str, message: str, **_: str) -> None:
        self.said.append((reason, message))


class Server(FakeApi):
    """Whose Nodes the informers see."""

    def __init__(self, informers: FakeInformers) -> None:
        super().__init__()
        self._informers = informers

    def patch(self, kind: Kind, *said: Any, **query: Any) -> Obj:
        patched = super().patch(kind, *said, **query)
        if kind is NODES:
            self._informers.put(NODES, patched)
        return patched


class Host(Place):
    """A host with the room, backends at 127.0.1.1 (a), .2 (b), .3 (c), and a proxy that is found again."""

    def __init__(self, path: str, folder: Path) -> None:
        super().__init__(path)
        self.folder, self.informers, self.recorder = folder, FakeInformers(), Recorder()
        self.api = Server(self.informers)
        self.informers.put(NODES, self.api.create(NODES, node("h1", "10.99.0.11", "10.42.1.0/24")))
        self.informers.put(INGRESSCLASSES, CLASS)
        self.children: list[subprocess.Popen[bytes] | None] = []
        self.begin()

    def begin(self) -> None:
        self.stop = Stop()
        setup = Setup("h1", self.folder, 80, 443, lambda: pem("default.invalid"))
        self.room = self.do(self._make, setup)

    def _make(self, setup: Setup) -> Ingress:
        informers: Any = self.informers
        room = Ingress(setup, self.api, informers, self.recorder, self.stop)
        room.start()
        return room

    def end(self) -> None:
        self.room.stop()
        self.children += [self.room._proxy._child, *self.room._proxy._old]

    def serve(self, name: str, *addresses: str) -> None:
        obj = service(name, "10.43.0.100", port(80, name="http"))
        self.informers.put(SERVICES, obj)
        ends = [endpoint(address) for address in addresses]
        self.informers.put(ENDPOINTSLICES, slice_of(obj, ends, port(8080, name="http")))

    def get(self, url: str, host: str, **headers: str) -> tuple[int, str]:
        return self.do(_get, url, host, headers)

    def body(self, url: str, host: str) -> str:
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.get(url, host)[1].partition("\n")[0]
        return ""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    remove_of_runs_that_were_killed()
    name = f"m8{os.getpid()}in"
    run("ip", "netns", "add", name)
    run("ip", "-n", name, "link", "set", "lo", "up")
    backends = [
        subprocess.Popen(
            ["ip", "netns", "exec", name, sys.executable, "-ISc", _BACKEND, letter, address],
            stdout=subprocess.PIPE,
        )
        for letter, address in (("a", "127.0.1.1"), ("b", "127.0.1.2"), ("c", "127.0.1.3"))
    ]
    made = None
    try:
        for one in backends:
            assert one.stdout
            assert one.stdout.readline() == b"ready\n"
        made = Host(f"/run/netns/{name}", tmp_path_factory.mktemp("ingress") / "proxy")
        yield made
    finally:
        for one in backends:
            one.kill()
            one.communicate()
        if made:
            made.end()
            pids = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=False)
            for pid in pids.stdout.split():
                os.kill(int(pid), 9)
            subprocess.run(["umount", "--lazy", str(made.folder)], check=False)
            for child in made.children:
                if child:
                    child.wait()
        run("ip", "netns", "del", name)


@pytest.fixture
def shop(host: Host) -> Iterator[Host]:
    """`shop.example` with two Services, and whatever `*.example` wants."""
    host.serve("web", "127.0.1.1")
    host.serve("api", "127.0.1.2")
    found = ingress(
        "shop", ("shop.example", path("/", "web"), path("/api", "api")), ("*.example", path("/", "api"))
    )
    host.informers.put(INGRESSES, found)
    eventually(lambda: host.body("http://127.0.0.1/api/x", "shop.example") == "b")
    eventually(lambda: host.room.sentence == "1 Ingress is served on ports 80 and 443")  # noted and announced
    yield host
    for left in host.informers.of(INGRESSES).cache.list():  # also those of a test that failed
        host.informers.remove(INGRESSES, left)
    # what the next test hears must not be this one's proxy on its way out
    eventually(lambda: host.room.sentence == "no Ingress is to be served here")
    eventually(lambda: not host.do(_listens, 80))


def test_hosts_and_paths(shop: Host) -> None:
    assert shop.body("http://127.0.0.1/", "shop.example:80") == "a"
    assert shop.body("http://127.0.0.1/apis", "SHOP.example") == "a"
    assert shop.body("http://127.0.0.1/", "other.example") == "b"
    assert shop.get("http://127.0.0.1/", "more.other.example")[0] == 404
    node = shop.api.get(NODES, "", "h1")
    assert node["metadata"]["annotations"] == {"mini8s.io/ingress-ports": "80,443"}


def test_what_a_backend_hears_of_its_client(shop: Host) -> None:
    forged = {"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "https", "X-Real-IP": "1.2.3.4"}
    said = shop.get("http://127.0.0.1/", "shop.example", **forged)[1].splitlines()[1:]
    assert sorted(said) == [
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-host: shop.example",
        "x-forwarded-port: 80",
        "x-forwarded-proto: http",
        "x-real-ip: 127.0.0.1",
    ]


def test_what_is_missing_is_told_and_keeps_nothing_else(shop: Host) -> None:
    broken = ingress(
        "broken",
        ("broken.example", path("/", "none"), path("/port", "web", 81), path("/good", "web")),
        tls=[("missing", "broken.example")],
    )
    shop.informers.put(INGRESSES, broken)
    eventually(lambda: shop.body("http://127.0.0.1/good", "broken.example") == "a")
    assert shop.get("http://127.0.0.1/", "broken.example") == (503, "nobody serves this\n")
    assert shop.get("http://127.0.0.1/port", "broken.example")[0] == 503
    assert shop.body("http://127.0.0.1/", "shop.example") == "a"
    told = {
        ("ServiceNotFound", 'Service "none" not found'),
        ("PortNotFound", 'Service "web" has no port 81'),
        ("SecretNotFound", 'Secret "missing" not found: the default certificate is used'),
    }
    eventually(lambda: set(shop.recorder.said) >= told)  # after it is served


def test_certificates_by_name_and_as_they_are_renewed(shop: Host) -> None:
    shop.api.create(SECRETS, secret("one", "tls.example"))
    found = ingress("tls", ("tls.example", path("/", "web")), tls=[("one", "tls.example")])
    shop.informers.put(INGRESSES, found)
    eventually(lambda: subject(shop, "tls.example") == "tls.example")
    assert subject(shop, "unknown.example") == "default.invalid"
    said = shop.get("https://127.0.0.1/", "tls.example")[1]
    assert "x-forwarded-proto: https\n" in said
    shop.api.patch(SECRETS, "default", "one", {"data": secret("one", "renewed.example")["data"]})
    eventually(lambda: subject(shop, "tls.example") == "renewed.example")
    shop.api.patch(SECRETS, "default", "one", {"data": {"tls.key": base64.b64encode(b"none").decode()}})
    eventually(lambda: subject(shop, "tls.example") == "default.invalid")
    eventually(lambda: "InvalidCertificate" in {reason for reason, _ in shop.recorder.said})
    keys = [shop.folder, *shop.folder.rglob("*.pem")]
    assert {one.stat().st_mode & 0o77 for one in keys} == {0}


def test_a_websocket_goes_through(shop: Host) -> None:
    def talk() -> bytes:
        with socket.create_connection(("127.0.0.1", 80), 5) as sock:
            sock.sendall(
                b"GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            answer = sock.recv(1000)
            assert answer.startswith(b"HTTP/1.1 101 ")
            sock.sendall(b"ping")
            return sock.recv(4)

    assert shop.do(talk) == b"gnip"


def test_endpoints_change_without_a_new_process(shop: Host) -> None:
    before = (shop.folder / "pid").read_text()
    shop.serve("web", "127.0.1.2")
    eventually(lambda: shop.body("http://127.0.0.1/", "shop.example") == "b")
    shop.serve("web")
    eventually(lambda: shop.get("http://127.0.0.1/", "shop.example")[0] == 503)
    shop.serve("web", "127.0.1.1", "127.0.1.3")
    eventually(lambda: {shop.body("http://127.0.0.1/", "shop.example") for _ in range(8)} == {"a", "c"})
    assert (shop.folder / "pid").read_text() == before


def test_what_the_proxy_says_fills_no_memory(shop: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "LOG_BYTES", 500)
    version = (shop.folder / "pid").read_text().split()[1]
    for i in range(8):
        shop.serve("web", f"127.0.1.{1 + i % 2}")
        eventually(lambda i=i: shop.body("http://127.0.0.1/", "shop.example") == "ab"[i % 2])
    assert 0 < (shop.folder / version / "log").stat().st_size < 1500


def test_no_request_fails_while_all_changes(shop: Host) -> None:
    """Twenty new configurations, and as many changes of endpoints, under requests of three kinds."""
    done, failures, counts = threading.Event(), [], [0, 0]

    def anew() -> None:
        while not done.is_set():
            try:
                status, _ = _get("http://127.0.0.1/api", "shop.example", {})
                assert status == 200
                counts[0] += 1
            except Exception as error:
                failures.append(f"anew: {error!r}")

    def again() -> None:
        """On one connection as long as the proxy keeps it: it says when it doesn't."""
        while not done.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=5)
            for _ in range(50):
                try:
                    connection.request("GET", "/api", headers={"Host": "shop.example"})
                    answer = connection.getresponse()
                    answer.read()
                    assert answer.status == 200
                    counts[1] += 1
                    done.wait(0.002)  # so that some are idle when a process is told to end
                except Exception as error:
                    failures.append(f"again: {error!r}")
                    break
                if answer.will_close:
                    break
            connection.close()

    clients = [
        threading.Thread(target=lambda call=call: shop.do(call))
        for call in (anew, again, again, again, again)
    ]
    for client in clients:
        client.start()
    reloads = shop.room.counters["reloads"]
    for i in range(20):
        shop.serve("api", *(["127.0.1.2", "127.0.1.3"] if i % 2 else ["127.0.1.2"]))
        shop.informers.put(INGRESSES, ingress("busy", (f"n{i}.example", path("/", "web"))))
        eventually(lambda i=i: shop.room.counters["reloads"] > reloads + i)
    done.set()
    for client in clients:
        client.join()
    assert failures == []
    assert min(counts) > 50, counts


def test_the_next_agent_goes_on_with_the_proxy(shop: Host) -> None:
    shop.end()
    before = int((shop.folder / "pid").read_text().split()[0])
    assert shop.body("http://127.0.0.1/", "shop.example") == "a", "nobody manages it, and it serves"
    (shop.folder / "pid").rename(shop.folder / "pid.new")  # it was killed before it noted what it began
    shop.informers.of(INGRESSES).heard = False
    found = shop.informers.of(INGRESSES).cache.remove("default", "shop")  # the power went before it was kept
    shop.begin()
    eventually(lambda: "until the server is heard" in shop.room.sentence)
    assert shop.body("http://127.0.0.1/", "shop.example") == "a"
    shop.informers.of(INGRESSES).heard = True
    shop.informers.put(INGRESSES, found)
    eventually(lambda: shop.room.sentence.endswith("served on ports 80 and 443"))
    assert shop.body("http://127.0.0.1/", "shop.example") == "a"
    assert int((shop.folder / "pid").read_text().split()[0]) == before
    os.kill(before, 9)
    shop.room._wake.set()  # as if its time had come
    eventually(lambda: int((shop.folder / "pid").read_text().split()[0]) != before)
    eventually(lambda: shop.body("http://127.0.0.1/", "shop.example") == "a")


def test_a_port_that_a_load_balancer_has_is_told_until_it_goes(shop: Host) -> None:
    lb = service("lb", "10.43.0.101", port(80), type="LoadBalancer")
    lb["metadata"]["creationTimestamp"] = "2025-01-01T00:00:00Z"
    lb["status"] = {"loadBalancer": {"ingress": [{"ip": "10.99.0.11"}]}}
    shop.informers.put(SERVICES, lb)
    eventually(lambda: announced(shop) is None)
    eventually(lambda: shop.room.sentence.endswith("port 80/TCP is taken by Service default/lb"))
    said = ("PortTaken", "not served at h1: port 80/TCP is taken by Service default/lb")
    assert shop.recorder.said.count(said) == 1
    shop.informers.remove(SERVICES, lb)
    eventually(lambda: announced(shop) == "80,443")


def announced(host: Host) -> str | None:
    said = host.api.get(NODES, "", "h1")["metadata"].get("annotations") or {}
    return said.get("mini8s.io/ingress-ports")


def test_a_port_in_use_is_one_sentence(host: Host) -> None:
    eventually(lambda: host.room.sentence == "no Ingress is to be served here")
    eventually(lambda: not host.do(_listens, 80))

    def occupy() -> socket.socket:
        return socket.create_server(("127.0.0.1", 443))

    with host.do(occupy):
        host.informers.put(INGRESSES, ingress("late", ("late.example", path("/", "web"))))
        eventually(lambda: "port 443 is in use by another program of this host" in host.room.sentence)
        assert host.api.get(NODES, "", "h1")["metadata"].get("annotations") in (None, {})
        before = host.room.counters["failures"]
        host.informers.put(INGRESSES, ingress("late", ("late.example", path("/", "web"), path("/x", "web"))))
        eventually(lambda: host.room.counters["failures"] > before)
        assert len([one for one in host.folder.iterdir() if one.is_dir()]) == 1, "of two tries"
    host.room._wake.set()  # as if its time had come
    eventually(lambda: host.body("http://127.0.0.1/", "late.example") == "a")
    host.informers.remove(INGRESSES, ingress("late"))


def _listens(number: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", number), 1).close()
    except OSError:
        return False
    return True


def _get(url: str, host: str, headers: dict[str, str]) -> tuple[int, str]:
    scheme, _, rest = url.partition("://")
    address, slash, where = rest.partition("/")
    if scheme == "https":
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            address, timeout=5, context=_context()
        )
    else:
        connection = http.client.HTTPConnection(address, timeout=5)
    try:
        connection.request("GET", slash + where, headers={"Host": host, **headers})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def _context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def subject(host: Host, name: str) -> str:
    """Whose certificate is shown to who asks for this name."""

    def shake() -> bytes:
        with (
            socket.create_connection(("127.0.0.1", 443), 5) as sock,
            _context().wrap_socket(sock, server_hostname=name) as tls,
        ):
            return tls.getpeercert(binary_form=True) or b""

    with contextlib.suppress(OSError):
        found = ssl.DER_cert_to_PEM_cert(host.do(shake))
        said = subprocess.run(
            ["openssl", "x509", "-noout", "-subject", "-nameopt", "RFC2253"],
            input=found, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return said.stdout.strip().rpartition("CN=")[2]
    return ""
