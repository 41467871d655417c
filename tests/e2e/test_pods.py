"""What a pod is promised, on real Docker, as kubectl shows it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hosts.cluster import Cluster
from space import BUSYBOX, Space, config_map, container, container_of, pod, secret, space_of

FOREVER = "sleep 1000"


@pytest.fixture
def here(one_host: Cluster, request: pytest.FixtureRequest) -> Iterator[Space]:
    with space_of(one_host, request) as made:
        yield made


def terminated(status: dict[str, Any], container: str = "main") -> dict[str, Any]:
    """How a container ended, this time or the time before."""
    listed = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    found = next((one for one in listed if one["name"] == container), {"state": {}, "lastState": {}})
    ended: dict[str, Any] = found["state"].get("terminated") or found["lastState"].get("terminated") or {}
    return ended


def waiting(status: dict[str, Any]) -> str:
    """Why the first container waits."""
    listed = status.get("containerStatuses") or [{"state": {}}]
    return str(listed[0]["state"].get("waiting", {}).get("reason", ""))


def test_init_containers_run_one_after_another_before_the_pod(here: Space) -> None:
    shared = {"volumeMounts": [{"name": "shared", "mountPath": "/shared"}]}
    init = [container(f"echo {name} >>/shared/order", **shared) | {"name": name} for name in ("one", "two")]
    main = container(f"cat /shared/order; {FOREVER}", **shared)
    here.apply(pod("ordered", main, initContainers=init, volumes=[{"name": "shared", "emptyDir": {}}]))
    here.kubectl("wait", "--for=condition=Ready", "pod/ordered", "--timeout=120s")
    here.cluster.wait_for("the order", lambda: here.logs("ordered", "--container=main") == "one\ntwo\n")
    status = here.get("pod", "ordered")["status"]
    first, second = (terminated(status, name) for name in ("one", "two"))
    assert first["reason"] == second["reason"] == "Completed"
    assert first["finishedAt"] <= second["startedAt"]
    assert {one["type"] for one in status["conditions"] if one["status"] == "True"} >= {
        "Initialized",
        "Ready",
    }


def test_restart_policies(here: Space) -> None:
    once = "if [ -e /shared/again ]; then exit 0; fi; touch /shared/again; exit 4"
    volumes = [{"name": "shared", "emptyDir": {}}]
    mounts = {"volumeMounts": [{"name": "shared", "mountPath": "/shared"}]}
    here.apply(
        pod("never", container("exit 3"), restartPolicy="Never"),
        pod("done", container("exit 0"), restartPolicy="Never"),
        pod("on-failure", container(once, **mounts), restartPolicy="OnFailure", volumes=volumes),
        pod("always", container("exit 5")),
    )
    never = here.wait_phase("never", "Failed")["status"]
    assert {"exitCode": 3, "reason": "Error"}.items() <= terminated(never).items()
    assert never["containerStatuses"][0]["restartCount"] == 0
    assert terminated(here.wait_phase("done", "Succeeded")["status"])["reason"] == "Completed"
    on_failure = here.wait_phase("on-failure", "Succeeded")["status"]["containerStatuses"][0]
    assert on_failure["restartCount"] == 1
    assert on_failure["lastState"]["terminated"]["exitCode"] == 4
    back_off = "back-off 10s restarting failed container=main"
    here.wait("always", "its first back-off", lambda status: back_off in str(status))
    here.cluster.wait_for("the table", lambda: "CrashLoopBackOff" in here.kubectl("get", "pod", "always"))
    here.cluster.wait_for("its event", lambda: "BackOff" in here.kubectl("describe", "pod", "always"))


def test_a_pod_gets_its_grace_to_end_and_no_more(here: Space) -> None:
    polite = "trap 'echo goodbye; exit 0' TERM; echo hello; while :; do sleep 0.1; done"
    deaf = "trap '' TERM; echo hello; while :; do sleep 0.1; done"
    here.apply(
        pod("polite", container(polite), terminationGracePeriodSeconds=100),
        pod("deaf", container(deaf), terminationGracePeriodSeconds=3),
    )
    here.kubectl("wait", "--for=condition=Ready", "pod", "--all", "--timeout=120s")
    here.cluster.wait_for("both to listen", lambda: here.logs("polite") == here.logs("deaf") == "hello\n")
    command = here.cluster.kubectl_command("logs", "--follow", "polite", f"--namespace={here.name}")
    follower = here.cluster.hosts[1].popen(*command, stdout=subprocess.PIPE, text=True)
    began = time.monotonic()
    here.kubectl("delete", "pod", "polite")
    assert time.monotonic() - began < 90
    assert follower.communicate(timeout=60)[0] == "hello\ngoodbye\n"
    began = time.monotonic()
    here.kubectl("delete", "pod", "deaf")
    assert 2.5 < time.monotonic() - began < 90


def test_environment_from_all_sources(here: Space) -> None:
    env = [
        {"name": "PLAIN", "value": "plain"},
        {"name": "COMPOSED", "value": "$(PLAIN) and $$(PLAIN)"},
        {"name": "OF_MAP", "valueFrom": {"configMapKeyRef": {"name": "map", "key": "color"}}},
        {"name": "OF_SECRET", "valueFrom": {"secretKeyRef": {"name": "hidden", "key": "word"}}},
        {"name": "ABSENT", "valueFrom": {"configMapKeyRef": {"name": "no", "key": "no", "optional": True}}},
        *(
            {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
            for name, path in (
                ("POD", "metadata.name"),
                ("LABEL", "metadata.labels['app']"),
                ("NODE", "spec.nodeName"),
                ("ADDRESS", "status.podIP"),
            )
        ),
        {"name": "LIMIT", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
    ]
    sources = [
        {"configMapRef": {"name": "map"}, "prefix": "MAP_"},
        {"secretRef": {"name": "hidden"}},
        {"configMapRef": {"name": "nowhere", "optional": True}},
    ]
    main = container("env", env=env, envFrom=sources, resources={"limits": {"memory": "32Mi"}})
    here.apply(
        config_map("map", color="green"),
        secret("hidden", word="sesame"),
        pod("env", main, restartPolicy="Never"),
    )
    address = here.wait_phase("env", "Succeeded")["status"]["podIP"]
    said = dict(line.split("=", 1) for line in here.logs("env").splitlines())
    expected = {
        "PLAIN": "plain",
        "COMPOSED": "plain and $(PLAIN)",
        "OF_MAP": "green",
        "OF_SECRET": "sesame",
        "POD": "env",
        "LABEL": "env",
        "NODE": "h1",
        "ADDRESS": address,
        "LIMIT": "32",
        "MAP_color": "green",
        "word": "sesame",
        "KUBERNETES_SERVICE_HOST": "10.43.0.1",
        "HOSTNAME": "env",
    }
    assert expected.items() <= said.items()
    assert "ABSENT" not in said


def test_volumes_of_all_sorts(here: Space, tmp_path: Path) -> None:
    (tmp_path / "given").write_text("from the host\n")
    fields = [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]
    volumes = {
        "empty": {"emptyDir": {}},
        "memory": {"emptyDir": {"medium": "Memory"}},
        "host": {"hostPath": {"path": str(tmp_path), "type": "Directory"}},
        "map": {"configMap": {"name": "map"}},
        "items": {"configMap": {"name": "map", "items": [{"key": "color", "path": "deep/paint"}]}},
        "secret": {"secret": {"secretName": "hidden", "defaultMode": 0o400}},
        "about": {"downwardAPI": {"items": fields}},
    }
    mounts = [{"name": name, "mountPath": f"/{name}"} for name in volumes]
    single = {"name": "map", "mountPath": "/etc/color", "subPath": "color"}
    main = container("echo kept >/empty/file; " + FOREVER, volumeMounts=[*mounts, single])
    side = container(FOREVER, volumeMounts=mounts[:1]) | {"name": "side"}
    here.apply(
        config_map("map", color="green"),
        secret("hidden", word="sesame"),
        pod("volumes", main, side, volumes=[{"name": name} | one for name, one in volumes.items()]),
    )
    here.kubectl("wait", "--for=condition=Ready", "pod/volumes", "--timeout=120s")
    read = "cat /map/color /items/deep/paint /secret/word /etc/color; stat -Lc %a /secret/word"
    assert here.exec("volumes", read) == "greengreensesamegreen400\n"
    kept = "cat /empty/file 2>/dev/null; true"
    here.cluster.wait_for("what main writes", lambda: here.exec("volumes", kept, "side") == "kept\n")
    assert here.exec("volumes", "cat /about/labels") == 'app="volumes"'
    assert here.exec("volumes", "grep -c ' /memory tmpfs ' /proc/mounts") == "1\n"
    here.exec("volumes", "cp /host/given /host/taken")
    assert (tmp_path / "taken").read_text() == "from the host\n"
    here.kubectl("patch", "configmap", "map", "--patch", '{"data": {"color": "blue"}}')
    here.cluster.wait_for("the new value", lambda: here.exec("volumes", "cat /map/color") == "blue")
    assert here.exec("volumes", "cat /etc/color") == "green"  # a subPath stays what it was


def test_limits_reach_the_kernel_and_their_breach_the_status(here: Space) -> None:
    limits = {"limits": {"cpu": "250m", "memory": "24Mi"}, "requests": {"cpu": "100m", "memory": "8Mi"}}
    # the tail of an endless line without an end is kept in memory: more than there is
    greedy = container("exec tail /dev/zero", resources=limits)
    here.apply(
        pod("limited", container(FOREVER, resources=limits)),
        pod("greedy", greedy, restartPolicy="Never"),
    )
    either = "cat /sys/fs/cgroup/{0} 2>/dev/null || cat /sys/fs/cgroup/{1}"
    memory = here.exec("limited", either.format("memory.max", "memory/memory.limit_in_bytes"))
    assert int(memory) == 24 << 20
    cpu = here.exec("limited", either.format("cpu.max", "cpu/cpu.cfs_quota_us")).split()[0]
    assert int(cpu) == 25000
    ended = terminated(here.wait_phase("greedy", "Failed")["status"])
    assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)
    assert "OOMKilled" in here.kubectl("get", "pod", "greedy")
    assert here.get("pod", "limited")["status"]["qosClass"] == "Burstable"


def test_probes_restart_and_keep_out_of_the_endpoints(here: Space, tmp_path: Path) -> None:
    (tmp_path / "ready").touch()
    quick = {"periodSeconds": 1, "failureThreshold": 1, "timeoutSeconds": 20}
    web = "mkdir /www; touch /www/ok; httpd -p 80 -h /www; " + FOREVER
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
    }
    main = container(
        web,
        readinessProbe={"exec": {"command": ["test", "-e", "/host/ready"]}} | quick,
        livenessProbe={"tcpSocket": {"port": 80}} | quick | {"initialDelaySeconds": 1},
        startupProbe={"httpGet": {"path": "/ok", "port": 80}} | quick | {"failureThreshold": 20},
        volumeMounts=[{"name": "host", "mountPath": "/host"}],
    )
    ill = container(
        "touch /well; sleep 1; rm /well; " + FOREVER,
        livenessProbe={"exec": {"command": ["cat", "/well"]}} | quick,
    )
    host = {"name": "host", "hostPath": {"path": str(tmp_path)}}
    here.apply(pod("web", main, volumes=[host]), pod("ill", ill), service)
    here.kubectl("wait", "--for=condition=Ready", "pod/web", "--timeout=120s")
    address = here.pod("web")["status"]["podIP"]
    here.cluster.wait_for("its endpoint", lambda: addresses(here) == ([address], []))
    (tmp_path / "ready").unlink()
    here.kubectl("wait", "--for=condition=Ready=false", "pod/web", "--timeout=120s")
    here.cluster.wait_for("its endpoint to go", lambda: addresses(here) == ([], [address]))
    (tmp_path / "ready").touch()
    here.cluster.wait_for("its endpoint again", lambda: addresses(here) == ([address], []))
    status = here.wait("ill", "a restart", lambda status: container_of(status).get("restartCount"))
    assert status
    assert container_of(here.pod("web")["status"])["restartCount"] == 0
    for told in (
        "Liveness probe failed: cat: can't open '/well': No such file or directory",
        "Container main failed liveness probe, will be restarted",
    ):
        here.cluster.wait_for(told, lambda told=told: told in here.kubectl("describe", "pod", "ill"))  # type: ignore[misc]


def addresses(here: Space) -> tuple[list[str], list[str]]:
    """The Service's ready addresses and the others."""
    [subset] = here.get("endpoints", "web").get("subsets") or [{}]
    ready, others = (
        [one["ip"] for one in subset.get(part, ())] for part in ("addresses", "notReadyAddresses")
    )
    return ready, others


