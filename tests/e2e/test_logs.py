"""`kubectl logs` of three versions, and the Python client: files that are rotated, containers that restart,
many pods at once, and what there is no log of yet."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import kubectls
import pytest
from hosts import Hosts
from hosts.cluster import Cluster
from kubectls import Kubectl
from kubernetes import client, config, watch
from space import Space, container, pod, space

from mini8s.agent.network import netns

SMALL = ("--kubelet-arg=container-log-max-size=64Ki", "--kubelet-arg=container-log-max-files=5")
LINES = 4000
COUNT = f"""echo begins; until [ -e /go ]; do sleep 0.1; done
i=0; while [ $i -lt {LINES} ]; do [ $((i % 400)) = 0 ] && sleep 0.1; echo line $i; i=$((i+1)); done"""
FLAKY = """n=$(cat /v/n 2>/dev/null || echo 0); echo $((n+1)) >/v/n; echo attempt $n; echo aside $n >&2
[ $n = 0 ] || exec sleep 1000
until [ -e /v/go ]; do sleep 0.1; done; echo ends $n; exit 3"""
PATIENCE = "--timeout=120s"
CHOSEN = [one for one in kubectls.installed() if one.minor in {27, 30, 33}] or kubectls.installed()


@pytest.fixture(scope="module")
def here(hosts: Hosts, image_archives: list[Path]) -> Iterator[Space]:
    with Cluster(hosts.up(1), image_archives) as cluster:
        cluster.server(1, *SMALL)
        cluster.wait_ready("h1")
        with space(cluster, "logs") as made:
            volume = {"name": "v", "emptyDir": {}}
            flaky = container(FLAKY, volumeMounts=[{"name": "v", "mountPath": "/v"}])
            starter = container("echo first; echo last", name="setup")
            pair = [container(f"echo {name} says; exec sleep 1000", name=name) for name in ("one", "two")]
            made.apply(
                pod("counter", container(COUNT), restartPolicy="Never"),
                pod("flaky", flaky, volumes=[volume]),
                pod("many", *pair, initContainers=[starter]),
                pod("more", *pair, initContainers=[starter])
                | {"metadata": {"name": "more", "labels": {"app": "many"}}},
                pod(
                    "lines", container("for i in 1 2 3; do echo $i; done; sleep 2.5; echo 4; exec sleep 1000")
                ),
                pod("nowhere", container(), nodeSelector={"no": "such"}),
                pod("imageless", {"name": "main", "image": "none:1", "imagePullPolicy": "Never"}),
            )
            made.kubectl(
                "wait", "--for=condition=Ready", "pod", "counter", "flaky", "many", "more", "lines", PATIENCE
            )
            yield made


@pytest.fixture(params=CHOSEN, ids=str)
def kubectl(request: pytest.FixtureRequest) -> Kubectl:
    found: Kubectl = request.param
    return found


def command(here: Space, kubectl: Kubectl, *arguments: str) -> list[str]:
    _, *options = here.cluster.kubectl_command("--namespace", here.name, "logs", *arguments)
    return here.cluster.hosts[1].command(kubectl.program, *options)


def logs(here: Space, kubectl: Kubectl, *arguments: str) -> str:
    """What it printed, errors too."""
    done = subprocess.run(
        command(here, kubectl, *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
        check=False,
        text=True,
    )
    return done.stdout


def followed(here: Space, kubectl: Kubectl, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(command(here, kubectl, "--follow", *arguments), stdout=subprocess.PIPE, text=True)


def heard(one: subprocess.Popen[str], count: int) -> list[str]:
    """The first lines, of two streams in whatever order."""
    assert one.stdout is not None
    return sorted(one.stdout.readline() for _ in range(count))


def said(one: subprocess.Popen[str]) -> str:
    """All that it printed until it ended by itself."""
    text = one.communicate(timeout=60)[0]
    assert one.returncode == 0
    return text


def test_followers_hear_each_line_once_through_all_files(here: Space) -> None:
    followers = [followed(here, one, "counter") for one in CHOSEN]
    assert [heard(one, 1) for one in followers] == [["begins\n"]] * len(followers)
    here.exec("counter", "touch /go")
    lines = [f"line {number}" for number in range(LINES)]
    for one in followers:
        assert said(one).splitlines() == lines
    files = list((here.cluster.hosts[1].folder).glob("docker/containers/*/*-json.log.1"))
    assert files, "no file was begun"
    assert logs(here, CHOSEN[-1], "counter", "--tail=3000").splitlines() == lines[-3000:]


def test_a_restart_ends_who_follows_and_leaves_the_previous(here: Space) -> None:
    followers = [followed(here, one, "flaky") for one in CHOSEN]
    assert [heard(one, 2) for one in followers] == [["aside 0\n", "attempt 0\n"]] * len(followers)
    for one in CHOSEN:
        assert 'previous terminated container "main" in pod "flaky" not found' in logs(
            here, one, "flaky", "-p"
        )
    here.exec("flaky", "touch /v/go")
    for follower in followers:
        assert said(follower) == "ends 0\n"
    here.cluster.wait_for("the next attempt", lambda: "attempt 1" in logs(here, CHOSEN[-1], "flaky"))
    for one in CHOSEN:
        assert "attempt 1" in logs(here, one, "flaky")
        assert logs(here, one, "flaky", "--previous", "--tail=1") == "ends 0\n"


def test_parts_of_a_log(here: Space, kubectl: Kubectl) -> None:
    here.cluster.wait_for("it to say all", lambda: "4" in logs(here, kubectl, "lines", "--tail=1"))
    assert logs(here, kubectl, "lines") == "1\n2\n3\n4\n"
    assert logs(here, kubectl, "lines", "--tail=2") == "3\n4\n"
    assert logs(here, kubectl, "lines", "--tail=0") == ""
    assert logs(here, kubectl, "lines", "--limit-bytes=3") == "1\n2"
    stamped = logs(here, kubectl, "lines", "--timestamps").splitlines()
    assert [line.split(" ")[1] for line in stamped] == ["1", "2", "3", "4"]
    assert all(re.fullmatch(r"2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z \d", line) for line in stamped)
    last = re.sub(r"\.\d+Z", "Z", stamped[-1].split(" ")[0])
    assert logs(here, kubectl, "lines", f"--since-time={last}") == "4\n"
    assert logs(here, kubectl, "lines", "--since=1h", "--tail=1") == "4\n"
    both = logs(here, kubectl, "lines", "--since=1h", f"--since-time={last}")
    assert "at most one of" in both


def test_many_pods_and_containers_at_once(here: Space, kubectl: Kubectl) -> None:
    every = logs(here, kubectl, "-l", "app=many", "--all-containers", "--prefix")
    assert sorted(every.splitlines()) == sorted(
        f"[pod/{name}/{words}" for name in ("many", "more") for words in (
            "setup] first", "setup] last", "one] one says", "two] two says")
    )  # fmt: skip
    refused = logs(here, kubectl, "-l", "app=many", "--all-containers", "-f", "--max-log-requests=2")
    assert "maximum allowed concurrency is 2" in refused
    assert logs(here, kubectl, "many", "-c", "setup", "--tail=1") == "last\n"
    assert "container three is not valid for pod many" in logs(here, kubectl, "many", "-c", "three")


def test_what_there_is_no_log_of_yet(here: Space, kubectl: Kubectl) -> None:
    assert logs(here, kubectl, "nowhere") == ""
    assert logs(here, kubectl, "nowhere", "-f") == ""
    never = (
        'Error from server (BadRequest): container "main" in pod "imageless" is waiting to start: '
        "ErrImageNeverPull\n"
    )
    here.cluster.wait_for("its refusal", lambda: logs(here, kubectl, "imageless") == never)
    assert 'pods "absent" not found' in logs(here, kubectl, "absent")


def test_one_that_was_added_to_look_at_a_pod(here: Space) -> None:
    here.kubectl("debug", "many", "--image=mini8s-busybox:1", "--container=look", "--", "echo", "I look")
    newest = CHOSEN[-1]
    here.cluster.wait_for("its words", lambda: logs(here, newest, "many", "-c", "look") == "I look\n")


def test_the_python_client_follows_and_reads(here: Space) -> None:
    host = here.cluster.hosts[1]

    def look() -> None:
        with config.new_client_from_config(str(host.folder / "kubeconfig")) as http:
            core, watcher, heard = client.CoreV1Api(http), watch.Watch(), []
            read = partial(core.read_namespaced_pod_log, "lines", here.name)
            for line in watcher.stream(read, follow=True):
                heard.append(line)
                if line == "4":
                    watcher.stop()
            assert heard == ["1", "2", "3", "4"]
            assert read(tail_lines=1) == "4\n"
            assert not core.read_namespaced_pod_log("nowhere", here.name)
            with pytest.raises(client.ApiException) as caught:
                read(tail_lines=-1)
            assert caught.value.status == 422

    netns.inside(f"/run/netns/{host.place.host(1)}", look)


def test_a_pod_that_is_deleted_ends_who_follows(here: Space) -> None:
    followers = [followed(here, one, "many", "-c", "one") for one in CHOSEN]
    assert [heard(one, 1) for one in followers] == [["one says\n"]] * len(followers)
    here.kubectl("delete", "pod", "many")
    assert [said(one) for one in followers] == [""] * len(followers)
