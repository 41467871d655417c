"""The parent and its children as real processes: restarts, ends, and who outlives whom."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from mini8s.app.supervisor import Child, Supervisor

PROGRAM = """
import os, signal, sys, time, logging
from pathlib import Path
from mini8s.app import supervisor
from mini8s.app.news import News
from mini8s.app.supervisor import FATAL, Child, Reloaded, Supervisor
logging.basicConfig(level="INFO")
folder = Path(sys.argv[1])
sys.path.append(sys.argv[1])

def note(name):
    with (folder / name).open("a") as file:
        file.write(f"{os.getpid()}\\n")

def steady(name):
    def run(ready):
        note(name)
        ready()
        while True:
            time.sleep(60)
    return run

def stubborn(ready):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return steady("stubborn")(ready)

def fatal(ready):
    return FATAL

def slow(ready):
    note("slow-started")
    time.sleep(0.5)
    note("slow")
    ready()
    time.sleep(60)
    return 0

def listening(news):
    news.subscribe(lambda said: note(f"told-{said['n']}"))
    return steady("l")

def after_slow(ready):
    assert (folder / "slow").exists()
    return steady("after")(ready)

"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []

    def go(
        children: str,
        environment: Mapping[str, str] | None = None,
        reload: str = "lambda: None",
        **constants: float,
    ) -> subprocess.Popen[bytes]:
        changed = "".join(f"supervisor.{name} = {value}\n" for name, value in constants.items())
        program = textwrap.dedent(PROGRAM) + changed + f"sys.exit(Supervisor([{children}], {reload}).run())\n"
        command = [sys.executable, "-c", program, str(tmp_path)]
        started.append(subprocess.Popen(command, env={**os.environ, **(environment or {})}))
        return started[-1]

    yield go
    for process in started:
        process.kill()
        process.wait()


def pids(folder: Path, name: str, count: int) -> list[int]:
    """The pids that a child noted, once there are `count` of them."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        file = folder / name
        found = [int(line) for line in file.read_text().split()] if file.exists() else []
        if len(found) >= count:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{name} did not start {count} times")


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def test_a_child_that_dies_is_started_again(start: Callable[..., object], tmp_path: Path) -> None:
    start('Child("a", steady("a"))')
    os.kill(pids(tmp_path, "a", 1)[0], signal.SIGKILL)
    first, second = pids(tmp_path, "a", 2)
    assert first != second


def test_a_child_that_hangs_is_killed_and_started_again(start: Callable[..., object], tmp_path: Path) -> None:
    start('Child("a", steady("a")), Child("b", steady("b"))', BEAT_SECONDS=0.4, HANGS_SECONDS=4.0)
    os.kill(pids(tmp_path, "a", 1)[0], signal.SIGSTOP)
    first, second = pids(tmp_path, "a", 2)
    assert gone(first)
    assert first != second
    assert len(pids(tmp_path, "b", 1)) == 1


def test_who_was_held_up_with_its_parent_does_not_hang() -> None:
    child = Child("a", lambda _ready: 1, ready=True, beat=100.0)
    Supervisor([child])._end_hanging(100.0 + 3600)
    assert child.beat == 3700.0


def test_systemd_hears_of_readiness_and_then_regularly_that_nobody_hangs(
    start: Callable[..., object], tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(60)
        start(
            'Child("a", steady("a"))', {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "100000"}
        )
        assert systemd.recv(100) == b"READY=1\nSTATUS=running: a"
        assert [systemd.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3


def test_sighup_tells_children_and_starts_again_who_must(
    start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(30)
        runs = '{"l": listening(news), "a": steady("other")}'
        parent = start(
            '*[Child("l", listening(news := News()), news=news), Child("a", steady("a"))]',
            {"NOTIFY_SOCKET": str(tmp_path / "notify")},
            reload=f'lambda: Reloaded({{"n": 1}}, ["a"], {runs})',
        )
        assert systemd.recv(100).startswith(b"READY=1")
        parent.send_signal(signal.SIGHUP)
        assert systemd.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        assert systemd.recv(100) == b"READY=1"
    listener = pids(tmp_path, "l", 1)
    assert pids(tmp_path, "told-1", 1) == listener
    assert gone(pids(tmp_path, "a", 1)[0])
    assert pids(tmp_path, "other", 1)
    assert pids(tmp_path, "l", 1) == listener, "who is told goes on"


def test_sigterm_ends_parent_and_children(
    start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    parent = start('Child("a", steady("a")), Child("b", steady("b"))')
    children = pids(tmp_path, "a", 1) + pids(tmp_path, "b", 1)
    parent.terminate()
    assert parent.wait(60) == 0
    assert all(gone(pid) for pid in children)


def test_a_child_that_ignores_sigterm_is_killed_in_time(
    start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    parent = start('Child("s", stubborn)', STOP_SECONDS=1.0)
    child = pids(tmp_path, "stubborn", 1)[0]
    parent.terminate()
    assert parent.wait(60) == 0
    assert gone(child)


def test_no_child_outlives_a_parent_that_is_killed(
    start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    parent = start('Child("a", steady("a"))')
    child = pids(tmp_path, "a", 1)[0]
    parent.kill()
    parent.wait()
    assert gone(child)


def test_a_child_that_says_it_cant_be_ends_everything(
    start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    parent = start('Child("a", steady("a")), Child("f", fatal)')
    assert parent.wait(60) == 1
    assert gone(pids(tmp_path, "a", 1)[0])


def test_the_others_wait_for_the_first_to_be_ready(start: Callable[..., object], tmp_path: Path) -> None:
    start('Child("slow", slow), Child("after", after_slow)')
    assert len(pids(tmp_path, "after", 1)) == 1


def test_the_others_import_while_the_first_still_starts(start: Callable[..., object], tmp_path: Path) -> None:
    (tmp_path / "world.py").write_text(
        "import sys\nfrom pathlib import Path\nassert not (Path(sys.argv[1]) / 'slow').exists()\n"
    )
    start('Child("slow", slow), Child("after", after_slow, "world")')
    assert len(pids(tmp_path, "after", 1)) == 1


def test_an_end_that_was_taken_before_its_pipe_ends_nobody_else() -> None:
    """Two children end at once: the first one's signal brings news of both, then the pipe tells again."""
    child = Child("a", lambda _ready: 1, pid=0, ready_fd=-1)
    Supervisor([child])._take_ready(child)
    assert not child.ready
