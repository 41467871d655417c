"""The life of a pod as plan, executor and status make it, over an engine in memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.node_agent import Killed, NodeAgent, container, pod
from fakes.runtime import FakeRuntime
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mini8s.agent.kubelet.probes.checks import WELL, Answer, Outcome
from mini8s.agent.runtime.base import EngineDown
from mini8s.agent.runtime.records import Container
from mini8s.objects import conditions
from mini8s.objects.errors import NotFound
from mini8s.objects.kinds import PODS


@pytest.fixture
def agent(tmp_path: Path) -> NodeAgent:
    return NodeAgent(tmp_path)


def condition(agent: NodeAgent, kind: str) -> tuple[str, str]:
    found = conditions.get({"status": agent.status()}, kind) or {}
    return found.get("status", ""), found.get("reason", "")


def test_a_pod_starts_and_is_ready(agent: NodeAgent) -> None:
    agent.create(pod())
    status = agent.status()
    assert status["phase"] == "Running"
    assert status["podIPs"] == [{"ip": "10.42.0.2"}]
    assert status["qosClass"] == "BestEffort"
    assert agent.container()["state"] == {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
    for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready", "PodReadyToStartContainers"):
        assert condition(agent, kind)[0] == "True"


def test_what_a_start_asks_of_the_engine_and_of_the_server(agent: NodeAgent) -> None:
    """The engine is what a start waits for, so it is asked little, and one container is made while the other
    starts."""
    assert agent.isolation.policy.cgroup_driver == "cgroupfs"  # asked for the first pod of all
    agent.runtime.calls.clear()
    agent.create(pod())
    verbs = [verb for verb, _ in agent.runtime.calls]
    assert verbs[:2] + sorted(verbs[2:5]) + verbs[5:] == [
        "pod",
        "create_sandbox",
        "create_container",
        "image",
        "start_sandbox",
        "start_container",
        "pod",
    ]
    assert [call.verb for call in agent.api.calls] == ["create", "patch"]  # its status, once


def test_a_second_round_does_nothing(agent: NodeAgent) -> None:
    uid = agent.create(pod())
    agent.runtime.calls.clear()
    agent.api.calls.clear()
    assert agent.sync(uid) is None
    assert {verb for verb, _ in agent.runtime.calls} == {"pod"}
    assert agent.api.calls == []


def test_back_off_grows_and_survives_the_agent(agent: NodeAgent) -> None:
    uid = agent.create(pod())
    waits = []
    for _ in range(8):
        agent.runtime.end(agent.runtime.newest("c").id, 1)
        agent.start()  # a new agent each time: the records alone tell
        wake = agent.sync(uid)
        waits.append(wake)
        if wake:
            assert agent.container()["state"]["waiting"]["reason"] == "CrashLoopBackOff"
            agent.clock.step(wake)
            agent.sync(uid)
    assert waits == [None, 10, 20, 40, 80, 160, 300, 300]
    assert agent.container()["restartCount"] == 8
    agent.clock.step(600)
    agent.runtime.end(agent.runtime.newest("c").id, 1)
    assert agent.sync(uid) is None, "ten minutes of running clear the back-off"


def test_the_back_off_message_is_upstreams(agent: NodeAgent) -> None:
    uid = agent.create(pod())
    for _ in range(2):
        agent.runtime.end(agent.runtime.newest("c").id, 1)
        agent.sync(uid)
    waiting = agent.container()["state"]["waiting"]
    assert waiting["message"] == f"back-off 10s restarting failed container=c pod=web_default({uid})"
    assert agent.container()["lastState"]["terminated"]["exitCode"] == 1
    assert condition(agent, "Ready") == ("False", "ContainersNotReady")


@pytest.mark.parametrize(
    ("policy", "code", "phase", "restarts"),
    [
        ("Never", 0, "Succeeded", 0),
        ("Never", 1, "Failed", 0),
        ("OnFailure", 0, "Succeeded", 0),
        ("OnFailure", 1, "Running", 1),
        ("Always", 0, "Running", 1),
    ],
)
def test_restart_policy(agent: NodeAgent, policy: str, code: int, phase: str, restarts: int) -> None:
    uid = agent.create(pod(restartPolicy=policy))
    agent.runtime.end(agent.runtime.newest("c").id, code)
    agent.sync(uid)
    assert (agent.status()["phase"], agent.container()["restartCount"]) == (phase, restarts)
    assert (agent.network.attached == {}) == (phase != "Running")


def test_oom_is_said(agent: NodeAgent) -> None:
    uid = agent.create(pod(restartPolicy="Never"))
    agent.runtime.end(agent.runtime.newest("c").id, 137, oom=True)
    agent.sync(uid)
    assert agent.container()["state"]["terminated"]["reason"] == "OOMKilled"


def test_init_containers_run_one_after_the_other(agent: NodeAgent) -> None:
    uid = agent.create(pod("web", initContainers=[container("i1"), container("i2")]))
    assert agent.status()["phase"] == "Pending"
    assert condition(agent, "Initialized") == ("False", "ContainersNotInitialized")
    assert agent.container()["state"]["waiting"]["reason"] == "PodInitializing"
    for name in ("i1", "i2"):
        agent.runtime.end(agent.runtime.newest(name).id, 0)
        agent.sync(uid)
    assert agent.status()["phase"] == "Running"
    assert [call for call in agent.runtime.calls if call[0] == "create_container"] == [
        ("create_container", name) for name in ("i1", "i2", "c")
    ]


def test_a_failed_init_container(agent: NodeAgent) -> None:
    uid = agent.create(pod("web", initContainers=[container("i")], restartPolicy="Never"))
    agent.runtime.end(agent.runtime.newest("i").id, 1)
    agent.sync(uid)
    assert agent.status()["phase"] == "Failed"
    assert agent.runtime.count("create_container") == 1


def test_sidecars_stay_and_go_last(agent: NodeAgent) -> None:
    side = container("side", restartPolicy="Always")
    uid = agent.create(pod("web", initContainers=[side, container("i")]))
    agent.runtime.end(agent.runtime.newest("i").id, 0)
    agent.sync(uid)
    assert agent.status()["phase"] == "Running"
    agent.runtime.end(agent.runtime.newest("side").id, 1)
    agent.sync(uid)
    assert agent.runtime.newest("side").attempt == 1
    agent.api.delete(PODS, "default", "web")
    agent.runtime.stubborn = True
    agent.sync(uid)
    assert agent.runtime.newest("side").running
    agent.runtime.end(agent.runtime.newest("c").id, 0)
    agent.runtime.stubborn = False
    agent.sync(uid)
    assert not agent.runtime.newest("side").running


def test_deletion_waits_for_the_grace_then_kills_then_forgets(agent: NodeAgent) -> None:
    uid = agent.create(pod())
    agent.runtime.stubborn = True
    agent.api.delete(PODS, "default", "web", grace_seconds=5)
    assert agent.sync(uid) == 5
    agent.clock.step(4)
    assert agent.sync(uid) == 1
    assert agent.runtime.newest("c").running
    agent.clock.step(1)
    agent.sync(uid)
    with pytest.raises(NotFound):
        agent.api.get(PODS, "default", "web")
    agent.sync(uid)
    assert agent.runtime.pods() == {}
    assert agent.network.attached == {}
    assert not list((agent.folder / "agent" / "pods").iterdir())


def test_a_deleted_pod_says_its_end_before_it_goes(agent: NodeAgent) -> None:
    uid = agent.create(pod())
    agent.api.delete(PODS, "default", "web")
    agent.sync(uid)
    said = [call for call in agent.api.calls if call.verb in {"patch", "delete"}][-2:]
    assert [call.verb for call in said] == ["patch", "delete"]
    assert said[0].body["status"]["phase"] == "Failed"
    assert said[1].body["grace"] == 0


def test_an_orphan_is_ended_with_its_own_grace(agent: NodeAgent) -> None:
    uid = agent.create(pod(terminationGracePeriodSeconds=7))
    agent.runtime.stubborn = True
    agent.api.delete(PODS, "default", "web", grace_seconds=0)
    agent.start()
    assert agent.sync(uid) == 7
    agent.clock.step(7)
    agent.sync(uid)
    assert agent.runtime.pods() == {}


def test_a_new_image_restarts_its_container_only(agent: NodeAgent) -> None:
    uid = agent.create(pod("web", container("a"), container("b")))
    agent.runtime.local.add("app:2")
    changed = agent.api.get(PODS, "default", "web")
    changed["spec"]["containers"][0]["image"] = "app:2"
    agent.api.update(PODS, changed)
    agent.sync(uid)
    assert (agent.runtime.newest("a").image, agent.runtime.newest("a").attempt) == ("app:2", 1)
    assert agent.runtime.newest("b").attempt == 0
    assert (
        "web",
        "Normal",
        "Killing",
        "Container a definition changed, will be restarted",
    ) in agent.events.said


def test_a_dead_sandbox_is_replaced_with_all_in_it(agent: NodeAgent) -> None:
    uid = agent.create(pod("web", initContainers=[container("i")]))
    agent.runtime.end(agent.runtime.newest("i").id, 0)
    agent.sync(uid)
    box = agent.runtime.pod(uid).sandbox  # type: ignore[union-attr]
    agent.runtime.end(agent.runtime.newest("c").id, 137)
    agent.runtime.end_sandbox(box.id)  # type: ignore[union-attr]
    agent.sync(uid)
    assert agent.runtime.newest("i").attempt == 1
    agent.runtime.end(agent.runtime.newest("i").id, 0)
    agent.sync(uid)
    assert agent.runtime.newest("c").attempt == 1
    assert [one.attempt for one in agent.runtime.pod(uid).sandboxes] == [1]  # type: ignore[union-attr]


def test_an_engine_that_is_down_concludes_nothing(agent: NodeAgent) -> None:
    uid = agent.create(pod())
    agent.runtime.down = True
    with pytest.raises(EngineDown):
        agent.sync(uid)
    agent.runtime.down = False
    assert agent.sync(uid) is None
    assert agent.runtime.count("start_container") == 1


def test_a_network_that_refuses_starts_nothing(agent: NodeAgent) -> None:
    agent.network.trouble = "no address is left in 10.42.0.0/24"
    uid = agent.create(pod())
    assert agent.container()["state"]["waiting"]["reason"] == "ContainerCreating"
    assert any("no address is left" in message for *_, message in agent.events.said)
    assert agent.runtime.count("create_container") == 0
    agent.network.trouble = ""
    agent.clock.step(2)
    agent.sync(uid)
    assert agent.status()["phase"] == "Running"


def test_a_sandbox_that_the_engine_refuses_leaves_nothing(agent: NodeAgent) -> None:
    agent.runtime.refuse_sandbox = "no space left on device"
    uid = agent.create(pod())
    assert agent.container()["state"]["waiting"]["reason"] == "ContainerCreating"
    assert any("Failed to create pod sandbox: no space" in message for *_, message in agent.events.said)
    assert agent.runtime.count("create_container") == 1, "it was made meanwhile"
    assert (agent.runtime.pods(), agent.network.attached) == ({}, {})
    agent.runtime.refuse_sandbox = ""
    agent.clock.step(2)
    agent.sync(uid)
    assert agent.status()["phase"] == "Running"


def test_a_container_that_cannot_be_made_yet_is_made_once_its_sandbox_runs(agent: NodeAgent) -> None:
    value = {"configMapKeyRef": {"name": "m", "key": "k"}}
    uid = agent.create(pod("web", container("c", env=[{"name": "A", "valueFrom": value}])))
    assert agent.container()["state"]["waiting"]["reason"] == "CreateContainerConfigError"
    assert [reason for _, _, reason, _ in agent.events.said].count("Failed") == 1, "it is tried once"
    agent.objects["configmaps", "default", "m"] = {"data": {"k": "v"}}
    agent.worker.retry(uid)
    agent.sync(uid)
    assert agent.status()["phase"] == "Running"
    assert agent.runtime.count("create_sandbox") == 1


def test_a_pull_that_fails_and_then_succeeds(agent: NodeAgent) -> None:
    uid = agent.create(pod("web", container("c", image="far:1")))
    assert agent.container()["state"]["waiting"]["reason"] == "ContainerCreating"
    agent.images.pull_next()
    assert agent.sync(uid) == 10
    waiting = agent.container()["state"]["waiting"]
    assert waiting["reason"] == "ImagePullBackOff"
    assert waiting["message"].startswith('Back-off pulling image "far:1": ErrImagePull: failed to pull')
    agent.runtime.pullable.add("far:1")
    agent.clock.step(10)
    agent.sync(uid)
    agent.images.pull_next()
    agent.sync(uid)
    assert agent.status()["phase"] == "Running"
    said = [reason for _, _, reason, _ in agent.events.said]
    assert said == ["Pulling", "Failed", "Failed", "BackOff", "Pulling", "Pulled", "Created", "Started"]


def test_a_missing_config_map_is_a_config_error(agent: NodeAgent) -> None:
    source = {"configMapKeyRef": {"name": "m", "key": "k"}}
    uid = agent.create(pod("web", container("c", env=[{"name": "A", "valueFrom": source}])))
    waiting = agent.container()["state"]["waiting"]
    assert waiting == {"reason": "CreateContainerConfigError", "message": 'configmap "m" not found'}
    agent.objects["configmaps", "default", "m"] = {"data": {"other": "x"}}
    agent.worker.retry(uid)
    agent.sync(uid)
    assert agent.container()["state"]["waiting"]["message"] == "couldn't find key k in ConfigMap default/m"
    agent.objects["configmaps", "default", "m"] = {"data": {"k": "v"}}
    agent.worker.retry(uid)
    agent.sync(uid)
    assert ("A", "v") in agent.runtime.specs[agent.runtime.newest("c").id].env  # type: ignore[union-attr]


def test_old_attempts_are_removed_but_for_one(agent: NodeAgent) -> None:
    uid = agent.create(pod())
    for _ in range(4):
        agent.runtime.end(agent.runtime.newest("c").id, 1)
        agent.clock.step(300)
        agent.sync(uid)
    assert [one.attempt for one in agent.runtime.pod(uid).containers] == [4, 3]  # type: ignore[union-attr]


KILLABLE = ("create_sandbox", "start_sandbox", "create_container", "start_container", "remove_sandbox",
            "remove_container", "terminate_container", "kill_container", "pod", "image")  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kills=st.lists(st.tuples(st.sampled_from(KILLABLE), st.integers(1, 4), st.booleans()), max_size=6),
    policy=st.sampled_from(["Always", "OnFailure", "Never"]),
    inits=st.integers(0, 2),
    exits=st.lists(st.tuples(st.sampled_from(["c", "i0", "i1"]), st.integers(0, 1)), max_size=4),
    hooks=st.booleans(),
)
def test_an_agent_killed_anywhere_converges_and_leaks_nothing(
    tmp_path_factory: pytest.TempPathFactory,
    kills: list[tuple[str, int, bool]],
    policy: str,
    inits: int,
    exits: list[tuple[str, int]],
    hooks: bool,
) -> None:
    agent = NodeAgent(tmp_path_factory.mktemp("node"))
    sleep = {"sleep": {"seconds": 1}}
    main = container("c", **({"lifecycle": {"postStart": sleep, "preStop": sleep}} if hooks else {}))
    first = [container(f"i{n}") for n in range(inits)]
    made = agent.api.create(PODS, pod("web", main, restartPolicy=policy, initContainers=first))
    uid = made["metadata"]["uid"]
    mortal(agent, kills)
    for name, code in exits:
        settle(agent, uid)
        for one in running(agent, uid):
            if one.name == name:
                agent.runtime.end(one.id, code)
    settle(agent, uid)
    names = [one.name for one in running(agent, uid)]
    assert len(names) == len(set(names)), "never two attempts at once"
    calls = len(agent.runtime.calls)
    settle(agent, uid)
    assert {verb for verb, _ in agent.runtime.calls[calls:]} <= {"pod"}, "a second plan is empty"
    agent.api.delete(PODS, "default", "web")
    settle(agent, uid)
    assert agent.runtime.pods() == {}
    assert agent.network.attached == {}
    assert agent.api.list(PODS).items == []
    assert list((agent.folder / "agent" / "pods").iterdir()) == []


def running(agent: NodeAgent, uid: str) -> list[Container]:
    """What runs of the pod, asked behind the agent's back."""
    found = FakeRuntime.pod(agent.runtime, uid)
    return [one for one in found.containers if one.running] if found else []


