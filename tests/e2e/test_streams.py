"""exec, attach, port-forward and cp with each kubectl that is here: SPDY, WebSocket, and SPDY inside it."""

from __future__ import annotations

import hashlib
import os
import pty
import random
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import kubectls
import pytest
from hosts.cluster import Cluster
from kubectls import Kubectl
from space import Space, container, pod, space

FOREVER = "sleep 1000"
CHOSEN = [one for one in kubectls.installed() if one.minor in {27, 30, 33}] or kubectls.installed()
BYTES = random.Random(8).randbytes(5_000_000)


@pytest.fixture(scope="module")
def here(one_host: Cluster) -> Iterator[Space]:
    """main sleeps; echo repeats what it is told on a terminal; web answers on port 8080, on loopback only."""
    web = """mkdir -p /www/cgi-bin; echo hello >/www/index.html; head -c 50000000 /dev/urandom >/www/big
printf '#!/bin/sh\\necho; exec sha256sum' >/www/cgi-bin/sum; chmod +x /www/cgi-bin/sum
exec httpd -f -p 127.0.0.1:8080 -h /www"""
    with space(one_host, "streams") as made:
        made.apply(
            pod("main", container(FOREVER)),
            pod("shell", container("stty size; exec sh -i", stdin=True, tty=True)),
            pod("echo", container("exec cat", stdin=True)),
            pod("web", container(web)),
            pod("over", container("true"), restartPolicy="Never"),
        )
        made.kubectl("wait", "--for=condition=Ready", "pod", "main", "shell", "echo", "web", "--timeout=120s")
        made.wait_phase("over", "Succeeded")
        yield made


@pytest.fixture(params=kubectls.installed(), ids=str)
def kubectl(request: pytest.FixtureRequest) -> Kubectl:
    found: Kubectl = request.param
    return found


def command(here: Space, kubectl: Kubectl, *arguments: str) -> list[str]:
    _, *options = here.cluster.kubectl_command("--namespace", here.name, *arguments)
    return here.cluster.hosts[1].command(kubectl.program, *options)


def run(
    here: Space, kubectl: Kubectl, *arguments: str, stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command(here, kubectl, *arguments), input=stdin, capture_output=True, timeout=120, check=False
    )


