"""systemd's own programs between the agent and a login manager, on a message bus of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.logind import FakeLogind

from mini8s.agent.kubelet.node import logind
from mini8s.agent.kubelet.node.logind import Logind, NoLogind

HOLDS = """
import sys, time
from mini8s.agent.kubelet.node.logind import Logind
held, heard = Logind().inhibit(), Logind().announcements()
print(heard._process.pid, flush=True)
time.sleep(100)
"""


@pytest.fixture
def login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeLogind]:
    made = FakeLogind(tmp_path)
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", made.address)
    yield made
    made.close()


def test_a_shutdown_is_held_up_until_it_is_let_go(login: FakeLogind) -> None:
    inhibitor = Logind().inhibit()
    assert login.wait(1) == [("shutdown", "mini8s", "Pods end before the host does", "delay")]
    inhibitor.release()
    assert login.wait(0) == []
    inhibitor.release()


def test_what_is_announced_is_heard(login: FakeLogind) -> None:
    announcements = Logind().announcements()
    heard: list[bool] = []
    listening = threading.Event()

    def listen() -> None:
        for begins in announcements:
            heard.append(begins)
            listening.set()

    listener = threading.Thread(target=listen)
    listener.start()
    for _ in range(1000):  # the monitor says nothing when it begins to listen
        login.announce(begins=True)
        if listening.wait(0.1):
            break
    login.announce(begins=False)
    while heard[-1]:
        listening.wait(0.02)
    announcements.close()
    listener.join(60)
    assert not listener.is_alive()
    assert heard[0] is True


def test_how_long_a_shutdown_waits(login: FakeLogind) -> None:
    assert Logind().longest_delay() == 5
    login.delay_usec = 90_000_000
    assert Logind().longest_delay() == 90


def test_an_agent_that_is_killed_holds_nothing_up(login: FakeLogind) -> None:
    agent = subprocess.Popen([sys.executable, "-c", HOLDS], stdout=subprocess.PIPE)
    assert agent.stdout
    monitor = int(agent.stdout.readline())
    assert len(login.wait(1)) == 1
    while Path(f"/proc/{monitor}/comm").read_text() != "busctl\n":
        threading.Event().wait(0.02)
    agent.send_signal(signal.SIGKILL)
    agent.communicate(timeout=60)
    assert login.wait(0) == []
    for _ in range(1000):
        if not runs(monitor):
            break
        threading.Event().wait(0.05)
    assert not runs(monitor)


def runs(number: int) -> bool:
    """An orphan may wait for its new parent to notice its end."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_nobody_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/nothing")
    for ask in (Logind().inhibit, Logind().longest_delay):
        with pytest.raises(NoLogind, match=r"."):
            ask()
    monkeypatch.setattr(logind, "_SETTINGS", tmp_path / "etc" / "logind.conf")
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    with pytest.raises(NoLogind, match="there is no busctl on this host"):
        Logind().longest_delay()
    with pytest.raises(NoLogind, match="there is no systemctl on this host"):
        Logind().allow_delay(30)
    assert (tmp_path / "etc" / "logind.conf").read_text() == "[Login]\nInhibitDelayMaxSec=30\n"