def mortal(agent: NodeAgent, kills: list[tuple[str, int, bool]]) -> None:
    """Kill the agent at the nth call of a verb, before it is done or after."""
    left = [list(kill) for kill in kills]

    def wrap(verb: str):  # type: ignore[no-untyped-def]
        real = getattr(agent.runtime, verb)

        def call(*arguments, **more):  # type: ignore[no-untyped-def]
            due = False
            for kill in left:
                if kill[0] == verb:
                    kill[1] -= 1
                    due = due or kill[1] == 0
                    after = kill[2]
            if due and not after:
                raise Killed
            result = real(*arguments, **more)
            if due:
                raise Killed
            return result

        return call

    for verb in {kill[0] for kill in kills}:
        setattr(agent.runtime, verb, wrap(verb))


def settle(agent: NodeAgent, uid: str) -> None:
    """Let time go by until nothing is left to do."""
    for _ in range(60):
        try:
            wake = agent.sync(uid)
        except Killed:
            agent.start()
            continue
        if wake is None and (agent.wanted(uid) or not agent.runtime.pods()):
            return
        agent.clock.step(wake or 0.1)
    raise AssertionError("the pod does not come to rest")


def test_a_readiness_probe_is_heard_while_the_engine_is_down(agent: NodeAgent) -> None:
    probe = {"tcpSocket": {"port": 1}, "failureThreshold": 1}
    uid = agent.create(pod("web", container("c", readinessProbe=probe)))
    address = agent.status()["podIP"]
    agent.prober._count(uid, (agent.runtime.newest("c").id, "readiness"), WELL)
    agent.sync(uid)
    assert condition(agent, "Ready") == ("True", "")
    agent.runtime.down = True
    agent.prober._count(uid, (agent.runtime.newest("c").id, "readiness"), Answer(Outcome.FAILURE))
    with pytest.raises(EngineDown):
        agent.sync(uid)
    agent.statuses.write(uid)
    assert condition(agent, "Ready") == ("False", "ContainersNotReady")
    assert agent.container()["state"]["running"]
    assert agent.status()["podIP"] == address
    assert condition(agent, "PodReadyToStartContainers")[0] == "True"


