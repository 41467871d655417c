"""A host that goes down: who ends when, what is said of it, and a shutdown that is called off."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fakes.node_agent import NodeAgent, container, pod

from mini8s.agent.kubelet.node.logind import NoLogind
from mini8s.agent.kubelet.node.shutdown import LOOK_SECONDS, Shutdown
from mini8s.agent.kubelet.settings import parse
from mini8s.objects import conditions

SETTINGS = parse(("shutdown-grace-period=30s", "shutdown-grace-period-critical-pods=10s"))


@dataclass
class FakeLogin:
    """A login manager that announces what a test says; `log` is what happened, in order."""

    announced: list[bool]
    log: list[str] = field(default_factory=list)
    delay: float = 5.0
    absent: bool = False

    def inhibit(self) -> Any:
        self.log.append("inhibit")
        return self

    def release(self) -> None:
        self.log.append("release")

    def announcements(self) -> Any:
        return self

    def __iter__(self) -> Iterator[bool]:
        for begins in self.announced:
            self.log.append("down" if begins else "stays up")
            yield begins

    def close(self) -> None:
        self.log.append("close")

    def longest_delay(self) -> float:
        if self.absent:
            raise NoLogind("there is no busctl on this host")
        return self.delay

    def allow_delay(self, seconds: float) -> None:
        self.delay = seconds


class Host:
    """Every pause is a look of the pods' workers, and a second."""

    def __init__(self, folder: Path, *announced: bool) -> None:
        self.agent, self.login = NodeAgent(folder), FakeLogin(list(announced))
        self.ended: list[tuple[str, float]] = []
        self.changes: list[bool] = []
        self.shutdown = Shutdown(
            settings=SETTINGS,
            login=self.login,
            running=self.agent.worker.running,
            pod_of=self.agent.wanted,
            doom=self.agent.worker.doom,
            changed=lambda: self.changes.append(self.shutdown.begun),
            pause=self.pause,
            clock=self.agent.clock,
        )

    def pause(self, seconds: float) -> bool:
        assert seconds == LOOK_SECONDS
        self.agent.clock.step(1)
        for one in self.agent.worker.running():
            self.agent.sync(one.uid)
            done = self.agent.status(one.name)["phase"] == "Failed"
            if done and one.name not in dict(self.ended):
                self.ended.append((one.name, self.agent.clock.monotonic()))
        return False


def test_common_pods_end_first_and_critical_ones_last(tmp_path: Path) -> None:
    host = Host(tmp_path, True)
    host.agent.create(pod("critical", container("c"), priority=2_000_000_000))
    host.agent.create(pod("common", container("c")))
    host.shutdown.step()
    assert [name for name, _ in host.ended] == ["common", "critical"]
    assert host.login.log == ["inhibit", "down", "release", "release", "close"]
    assert host.changes == [True]
    assert host.login.delay == 30
    status = host.agent.status("common")
    assert (status["phase"], status["reason"]) == ("Failed", "Terminated")
    assert status["message"] == "Pod was terminated in response to imminent node shutdown."
    disrupted = conditions.get({"status": status}, "DisruptionTarget")
    assert disrupted
    assert disrupted["reason"] == "TerminationByKubelet"


@pytest.mark.parametrize(("grace", "ends"), [(5, 7), (300, 20)])
def test_a_pod_has_its_own_grace_but_not_more_than_its_group(tmp_path: Path, grace: int, ends: int) -> None:
    host = Host(tmp_path, True)
    host.agent.runtime.stubborn = True
    host.agent.create(pod("slow", container("c"), terminationGracePeriodSeconds=grace))
    host.shutdown.step()
    host.pause(LOOK_SECONDS)
    ((name, when),) = host.ended
    assert name == "slow"
    assert abs(when - ends) <= 2


def test_who_does_not_end_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    host = Host(tmp_path, True)
    for name, priority in (("common", 0), ("critical", 2_000_000_000)):
        host.agent.create(pod(name, container("c"), priority=priority))
    looks: list[float] = []

    def pause(seconds: float) -> bool:
        """The workers are stuck."""
        looks.append(host.agent.clock.monotonic())
        host.agent.clock.step(1)
        return len(looks) > 100

    host.shutdown._pause = pause
    host.shutdown.step()
    assert len(looks) == 30


def test_a_shutdown_that_is_called_off_can_be_held_up_again(tmp_path: Path) -> None:
    host = Host(tmp_path, True, False)
    host.shutdown.step()
    assert host.login.log == ["inhibit", "down", "release", "stays up", "inhibit", "release", "close"]
    assert host.changes == [True, False]
    assert not host.shutdown.begun


def test_a_host_without_a_login_manager(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.login.absent = True
    assert host.shutdown.step() == 30
    assert host.login.log == []


def test_without_a_grace_period_nothing_is_held_up(tmp_path: Path) -> None:
    assert Host(tmp_path).shutdown.wanted
    host = Host(tmp_path)
    host.shutdown._settings = parse(())
    assert not host.shutdown.wanted