def test_logs_in_every_form(here: Space) -> None:
    first = "if [ -e /shared/again ]; then for i in 1 2 3; do echo second $i; done; sleep 1000; fi; "
    script = first + "touch /shared/again; echo first; echo complaint >&2; sleep 1"
    shared = {"volumeMounts": [{"name": "shared", "mountPath": "/shared"}]}
    side = container(f"echo from the side; {FOREVER}") | {"name": "side"}
    here.apply(pod("talker", container(script, **shared), side, volumes=[{"name": "shared", "emptyDir": {}}]))
    restarted = here.wait("talker", "a restart", lambda status: container_of(status).get("restartCount"))
    assert restarted == 1
    main = ("talker", "--container=main")  # old kubectls don't choose one
    here.cluster.wait_for("its words", lambda: here.logs(*main).count("\n") == 3)
    assert here.logs(*main) == "second 1\nsecond 2\nsecond 3\n"
    assert sorted(here.logs(*main, "--previous").splitlines()) == ["complaint", "first"]
    assert here.logs(*main, "--tail=1") == "second 3\n"
    assert here.logs("talker", "--container=side") == "from the side\n"
    assert here.logs(*main, "--since=1h").startswith("second 1\n")
    stamp, _, words = here.logs(*main, "--timestamps", "--tail=1").partition(" ")
    assert (stamp[:2], words) == ("20", "second 3\n")
    assert here.logs(*main, f"--since-time={stamp[:4]}-01-01T00:00:00Z", "--limit-bytes=6") == "second"
    said = here.logs("--selector=app=talker", "--all-containers", "--prefix", "--tail=1")
    assert "[pod/talker/side] from the side" in said
    assert "container other is not valid for pod talker" in here.refused("logs", "talker", "-c", "other")


