"""exec, attach and port-forward with the official Python client, whose port-forward is a third kind of it."""

from __future__ import annotations

import gc
import hashlib
import json
import random
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Any

import pytest
from hosts.cluster import Cluster
from kubernetes import client, config
from kubernetes.stream import portforward, stream
from kubernetes.stream.ws_client import ERROR_CHANNEL, RESIZE_CHANNEL, STDIN_CHANNEL, WSClient
from space import Space, container, pod, space

from mini8s.agent.network import netns

# the client leaves the socket of a connection that was refused to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

BYTES = random.Random(5).randbytes(10_000_000)
PIECE = 1 << 20
WEB = "mkdir /www; head -c 10000000 /dev/urandom >/www/big; exec httpd -f -p 127.0.0.1:8080 -h /www"


@pytest.fixture(scope="module")
def here(one_host: Cluster) -> Iterator[Space]:
    """main has no input; echo repeats what it is told; web listens on loopback only."""
    with space(one_host, "python") as made:
        made.apply(
            pod("main", container("while sleep 0.2; do echo tick; done")),
            pod("echo", container("exec cat", stdin=True)),
            pod("web", container(WEB)),
            pod("over", container("true"), restartPolicy="Never"),
        )
        made.kubectl("wait", "--for=condition=Ready", "pod", "main", "echo", "web", "--timeout=120s")
        made.wait_phase("over", "Succeeded")
        yield made


Test = Callable[[client.CoreV1Api], None]


@pytest.fixture
def on_host(here: Space) -> Iterator[Callable[[Test], None]]:
    """Runs what needs a client in the host's network."""
    host = here.cluster.hosts[1]

    def run(test: Test) -> None:
        with config.new_client_from_config(str(host.folder / "kubeconfig")) as http:
            test(client.CoreV1Api(http))

    yield lambda test: netns.inside(f"/run/netns/{host.place.host(1)}", partial(run, test))
    gc.collect()


def begin(core: client.CoreV1Api, name: str, *command: str, verb: str = "exec", **options: Any) -> WSClient:
    call = getattr(core, f"connect_get_namespaced_pod_{verb}")
    more = {"command": list(command)} if command else {}
    wanted = {"stdin": True, "stdout": True, "stderr": True, "tty": False} | options
    return stream(call, name, "python", **more, **wanted, binary=True, _preload_content=False)


def heard(running: WSClient) -> bytes:
    """What it says on stdout until it ends."""
    pieces = []
    while running.is_open():
        running.update(timeout=60)
        pieces.append(running.read_stdout(timeout=0))
    return b"".join(pieces)


def test_output_errors_and_exit_code(on_host: Callable[[Test], None]) -> None:
    def test(core: client.CoreV1Api) -> None:
        said = begin(core, "main", "sh", "-c", "echo out; echo err >&2; exit 3")
        said.run_forever(timeout=60)
        assert (said.read_stdout(), said.read_stderr(), said.returncode) == (b"out\n", b"err\n", 3)
        said.close()
        call = core.connect_get_namespaced_pod_exec
        assert stream(call, "main", "python", command=["echo", "one"], stdout=True) == "one\n"

    on_host(test)


def test_ten_megabytes_both_ways_and_the_end_of_input(on_host: Callable[[Test], None]) -> None:
    def test(core: client.CoreV1Api) -> None:
        with closing(begin(core, "main", "sh", "-c", "cat >/tmp/x; wc -c </tmp/x; cat /tmp/x")) as running:
            for at in range(0, len(BYTES), PIECE):
                running.write_stdin(BYTES[at : at + PIECE])
            running.close_channel(STDIN_CHANNEL)
            said = heard(running)
            assert running.returncode == 0
        count, _, data = said.partition(b"\n")
        assert (int(count), hashlib.sha256(data).digest()) == (len(BYTES), hashlib.sha256(BYTES).digest())

    on_host(test)


def test_a_terminal_of_a_size(on_host: Callable[[Test], None]) -> None:
    def test(core: client.CoreV1Api) -> None:
        with closing(begin(core, "main", "sh", tty=True)) as shell:
            for width, height in ((101, 33), (77, 22)):
                size = json.dumps({"Width": width, "Height": height})
                shell.write_channel(RESIZE_CHANNEL, size)
                said = b""
                while f"{height} {width}".encode() not in said:
                    shell.write_stdin(b"stty size\n")
                    shell.update(timeout=1)
                    said += shell.read_stdout(timeout=0)
            shell.write_stdin(b"exit 7\n")
            heard(shell)
            assert shell.returncode == 7

    on_host(test)


def test_attach_with_and_without_input(on_host: Callable[[Test], None]) -> None:
    def test(core: client.CoreV1Api) -> None:
        with closing(begin(core, "echo", verb="attach")) as joined:
            joined.write_stdin(b"hello\n")
            assert joined.readline_stdout(timeout=60) == b"hello"
        with closing(begin(core, "main", verb="attach")) as joined:
            joined.write_stdin(b"nobody hears this\n")
            assert joined.readline_stdout(timeout=60) == b"tick"

    on_host(test)


def test_a_client_that_vanishes_takes_its_process_along(here: Space, on_host: Callable[[Test], None]) -> None:
    def test(core: client.CoreV1Api) -> None:
        with closing(begin(core, "main", "sleep", "4321")) as running:
            here.cluster.wait_for("it to run", lambda: "sleep 4321" in here.exec("main", "ps"))
            running.sock.sock.close()
        here.cluster.wait_for("it to be gone", lambda: "sleep 4321" not in here.exec("main", "ps"))

    on_host(test)


def test_a_forwarded_port(here: Space, on_host: Callable[[Test], None]) -> None:
    def test(core: client.CoreV1Api) -> None:
        call = core.connect_get_namespaced_pod_portforward
        ports = portforward(call, "web", "python", ports="8080,9")
        sock = ports.socket(8080)
        sock.setblocking(True)
        sock.settimeout(60)
        sock.sendall(b"GET /big HTTP/1.0\r\n\r\n")
        said = b"".join(iter(lambda: sock.recv(65536), b""))
        head, _, body = said.partition(b"\r\n\r\n")
        assert (head.split()[1], len(body)) == (b"200", 10_000_000)
        error = here.cluster.wait_for("word of the other port", lambda: ports.error(9))
        assert "dial tcp4 127.0.0.1:9: connect: connection refused" in error
        assert ports.error(8080) is None
        ports.close()

    on_host(test)


def test_what_cannot_be(on_host: Callable[[Test], None]) -> None:
    def refused(core: client.CoreV1Api, name: str, **options: Any) -> str:
        with pytest.raises(client.ApiException) as caught:
            begin(core, name, "true", **options).close()
        return str(caught.value.reason)

    def test(core: client.CoreV1Api) -> None:
        assert 'container not found ("main")' in refused(core, "over")
        assert "container x is not valid for pod main" in refused(core, "main", container="x")
        assert "not found" in refused(core, "nowhere")
        with closing(begin(core, "main", "no-such-command")) as running:
            heard(running)
            assert running.returncode in {126, 127}
            assert not running.peek_channel(ERROR_CHANNEL)

    on_host(test)