def test_an_agent_that_was_killed_takes_no_pod_out_of_service(agent: NodeAgent) -> None:
    """What the next one finds on its disk is from before the pod was ready."""
    uid = agent.create(pod("web", container("c", readinessProbe={"tcpSocket": {"port": 1}})))
    before = agent.wanted(uid)
    assert before
    agent.prober._count(uid, (agent.runtime.newest("c").id, "readiness"), WELL)
    agent.sync(uid)
    said = agent.status()
    agent.told, agent.before = lambda: False, {uid: before}
    agent.start()
    assert agent.sync(uid) is None, "it is looked at again when the server is heard"
    assert agent.status() == said
    agent.told = iter([False, True]).__next__
    assert agent.sync(uid) == 0.0, "the server was heard meanwhile"
    agent.told, agent.before = lambda: True, {}
    agent.sync(uid)
    assert agent.status() == said


def test_a_container_restarts_with_the_files_of_a_config_map_that_is_gone(agent: NodeAgent) -> None:
    volumes = [{"name": "v", "configMap": {"name": "map"}}]
    wanted = pod("web", container("c", volumeMounts=[{"name": "v", "mountPath": "/v"}]), volumes=volumes)
    agent.objects["configmaps", "default", "map"] = {"data": {"color": "blue"}}
    uid = agent.create(wanted)
    agent.objects.clear()
    agent.runtime.end(agent.runtime.newest("c").id, 1)
    agent.sync(uid)
    assert agent.container()["restartCount"] == 1
    assert agent.container()["state"]["running"]
    (folder,) = agent.folder.rglob("volumes/v")
    assert (folder / "color").read_text() == "blue"
    assert ("web", "Warning", "FailedMount") in [said[:3] for said in agent.events.said]