def test_what_hinders_a_pod_is_said_in_its_status_and_events(here: Space) -> None:
    env = [{"name": "COLOR", "valueFrom": {"configMapKeyRef": {"name": "missing", "key": "color"}}}]
    volume = {"name": "missing", "configMap": {"name": "missing"}}
    mounts = [{"name": "missing", "mountPath": "/missing"}]
    here.apply(
        pod("no-image", {"name": "main", "image": "127.0.0.1:1/nothing:1"}),
        pod("no-pull", {"name": "main", "image": "nothing:1", "imagePullPolicy": "Never"}),
        pod("no-config", container(FOREVER, env=env)),
        pod("no-volume", container(FOREVER, volumeMounts=mounts), volumes=[volume]),
        pod("no-program", {"name": "main", "image": BUSYBOX, "command": ["/no/such/program"]}),
        pod("no-node", container(FOREVER), nodeSelector={"disk": "fast"}),
    )
    for name, reasons in {
        "no-image": ("ErrImagePull", "ImagePullBackOff"),
        "no-pull": ("ErrImageNeverPull",),
        "no-config": ("CreateContainerConfigError",),
        "no-volume": ("ContainerCreating",),
        "no-program": ("RunContainerError", "CrashLoopBackOff"),
    }.items():
        here.wait(name, f"one of {reasons}", lambda status, wanted=reasons: waiting(status) in wanted)
    here.wait("no-image", "back-off", lambda status: waiting(status) == "ImagePullBackOff")
    for name, words in {
        "no-image": 'Back-off pulling image "127.0.0.1:1/nothing:1"',
        "no-pull": 'Container image "nothing:1" is not present with pull policy of Never',
        "no-config": 'Error: configmap "missing" not found',
        "no-volume": 'MountVolume.SetUp failed for volume "missing" : configmap "missing" not found',
        "no-program": "/no/such/program",
        "no-node": "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. "
        "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.",
    }.items():
        here.cluster.wait_for(
            f"{name} to say {words}",
            lambda pod=name, said=words: said in here.kubectl("describe", "pod", pod),
            pause=0.5,
        )
    here.apply(config_map("missing", color="green"))
    here.wait_phase("no-config", "Running")
    here.wait_phase("no-volume", "Running")
    assert here.exec("no-config", "echo $COLOR") == "green\n"


def test_describe_tells_a_pods_story(here: Space) -> None:
    here.apply(pod("story", container(FOREVER)))
    here.kubectl("wait", "--for=condition=Ready", "pod/story", "--timeout=120s")
    story = (
        f"Successfully assigned {here.name}/story to h1",
        f'Container image "{BUSYBOX}" already present on machine',
        "Created container: main",
        "Started container main",
    )
    here.cluster.wait_for(
        "the story",
        lambda: all(part in here.kubectl("describe", "pod", "story") for part in story),
        pause=0.5,
    )