def test_output_errors_and_exit_code(here: Space, kubectl: Kubectl) -> None:
    said = run(here, kubectl, "exec", "main", "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (said.returncode, said.stdout) == (3, b"out\n")
    assert said.stderr.startswith(b"err\n")
    assert b"command terminated with exit code 3" in said.stderr
    assert run(here, kubectl, "exec", "main", "--", "true").returncode == 0


def test_five_megabytes_there_and_back(here: Space, kubectl: Kubectl) -> None:
    said = run(here, kubectl, "exec", "-i", "main", "--", "cat", stdin=BYTES)
    assert said.returncode == 0
    assert hashlib.sha256(said.stdout).digest() == hashlib.sha256(BYTES).digest()


@pytest.fixture(scope="module")
def big(here: Space) -> str:
    """The checksum of fifty megabytes in the pod of the web server."""
    return here.exec("web", "sha256sum /www/big").split()[0]


@pytest.mark.parametrize("chosen", CHOSEN, ids=str)
def test_fifty_megabytes_through_exec(here: Space, big: str, chosen: Kubectl) -> None:
    """`sha256sum` says what it has heard when its input ends, and the output's end ends kubectl."""
    there = subprocess.run(
        command(here, chosen, "exec", "web", "--", "cat", "/www/big"),
        capture_output=True,
        timeout=180,
        check=True,
    ).stdout
    assert hashlib.sha256(there).hexdigest() == big
    back = run(here, chosen, "exec", "-i", "main", "--", "sh", "-c", "cat | sha256sum", stdin=there)
    assert back.stdout.decode().split()[0] == big


@pytest.mark.parametrize("chosen", CHOSEN, ids=str)
def test_fifty_megabytes_through_a_forwarded_port(
    here: Space, big: str, chosen: Kubectl, tmp_path: Path
) -> None:
    host, there = here.cluster.hosts[1], tmp_path / "big"
    with forwarded(here, chosen, ":8080") as (_, url):
        host.run("curl", "-sf", "--max-time", "120", "-o", str(there), f"{url}big")
        assert hashlib.sha256(there.read_bytes()).hexdigest() == big
        said = host.run(
            "curl",
            "-sf",
            "--max-time",
            "120",
            "-H",
            "Expect:",
            "--data-binary",
            f"@{there}",
            f"{url}cgi-bin/sum",
        )
    assert said.split()[0] == big


def test_files_are_copied_both_ways(here: Space, kubectl: Kubectl, tmp_path: Path) -> None:
    there, back = tmp_path / "there", tmp_path / "back"
    there.write_bytes(BYTES)
    for words in (("cp", str(there), "main:/tmp/copied"), ("cp", "main:/tmp/copied", str(back))):
        said = run(here, kubectl, *words)
        assert said.returncode == 0, said.stderr
    assert back.read_bytes() == BYTES


def test_a_command_that_is_not_there(here: Space, kubectl: Kubectl) -> None:
    said = run(here, kubectl, "exec", "main", "--", "no-such-command")
    assert said.returncode == 126
    assert b"OCI runtime exec failed: exec failed: " in said.stdout
    assert b'exec: "no-such-command": executable file not found in $PATH: unknown' in said.stdout


def test_what_cannot_be_is_said_in_one_sentence(here: Space, kubectl: Kubectl) -> None:
    for words, sentence in (
        (("exec", "main", "-c", "other", "--", "true"), b"container other is not valid for pod main"),
        (("exec", "nowhere", "--", "true"), b'pods "nowhere" not found'),
        (("exec", "over", "--", "true"), b"cannot exec into a container in a completed pod"),
        (("attach", "over"), b"cannot attach a container in a completed pod"),
        (("port-forward", "over", "8080"), b"unable to forward port because pod is not running"),
    ):
        said = run(here, kubectl, *words)
        assert said.returncode == 1
        assert sentence in said.stderr


class Terminal:
    """kubectl on a terminal of its own, driven by hand."""

    def __init__(self, words: Sequence[str]) -> None:
        self.number, theirs = pty.openpty()
        self.said = b""
        self.process = subprocess.Popen(
            words, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)

    def type(self, text: str) -> None:
        os.write(self.number, text.encode())

    def expect(self, pattern: str, seconds: float = 60) -> None:
        """Read until it is there; what came before it is forgotten."""
        end = time.monotonic() + seconds
        while not (found := re.search(pattern.encode(), self.said)):
            ready, _, _ = select.select([self.number], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"no {pattern!r} in {self.said!r}"
            try:
                self.said += os.read(self.number, 4096)
            except OSError:
                raise AssertionError(f"it ended: {self.said!r}") from None
        self.said = self.said[found.end() :]

    def resize(self, rows: int, columns: int) -> None:
        subprocess.run(["stty", "rows", str(rows), "cols", str(columns)], stdin=self.number, check=True)
        os.killpg(self.process.pid, signal.SIGWINCH)


@contextmanager
def terminal(words: Sequence[str]) -> Iterator[Terminal]:
    made = Terminal(words)
    try:
        yield made
    finally:
        os.killpg(made.process.pid, signal.SIGKILL) if made.process.poll() is None else None
        made.process.wait(60)
        os.close(made.number)


def test_a_shell_on_a_terminal_follows_its_size(here: Space, kubectl: Kubectl) -> None:
    with terminal(command(here, kubectl, "exec", "-it", "main", "--", "sh")) as shell:
        shell.expect(r"/ # ")
        shell.resize(33, 101)
        shell.type('until [ "$(stty size)" = "33 $((100 + 1))" ]; do sleep 0.1; done\r')
        shell.type("stty size; tty; exit 7\r")
        shell.expect("33 101")
        shell.expect("/dev/pts/")
        assert shell.process.wait(60) == 7


def test_attach_joins_the_process_that_runs(here: Space, kubectl: Kubectl) -> None:
    process = subprocess.Popen(
        command(here, kubectl, "attach", "-i", "echo"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"hello {kubectl}\n".encode())
        process.stdin.flush()
        assert process.stdout.readline() == f"hello {kubectl}\n".encode()
        process.terminate()
    with terminal(command(here, kubectl, "attach", "-it", "shell")) as shell:
        shell.type("echo $((6 * 7))\r")
        shell.expect("\n42\r\n")
    assert here.pod("shell")["status"]["containerStatuses"][0]["restartCount"] == 0


@contextmanager
def forwarded(here: Space, kubectl: Kubectl, ports: str) -> Iterator[tuple[subprocess.Popen[Any], str]]:
    """A port-forward to the web server, and the URL of its near end."""
    words = command(here, kubectl, "port-forward", "pod/web", ports)
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"127\.0\.0\.1:\d+", process.stdout.readline())
        assert found
        yield process, f"http://{found[0]}/"
    finally:
        process.kill()
        process.communicate(timeout=60)


def test_twenty_connections_to_a_forwarded_port(here: Space, kubectl: Kubectl) -> None:
    with forwarded(here, kubectl, ":8080") as (_, url):
        curl = here.cluster.hosts[1].command("curl", "-s", "--max-time", "60", url)
        asking = [subprocess.Popen(curl, stdout=subprocess.PIPE) for _ in range(20)]
        assert [one.communicate(timeout=60)[0] for one in asking] == [b"hello\n"] * 20


def test_a_port_that_nobody_listens_on(here: Space, kubectl: Kubectl) -> None:
    with forwarded(here, kubectl, ":9") as (process, url):
        assert not here.cluster.curl(url)
        process.terminate()
        said = process.communicate(timeout=60)[0]
    assert "error forwarding port 9 to pod web_streams, uid " in said
    assert "dial tcp4 127.0.0.1:9: connect: connection refused" in said


def test_a_client_that_is_killed_leaves_nothing(here: Space, kubectl: Kubectl) -> None:
    mark = f"77{kubectl.minor}"
    for words in (("sleep", mark), ("yes", mark)):
        process = subprocess.Popen(
            command(here, kubectl, "exec", "-i", "main", "--", *words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        here.cluster.wait_for("it to run", lambda: mark in here.exec("main", "ps"))
        process.kill()
        process.communicate(timeout=60)
        here.cluster.wait_for("it to be gone", lambda: mark not in here.exec("main", "ps"))


def family(number: int) -> Iterator[Path]:
    """/proc of a process and of all below it."""
    folder = Path(f"/proc/{number}")
    yield folder
    for task in folder.glob("task/*/children"):
        for child in task.read_text().split():
            yield from family(int(child))


def held(here: Space) -> tuple[int, int]:
    """Threads and open files of the server and its agent."""
    folders = list(family(here.cluster.programs[1].process.pid))
    threads, files = (sum(len(list(one.glob(f"{what}/*"))) for one in folders) for what in ("task", "fd"))
    return threads, files


def vanish(here: Space, count: int) -> None:
    """As many clients run a command and are killed; returns when their processes are gone, too."""
    words = command(here, kubectls.installed()[-1], "exec", "-i", "main", "--", "sleep", "666")
    asking = [subprocess.Popen(words, stdin=subprocess.PIPE) for _ in range(count)]
    here.cluster.wait_for("all to run", lambda: here.exec("main", "ps").count("sleep 666") == count)
    for one in asking:
        one.kill()
        one.communicate(timeout=60)
    here.cluster.wait_for("their ends", lambda: "sleep 666" not in here.exec("main", "ps"))


def test_streams_that_ended_hold_nothing(here: Space) -> None:
    """Pools of threads and connections fill with the first streams, others a little later: what 24
    streams leave behind is far less than one thread or file each."""
    for _ in range(3):
        vanish(here, 8)
    time.sleep(1)
    threads, files = held(here)
    for _ in range(3):
        vanish(here, 8)

    def back() -> bool:
        now = held(here)
        return now[0] <= threads + 8 and now[1] <= files + 12

    here.cluster.wait_for(f"no more than {threads} threads and {files} files, or few more", back)


def test_an_agent_that_stops_takes_along_what_was_started_for_clients(here: Space) -> None:
    newest = kubectls.installed()[-1]
    words = command(here, newest, "exec", "-i", "main", "--", "sleep", "555")
    asking = subprocess.Popen(words, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    here.cluster.wait_for("it to run", lambda: "sleep 555" in here.exec("main", "ps"))
    engine, named = here.cluster.hosts[1].docker, "name=m8s_main_main_"
    main = engine("ps", "--quiet", "--filter", named).strip()
    assert here.cluster.programs[1].stop() == 0
    asking.communicate(timeout=60)
    assert "sleep 555" not in engine("exec", main, "ps")
    assert engine("ps", "--quiet", "--filter", named).strip() == main
    here.cluster.server(1)
    here.cluster.wait_ready("h1")
