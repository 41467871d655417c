"""What a pod lives through, on real Docker, as kubectl shows it: hooks, probes, deadlines, static pods."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hosts import Host
from hosts.cluster import Cluster
from space import BUSYBOX, Obj, Space, container, container_of, pod, space_of

FOREVER = "sleep 1000"
OWN_IMAGE = "own:1"
GRPC_SERVER = """
import sys
from concurrent import futures
import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
server = grpc.server(futures.ThreadPoolExecutor(2))
servicer = health.HealthServicer()
servicer.set("", health_pb2.HealthCheckResponse.SERVING)
servicer.set("ill", health_pb2.HealthCheckResponse.NOT_SERVING)
health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
server.add_insecure_port(sys.argv[1])
server.start()
server.wait_for_termination()
"""


@pytest.fixture
def here(one_host: Cluster, request: pytest.FixtureRequest) -> Iterator[Space]:
    with space_of(one_host, request) as made:
        yield made


def named(name: str, script: str = FOREVER, **more: Any) -> Obj:
    return {**container(script, **more), "name": name}


def sh(script: str) -> Obj:
    return {"exec": {"command": ["sh", "-c", script]}}


def state(status: Obj, name: str = "main", which: str = "state") -> Obj:
    words = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
    listed = (one for word in words for one in status.get(word) or ())
    return next((one[which] for one in listed if one["name"] == name), {})


def told(here: Space, name: str, *words: str) -> None:
    """Until `kubectl describe` says all of it."""
    here.cluster.wait_for(
        f"{name} to tell {words}",
        lambda: all(word in here.kubectl("describe", "pod", name) for word in words),
        pause=0.5,
    )


def test_hooks(here: Space, tmp_path: Path) -> None:
    host = {"volumeMounts": [{"name": "host", "mountPath": "/host"}]}
    volumes = [{"name": "host", "hostPath": {"path": str(tmp_path)}}]
    start = sh("[ -e /host/go ] || exec sh -c 'until [ -e /host/go ]; do sleep 0.1; done'")
    stop = {"postStart": start, "preStop": sh("echo $(hostname) >>/host/stopped; sleep 0.3")}
    trap = "trap 'echo term >>/host/stopped; exit 0' TERM; while :; do sleep 0.1; done"
    first = named("first", trap, lifecycle=stop, **host)
    here.apply(
        pod(
            "hooked",
            first,
            named("second", "trap 'exit 0' TERM; while :; do sleep 0.1; done"),
            volumes=volumes,
            terminationGracePeriodSeconds=20,
        ),
        pod("bad-start", container(FOREVER, lifecycle={"postStart": sh("echo why; exit 3")})),
        pod(
            "bad-stop",
            container(FOREVER, lifecycle={"preStop": sh("exit 1")}),
            terminationGracePeriodSeconds=4,
        ),
        pod("asleep", container(FOREVER, lifecycle={"preStop": {"sleep": {"seconds": 1}}})),
    )
    here.cluster.wait_for("the hook", lambda: "first" in here.cluster.hosts[1].docker("ps"))
    creating = {"waiting": {"reason": "ContainerCreating"}}
    here.wait("hooked", "to be waited for", lambda status: state(status, "second") == creating)
    assert here.pod("hooked")["status"]["phase"] == "Pending"
    (tmp_path / "go").touch()
    here.kubectl("wait", "--for=condition=Ready", "pod/hooked", "pod/bad-stop", "--timeout=120s")
    here.kubectl("delete", "pod", "hooked")
    assert (tmp_path / "stopped").read_text().split() == ["hooked", "term"]
    here.kubectl("delete", "pod", "bad-stop", "--wait=false")
    here.wait("bad-start", "a restart", lambda status: "terminated" in state(status, which="lastState"))
    told(here, "bad-start", "FailedPostStartHook", "PostStartHook failed", "Killing")
    here.cluster.wait_for("its event", lambda: "PreStopHook failed" in here.kubectl("get", "events"))


def test_signals_and_last_words(here: Space, tmp_path: Path) -> None:
    host = {"volumeMounts": [{"name": "host", "mountPath": "/host"}]}
    trap = "trap 'pwd >/host/asked; exit 0' USR1; >/host/listens; while :; do sleep 0.1; done"
    here.apply(
        pod(
            "asked",
            container(trap, lifecycle={"stopSignal": "SIGUSR1"}, workingDir="/tmp", **host),
            volumes=[{"name": "host", "hostPath": {"path": str(tmp_path)}}],
            os={"name": "linux"},
            terminationGracePeriodSeconds=20,
        ),
        pod(
            "spoken",
            container("printf words >/words; echo log; exit 3", terminationMessagePath="/words"),
            named("logged", "echo log; exit 3", terminationMessagePolicy="FallbackToLogsOnError"),
            named("silent", "echo log; exit 3"),
            restartPolicy="Never",
        ),
    )
    here.kubectl("wait", "--for=condition=Ready", "pod/asked", "--timeout=120s")
    spoken = here.wait_phase("spoken", "Failed")["status"]
    said = {name: state(spoken, name)["terminated"].get("message") for name in ("main", "logged", "silent")}
    assert said == {"main": "words", "logged": "log\n", "silent": None}
    here.cluster.wait_for("it to listen", (tmp_path / "listens").exists)
    here.kubectl("delete", "pod", "asked")
    assert (tmp_path / "asked").read_text() == "/tmp\n"


def test_sidecars_begin_first_and_end_last(here: Space, tmp_path: Path) -> None:
    host = {"volumeMounts": [{"name": "host", "mountPath": "/host"}]}
    script = (
        "trap 'echo -{0} >>/host/order; exit 0' TERM; echo +{0} >>/host/order; while :; do sleep 0.05; done"
    )

    def side(name: str, **more: Any) -> Obj:
        return named(name, script.format(name), restartPolicy="Always", **host, **more)

    started = {"startupProbe": sh("grep -q +one /host/order") | {"periodSeconds": 1}}
    inits = [side("one", **started), named("init", "echo init >>/host/order", **host), side("two")]
    here.apply(
        pod(
            "order",
            named("main", script.format("main"), **host),
            initContainers=inits,
            volumes=[{"name": "host", "hostPath": {"path": str(tmp_path)}}],
            terminationGracePeriodSeconds=20,
        ),
        pod(
            "job",
            container("exit 0"),
            initContainers=[named("stays", restartPolicy="Always")],
            restartPolicy="Never",
        ),
    )
    here.kubectl("wait", "--for=condition=Ready", "pod/order", "--timeout=120s")
    here.cluster.wait_for("main", lambda: "+main" in (tmp_path / "order").read_text())
    here.kubectl("delete", "pod", "order")
    order = (tmp_path / "order").read_text().split()
    assert order == ["+one", "init", "+two", "+main", "-main", "-two", "-one"]
    done = here.wait_phase("job", "Succeeded")["status"]
    assert state(done, "stays")["terminated"]["exitCode"] in {137, 143}


def test_debugging_a_pod_that_runs(here: Space) -> None:
    here.apply(pod("web", named("main", "exec sleep 4321")))
    here.kubectl("wait", "--for=condition=Ready", "pod/web", "--timeout=120s")
    words = ("--image", BUSYBOX, "--container=look", "--target=main", "--image-pull-policy=IfNotPresent")
    here.kubectl("debug", "web", *words, "--", "sh", "-c", "ps; exit 7")
    here.wait("web", "the debugger's end", lambda status: "terminated" in state(status, "look"))
    assert "sleep 4321" in here.logs("web", "--container=look"), "it sees the other's processes"
    found = here.pod("web")["status"]
    assert state(found, "look")["terminated"]["exitCode"] == 7
    assert container_of(found)["restartCount"] == 0
    assert "1/1" in here.kubectl("get", "pod", "web")


def test_a_pod_that_is_active_too_long(here: Space) -> None:
    here.apply(pod("late", container(FOREVER), activeDeadlineSeconds=2))
    status = here.wait_phase("late", "Failed")["status"]
    assert status["reason"] == "DeadlineExceeded"
    assert status["message"] == "Pod was active on the node longer than the specified deadline"


def test_readiness_gates(here: Space) -> None:
    here.apply(pod("gated", container(FOREVER), readinessGates=[{"conditionType": "mini8s.io/open"}]))
    here.kubectl("wait", "--for=condition=ContainersReady", "pod/gated", "--timeout=120s")
    assert "ReadinessGatesNotReady" in here.kubectl("get", "pod", "gated", "--output=yaml")
    opened = {"status": {"conditions": [{"type": "mini8s.io/open", "status": "True"}]}}
    here.kubectl("patch", "pod", "gated", "--subresource=status", f"--patch={json.dumps(opened)}")
    here.kubectl("wait", "--for=condition=Ready", "pod/gated", "--timeout=120s")


def test_each_kind_of_probe_and_its_numbers(here: Space, tmp_path: Path) -> None:
    quick: Obj = {"periodSeconds": 1, "failureThreshold": 1, "timeoutSeconds": 20}
    host = here.cluster.hosts[1]
    grpc = host.popen(sys.executable, "-c", GRPC_SERVER, f"{host.ip}:7901")
    well, ill = ({"grpc": {"port": 7901, "service": name}} for name in ("", "ill"))
    web = "mkdir /www; touch /www/ok; httpd -p 8080 -h /www; " + FOREVER
    deaf = "trap '' TERM; " + "while :; do sleep 0.1; done"
    try:
        here.apply(
            pod("well", container(FOREVER, readinessProbe=well | quick), hostNetwork=True),
            pod("ill", container(FOREVER, readinessProbe=ill | quick), hostNetwork=True),
            pod(
                "web",
                container(
                    web,
                    ports=[{"name": "http", "containerPort": 8080}],
                    startupProbe={"tcpSocket": {"port": "http"}} | quick | {"failureThreshold": 30},
                    readinessProbe={"httpGet": {"path": "/ok", "port": "http"}}
                    | quick
                    | {"successThreshold": 2},
                    livenessProbe={"httpGet": {"path": "/gone", "port": "nope"}} | quick,
                ),
            ),
            pod(
                "deaf",
                container(deaf, livenessProbe=sh("exit 1") | quick | {"terminationGracePeriodSeconds": 1}),
                terminationGracePeriodSeconds=600,
            ),
            pod("slow", container(FOREVER, readinessProbe=sh("sleep 5") | quick | {"timeoutSeconds": 1})),
        )
        here.kubectl("wait", "--for=condition=Ready", "pod/well", "pod/web", "--timeout=120s")
        told(here, "ill", 'Readiness probe failed: service unhealthy (responded with "NOT_SERVING")')
        told(here, "web", "Liveness probe errored and resulted in unknown state: couldn't find port: nope")
        told(here, "slow", "Readiness probe failed: command timed out")
        here.wait("deaf", "a restart", lambda status: container_of(status).get("restartCount"))
    finally:
        grpc.kill()
        grpc.wait()
    assert container_of(here.pod("web")["status"])["restartCount"] == 0
    assert state(here.pod("deaf")["status"], which="lastState")["terminated"]["exitCode"] == 137
    here.kubectl("wait", "--for=condition=Ready=false", "pod/well", "--timeout=120s")
    here.kubectl("delete", "pod", "deaf", "--grace-period=1")


def image_of(host: Host, user: str) -> None:
    """An image whose containers run as that user."""
    made = host.docker("create", BUSYBOX, "true").strip()
    host.run("sh", "-c", f"docker export {made} | docker import --change 'USER {user}' - {OWN_IMAGE}")
    host.docker("rm", made)


def test_what_is_bad_is_said_and_recovers(here: Space, tmp_path: Path) -> None:
    """A port that somebody has, a program that isn't there until it is, and a user that the image hasn't."""
    host = here.cluster.hosts[1]
    image_of(host, "ghost")
    holder = host.popen("busybox", "nc", "-l", "-p", "7902")
    volumes = [{"name": "host", "hostPath": {"path": str(tmp_path)}}]
    mounts = [{"name": "host", "mountPath": "/host"}]
    late = {"name": "main", "image": BUSYBOX, "command": ["/host/program"], "volumeMounts": mounts}
    try:
        here.apply(
            pod("port", container("exec nc -l -p 7902"), hostNetwork=True),
            pod("program", late, volumes=volumes),
            pod("user", container("id -un; exec sleep 1000") | {"image": OWN_IMAGE}),
            pod("number", container("id -u; exec sleep 1000", securityContext={"runAsUser": 4321})),
        )
        for name, code in (("port", 1), ("program", 127)):
            here.wait(
                name,
                "back-off",
                lambda status: state(status).get("waiting", {}).get("reason") == "CrashLoopBackOff",
            )
            assert state(here.pod(name)["status"], which="lastState")["terminated"]["exitCode"] == code
        assert "in use" in here.logs("port")
        told(here, "program", "Error: failed to start container", "no such file or directory")
        told(here, "user", "Error: ", "unable to find user ghost: no matching entries in passwd file")
        here.cluster.wait_for("a user who needs no name", lambda: here.logs("number") == "4321\n")
    finally:
        holder.kill()
        holder.wait()
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nexec sleep 1000\n")
    program.chmod(0o755)
    image_of(host, "nobody")
    here.kubectl("wait", "--for=condition=Ready", "pod/port", "pod/program", "pod/user", "--timeout=120s")
    assert here.logs("user") == "nobody\n"


def test_other_amounts_for_a_container_that_runs(here: Space) -> None:
    had, wanted = {"cpu": "100m", "memory": "24Mi"}, {"cpu": "300m", "memory": "48Mi"}
    here.apply(pod("grown", container(FOREVER, resources={"limits": had})))
    here.kubectl("wait", "--for=condition=Ready", "pod/grown", "--timeout=120s")
    more = {"name": "main", "resources": {"limits": wanted, "requests": wanted}}
    patch = {"spec": {"containers": [more]}}
    kind = "Content-Type: application/strategic-merge-patch+json"
    path = f"/api/v1/namespaces/{here.name}/pods/grown/resize"
    here.cluster.api(path, "--request", "PATCH", "--header", kind, "--data", json.dumps(patch))
    here.wait("grown", "more", lambda status: container_of(status)["resources"]["limits"] == wanted)
    either = "cat /sys/fs/cgroup/{0} 2>/dev/null || cat /sys/fs/cgroup/{1}"
    memory = here.exec("grown", either.format("memory.max", "memory/memory.limit_in_bytes"))
    quota = here.exec("grown", either.format("cpu.max", "cpu/cpu.cfs_quota_us")).split()[0]
    assert (int(memory), int(quota)) == (48 << 20, 30_000)
    assert container_of(here.pod("grown")["status"])["restartCount"] == 0


def test_static_pods(here: Space) -> None:
    cluster, host = here.cluster, here.cluster.hosts[1]
    folder = host.data / "agent" / "pod-manifests"
    folder.mkdir(exist_ok=True)
    manifest = pod("own", container(FOREVER))
    manifest["metadata"]["namespace"] = here.name
    path = folder / "own.yaml"
    path.write_text(json.dumps(manifest))
    here.wait_phase("own-h1", "Running")
    found = here.get("pod", "own-h1")
    assert found["metadata"]["annotations"]["kubernetes.io/config.source"] == "file"
    started = container_of(found["status"])["containerID"]
    here.kubectl("delete", "pod", "own-h1")
    cluster.wait_for("another mirror", lambda: container_of(here.pod("own-h1").get("status", {})))
    again = here.get("pod", "own-h1")
    assert again["metadata"]["uid"] != found["metadata"]["uid"]
    assert container_of(again["status"])["containerID"] == started, "the pod itself went on"
    assert here.kubectl("exec", "own-h1", "--", "hostname") == "own-h1\n"
    manifest["spec"]["containers"][0]["command"][-1] = "echo changed; sleep 1000"
    path.write_text(json.dumps(manifest))
    cluster.wait_for("the change", lambda: _runs_another(here, started))
    cluster.wait_for("its words", lambda: here.logs("own-h1") == "changed\n")
    path.unlink()
    cluster.wait_for("its end", lambda: not here.pod("own-h1"))
    cluster.wait_for("its containers' end", lambda: "own" not in host.docker("ps"))


def _runs_another(here: Space, container_id: str) -> bool:
    running = container_of(here.pod("own-h1").get("status", {}))
    return running.get("containerID", container_id) != container_id
