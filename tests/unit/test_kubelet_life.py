"""Hooks, deadlines, ephemeral containers and what is said of them, by an agent with an engine in memory."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from fakes.node_agent import NodeAgent, container, pod

from mini8s.agent.kubelet.actions import Hook
from mini8s.agent.runtime.records import ExecResult
from mini8s.objects import conditions
from mini8s.objects.kinds import PODS, Obj
from mini8s.util.clock import FakeClock

EXEC = {"exec": {"command": ["x"]}}


@pytest.fixture
def agent(tmp_path: Path) -> NodeAgent:
    return NodeAgent(tmp_path)


def said(agent: NodeAgent) -> list[tuple[str, str]]:
    return [(reason, message) for _, _, reason, message in agent.events.said]


class Commands:
    """What hooks run in containers: each ends when the test lets it, with `code`."""

    def __init__(self, agent: NodeAgent, code: int = 0) -> None:
        self.run: list[str] = []
        self._code = code
        self._go = threading.Semaphore(0)
        agent.runtime.exec_answer = self._answer

    def end(self) -> None:
        """Let the one that runs end, and its thread."""
        self._go.release()
        for thread in threading.enumerate():
            if thread.name.startswith("hook-"):
                thread.join(60)

    def _answer(self, _container: str, command: Sequence[str]) -> ExecResult:
        self.run.append(" ".join(command))
        assert self._go.acquire(timeout=60)
        return ExecResult(self._code, b"words")


def test_a_container_is_there_when_its_post_start_hook_is_over(agent: NodeAgent) -> None:
    commands = Commands(agent)
    uid = agent.create(pod("web", container("a", lifecycle={"postStart": EXEC}), container("b")))
    assert agent.container()["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert agent.status()["phase"] == "Pending"
    assert agent.runtime.count("create_container") == 1, "the next one waits for the hook"
    commands.end()
    agent.sync(uid)
    assert agent.status()["phase"] == "Running"
    assert agent.runtime.count("create_container") == 2
    agent.start()
    agent.sync(uid)
    assert agent.runtime.count("exec") == 1, "a hook that is over is not run again by another agent"


def test_a_hook_that_an_agent_began_is_begun_again_by_the_next(agent: NodeAgent) -> None:
    uid = agent.create(pod("web", container("c", lifecycle={"postStart": {"sleep": {"seconds": 5}}})))
    agent.start()
    assert agent.sync(uid) == 5
    agent.clock.step(5)
    agent.sync(uid)
    assert agent.container()["started"] is True


def test_a_post_start_hook_that_fails_ends_its_container(agent: NodeAgent) -> None:
    commands = Commands(agent, 3)
    uid = agent.create(pod("web", container("c", lifecycle={"postStart": EXEC})))
    commands.end()
    agent.sync(uid)
    assert ("FailedPostStartHook", "PostStartHook failed") in said(agent)
    assert ("Killing", "FailedPostStartHook") in said(agent)
    assert agent.container()["lastState"]["terminated"]["exitCode"] == 143
    waiting = agent.container()["state"]["waiting"]
    assert waiting["reason"] == "PostStartHookError"
    assert waiting["message"] == (
        f'Exec lifecycle hook ([x]) for Container "c" in Pod "web_default({uid})" failed - error: '
        "command 'x' exited with 3, message: \"words\""
    )
    commands.end()
    agent.sync(uid)
    assert agent.container()["state"]["waiting"]["reason"] == "CrashLoopBackOff"


@pytest.mark.parametrize("code", [0, 1])
def test_pre_stop_runs_within_the_grace(agent: NodeAgent, code: int) -> None:
    commands = Commands(agent, code)
    uid = agent.create(pod("web", container("c", lifecycle={"preStop": EXEC})))
    agent.api.delete(PODS, "default", "web")
    assert agent.sync(uid) == 30
    assert agent.runtime.newest("c").running
    commands.end()
    assert commands.run == ["x"]
    agent.sync(uid)
    assert not agent.runtime.newest("c").running
    assert (("FailedPreStopHook", "PreStopHook failed") in said(agent)) is bool(code)
    assert [reason for reason, _ in said(agent)].count("Killing") == 1


def test_a_sleeping_hook_is_part_of_the_grace(agent: NodeAgent) -> None:
    uid = agent.create(pod("web", container("c", lifecycle={"preStop": {"sleep": {"seconds": 4}}})))
    agent.runtime.stubborn = True
    agent.api.delete(PODS, "default", "web", grace_seconds=10)
    assert agent.sync(uid) == 4
    assert agent.runtime.count("terminate_container") == 0
    agent.clock.step(4)
    assert agent.sync(uid) == 6
    assert agent.runtime.count("terminate_container") == 1
    agent.clock.step(6)
    agent.sync(uid)
    assert not agent.runtime.newest("c").running


def test_a_grace_goes_on_under_the_next_agent(agent: NodeAgent) -> None:
    uid = agent.create(pod())
    agent.runtime.stubborn = True
    agent.api.delete(PODS, "default", "web", grace_seconds=10)
    assert agent.sync(uid) == 10
    agent.clock.step(7)
    agent.start()
    assert agent.sync(uid) == 3
    assert agent.runtime.count("terminate_container") == 1


def test_an_orphan_runs_the_hook_of_its_label(agent: NodeAgent) -> None:
    commands = Commands(agent)
    uid = agent.create(pod("web", container("c", lifecycle={"preStop": EXEC})))
    agent.api.delete(PODS, "default", "web", grace_seconds=0)
    agent.start()
    agent.sync(uid)
    commands.end()
    assert commands.run == ["x"]
    agent.sync(uid)
    assert agent.runtime.pods() == {}


def test_a_hook_of_a_handler_that_is_none_fails(agent: NodeAgent) -> None:
    """tcpSocket is in the API and was never done."""
    uid = agent.create(pod("web", container("c", lifecycle={"postStart": {"tcpSocket": {"port": 1}}})))
    for thread in threading.enumerate():
        if thread.name.startswith("hook-"):
            thread.join(60)
    agent.sync(uid)
    assert ("FailedPostStartHook", "PostStartHook failed") in said(agent)


class SetClock(FakeClock):
    """Its wall clock can be set."""

    wrong = timedelta()

    def now(self):  # type: ignore[no-untyped-def]
        return super().now() + self.wrong


@pytest.mark.parametrize("wrong", [timedelta(days=-1), timedelta(days=1)])
def test_a_clock_that_is_set_shortens_no_grace_and_no_back_off(tmp_path: Path, wrong: timedelta) -> None:
    clock = SetClock()
    agent = NodeAgent(tmp_path, clock)
    uid = agent.create(pod())
    for _ in range(2):
        agent.runtime.end(agent.runtime.newest("c").id, 1)
        wake = agent.sync(uid)
    assert wake == 10
    clock.wrong = wrong
    clock.step(4)
    assert agent.sync(uid) == 6
    clock.step(6)
    agent.sync(uid)
    agent.runtime.stubborn = True
    agent.api.delete(PODS, "default", "web", grace_seconds=10)
    agent.sync(uid)
    clock.wrong = timedelta()
    clock.step(4)
    assert agent.sync(uid) == 6


def test_a_pod_that_is_active_too_long_fails(agent: NodeAgent) -> None:
    uid = agent.create(pod("web", activeDeadlineSeconds=20, restartPolicy="OnFailure"))
    agent.clock.step(15)
    agent.start()
    assert agent.sync(uid) == 5
    agent.runtime.stubborn = True
    agent.clock.step(5)
    agent.sync(uid)
    assert agent.status()["phase"] == "Running", "until its containers have ended"
    ready = conditions.get({"status": agent.status()}, "Ready") or {}
    assert (ready["status"], ready["reason"]) == ("False", "PodFailed")
    agent.clock.step(30)
    agent.sync(uid)
    status = agent.status()
    assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")
    assert status["message"] == "Pod was active on the node longer than the specified deadline"
    assert [reason for reason, _ in said(agent)].count("DeadlineExceeded") == 1
    assert agent.sync(uid) is None


def test_an_ephemeral_container(agent: NodeAgent) -> None:
    uid = agent.create(pod())
    changed = agent.api.get(PODS, "default", "web")
    changed["spec"]["ephemeralContainers"] = [
        container("debug", targetContainerName="c", tty=True),
        container("lost", targetContainerName="no"),
    ]
    agent.api.update(PODS, changed)
    agent.sync(uid)
    first, second = agent.status()["ephemeralContainerStatuses"]
    assert first["state"]["running"]
    assert "started" not in first
    spec = agent.runtime.specs[agent.runtime.newest("debug").id]
    assert spec.namespaces.pid_of == agent.runtime.newest("c").id
    message = "unable to find target container no"
    assert second["state"]["waiting"] == {"reason": "CreateContainerConfigError", "message": message}
    agent.runtime.end(agent.runtime.newest("debug").id, 1)
    agent.clock.step(100)
    agent.sync(uid)
    assert agent.status()["ephemeralContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 1
    assert agent.status()["phase"] == "Running"
    assert conditions.is_true({"status": agent.status()}, "Ready")


def test_a_command_that_is_not_there(agent: NodeAgent) -> None:
    agent.runtime.refuse_start["c"] = 'exec: "nope": executable file not found in $PATH'
    uid = agent.create(pod())
    waiting = agent.container()["state"]["waiting"]
    assert waiting == {"reason": "RunContainerError", "message": agent.runtime.refuse_start["c"]}
    agent.clock.step(1)
    agent.sync(uid)
    assert agent.container()["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert agent.container()["lastState"]["terminated"]["reason"] == "ContainerCannotRun"
    agent.runtime.refuse_start.clear()
    agent.clock.step(10)
    agent.sync(uid)
    assert agent.container()["state"]["running"]


def test_readiness_gates(agent: NodeAgent) -> None:
    uid = agent.create(pod("web", readinessGates=[{"conditionType": "far.io/ok"}]))

    def ready() -> Obj:
        return conditions.get({"status": agent.status()}, "Ready") or {}

    assert ready()["message"] == 'corresponding condition of pod readiness gate "far.io/ok" does not exist.'
    for status in ("False", "True"):
        found = agent.api.get(PODS, "default", "web")
        others = [one for one in found["status"]["conditions"] if one["type"] != "far.io/ok"]
        found["status"]["conditions"] = [*others, {"type": "far.io/ok", "status": status}]
        agent.api.update_status(PODS, found)
        agent.sync(uid)
        if status == "False":
            assert (
                ready()["message"] == 'the status of pod readiness gate "far.io/ok" is not "True", but False'
            )
    assert ready()["status"] == "True"


def test_what_never_ran_of_a_pod_that_ends_is_counted_as_failed(agent: NodeAgent) -> None:
    uid = agent.create(pod("web", container("a"), container("b", image="far:1"), activeDeadlineSeconds=5))
    agent.clock.step(5)
    agent.sync(uid)
    assert agent.container(place=1)["state"]["terminated"]["reason"] == "ContainerStatusUnknown"


def test_resources_and_mounts_are_told(agent: NodeAgent) -> None:
    read_only = {"name": "v", "mountPath": "/v", "readOnly": True}
    mounts = [read_only, read_only | {"mountPath": "/w", "recursiveReadOnly": "Enabled"}]
    resources = {"requests": {"cpu": "100m"}, "limits": {"cpu": "200m"}}
    volumes = [{"name": "v", "emptyDir": {}}]
    agent.create(pod("web", container("c", resources=resources, volumeMounts=mounts), volumes=volumes))
    found = agent.container()
    assert (found["resources"], found["allocatedResources"]) == (resources, {"cpu": "100m"})
    assert found["volumeMounts"] == [read_only | {"recursiveReadOnly": "Disabled"}, mounts[1]]


def test_a_finished_pod_with_a_sidecar_ends_when_the_sidecar_has(agent: NodeAgent) -> None:
    side = container("side", restartPolicy="Always")
    uid = agent.create(pod("web", initContainers=[side], restartPolicy="Never"))
    agent.runtime.stubborn = True
    agent.runtime.end(agent.runtime.newest("c").id, 0)
    agent.sync(uid)
    assert agent.status()["phase"] == "Running"
    agent.runtime.end(agent.runtime.newest("side").id, 1)
    agent.sync(uid)
    assert agent.status()["phase"] == "Succeeded"


def test_what_is_on_disk_is_read_with_care(agent: NodeAgent) -> None:
    uid = agent.create(pod("web", container("c", lifecycle={"preStop": {"sleep": {"seconds": 4}}})))
    path = agent.folder / "agent" / "pods" / uid / "life.json"
    path.write_text('{"endings": {"c1": 3')
    agent.start()
    agent.api.delete(PODS, "default", "web", grace_seconds=10)
    assert agent.sync(uid) == 4
    assert Hook.PRE_STOP in {key[1] for key in agent.hooks.states(uid)}