def test_what_probes_say_is_told_while_the_pods_worker_hangs_in_the_engine(agent: NodeAgent) -> None:
    """Nothing is asked of an engine that hangs, and the rest of the status stays as it was."""
    probe = {"tcpSocket": {"port": 1}, "failureThreshold": 1}
    uid = agent.create(pod("web", container("c", readinessProbe=probe)))
    before = agent.status()
    agent.prober._count(uid, (agent.runtime.newest("c").id, "readiness"), WELL)
    agent.runtime.calls.clear()
    agent.worker.report_unseen(uid)
    agent.statuses.write(uid)
    assert agent.runtime.calls == []
    assert condition(agent, "Ready") == ("True", "")
    for part in ("podIP", "phase", "startTime"):
        assert agent.status()[part] == before[part]
    agent.worker.report_unseen("nobody")


def test_last_words_wait_for_the_engine(agent: NodeAgent) -> None:
    """A log that could not be read is no empty log."""
    spec = container("c", terminationMessagePolicy="FallbackToLogsOnError")
    uid = agent.create(pod("web", spec, restartPolicy="Never"))
    newest = agent.runtime.newest("c").id
    agent.runtime.output[newest] = [b"why\n"]
    agent.runtime.end(newest, 1)
    real = agent.runtime.logs

    def down(*_arguments: object, **_more: object) -> None:
        raise EngineDown

    agent.runtime.logs = down  # type: ignore[method-assign, assignment]
    with pytest.raises(EngineDown):
        agent.sync(uid)
    agent.runtime.logs = real  # type: ignore[method-assign]
    agent.sync(uid)
    assert agent.container()["state"]["terminated"]["message"] == "why\n"
