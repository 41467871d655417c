"""An agent that stops, crashes, is refused or waits: what runs goes on running, and what is wrong is said."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hosts import Host, Hosts
from hosts.cluster import MINI8S, Cluster, Program
from hosts.remains import Remains
from space import Obj, Space, container, pod, space

SECRET = "sesame"
KILLS = int(os.environ.get("MINI8S_TEST_KILLS", "4"))  # 50 by hand
REPLICAS = 20 if KILLS >= 50 else 6


@pytest.fixture(scope="module")
def pair(hosts: Hosts, image_archives: list[Path]) -> Iterator[Cluster]:
    """An agent on h2, which waits for its server on h1."""
    with Cluster(hosts.up(2), image_archives) as cluster:
        waiting = start_agent(cluster)
        cluster.wait_for("the agent to say that it waits", lambda: "not joined yet" in waiting.last_lines())
        assert "10.99.0.11:6443 can't be reached" in waiting.last_lines()
        start_server(cluster)
        cluster.wait_ready("h2")
        yield cluster


def start_server(cluster: Cluster) -> None:
    cluster.server(1, f"--token={SECRET}", "--disable-agent")


def start_agent(cluster: Cluster) -> Program:
    return cluster.agent(2, f"--token={SECRET}")


@pytest.fixture
def here(pair: Cluster, request: pytest.FixtureRequest) -> Iterator[Space]:
    name = request.node.name.removeprefix("test_").translate(str.maketrans("_[", "--", "]"))
    for number, start in ((1, start_server), (2, start_agent)):
        if not pair.programs[number].runs:  # a test that failed has stopped it
            start(pair)
    pair.wait_for("the test before to be gone", lambda: not containers(pair.hosts[2]))
    with space(pair, name) as made:
        yield made


def containers(host: Host) -> dict[str, str]:
    """Every container of the host's engine and whether it runs."""
    said = host.docker("ps", "--all", "--no-trunc", "--format={{.ID}} {{.State}}")
    return dict(line.split() for line in said.splitlines())


def started(here: Space) -> dict[str, Any]:
    """What a restart of anything would change."""
    return {
        one["containerID"]: (one["restartCount"], one["state"]["running"]["startedAt"])
        for listed in here.get("pods")["items"]
        for one in listed["status"]["containerStatuses"]
    }


def heard_since(cluster: Cluster, when: datetime) -> bool:
    """Whether the node has renewed its lease since then."""
    lease = json.loads(cluster.api("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/h2"))
    return datetime.fromisoformat(lease["spec"]["renewTime"]) > when


def ready_since(cluster: Cluster) -> str:
    """When the node became Ready."""
    listed = cluster.get("node", "h2")["status"]["conditions"]
    return str(next(one["lastTransitionTime"] for one in listed if one["type"] == "Ready"))


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_an_agent_takes_over_what_runs(pair: Cluster, here: Space, end: str) -> None:
    probe = {"exec": {"command": ["true"]}, "periodSeconds": 1}
    here.apply(*(pod(f"steady-{n}", container("sleep 1000", livenessProbe=probe)) for n in range(2)))
    here.kubectl("wait", "--for=condition=Ready", "pod", "--all", "--timeout=120s")
    before, engine, ready = started(here), containers(pair.hosts[2]), ready_since(pair)
    getattr(pair.programs[2], end)()
    assert containers(pair.hosts[2]) == engine
    again = datetime.now(UTC)
    start_agent(pair)
    pair.wait_for("the node to be heard again", lambda: heard_since(pair, again))
    here.kubectl("delete", "pod", "steady-1")  # it looks at its pods: this one it has ended
    pair.wait_for("half of them to be left", lambda: len(containers(pair.hosts[2])) == len(engine) / 2)
    assert set(containers(pair.hosts[2]).items()) < set(engine.items())
    after = started(here)
    assert after.items() < before.items()
    assert [restarts for restarts, _ in after.values()] == [0]
    assert ready_since(pair) == ready


def test_an_agent_that_starts_without_its_server_touches_nothing(pair: Cluster, here: Space) -> None:
    here.apply(pod("alone", container("sleep 1000")))
    here.kubectl("wait", "--for=condition=Ready", "pod/alone", "--timeout=120s")
    before, engine, ready = started(here), containers(pair.hosts[2]), ready_since(pair)
    assert pair.programs[1].stop() == 0
    pair.programs[2].kill()
    agent = start_agent(pair)
    pair.wait_for("the agent to miss its server", lambda: "cannot reach the server" in agent.last_lines(6))
    assert containers(pair.hosts[2]) == engine
    again = datetime.now(UTC)
    start_server(pair)
    pair.wait_for("the API", lambda: pair.api("/readyz") == "ok")
    pair.wait_for("the node to be heard again", lambda: heard_since(pair, again))
    assert started(here) == before
    assert ready_since(pair) == ready


def test_crashes_amid_starts_and_ends_leave_nothing_behind(pair: Cluster, here: Space) -> None:
    """Pods come and go while the agent is killed again and again, at moments that differ in every run."""
    host = pair.hosts[2]
    before, chance = Remains.of(host), Random()
    wanted = [f"p{n}" for n in range(REPLICAS)]
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.1, 1.5))
        pair.programs[2].kill()
        start_agent(pair)
        make_missing(here, wanted)
        gone = chance.sample(wanted, REPLICAS // 3)
        here.kubectl("delete", "pod", *gone, "--wait=false", "--ignore-not-found")
    pair.wait_for("all pods to be as wanted", lambda: as_wanted(here, wanted), seconds=180, pause=1)
    pair.wait_for("two containers a pod", lambda: len(containers(host)) == 2 * REPLICAS)
    assert set(containers(host).values()) == {"running"}
    here.kubectl("delete", "pod", "--all", "--wait=false")
    time.sleep(chance.uniform(0.1, 1.5))
    pair.programs[2].kill()
    start_agent(pair)
    pair.wait_for("all containers to be gone", lambda: not containers(host))
    assert last_remains(host, before) == []


def last_remains(host: Host, before: Remains, seconds: float = 30.0) -> list[str]:
    """What is left when it has had its time to go."""
    deadline = time.monotonic() + seconds
    while (left := Remains.of(host).without(before)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return left


def busy_pod(name: str) -> Obj:
    """One with a volume in memory, a token, an address, and a process that must be killed."""
    main = container("sleep 1000", volumeMounts=[{"name": "memory", "mountPath": "/memory"}])
    return pod(name, main, volumes=[{"name": "memory", "emptyDir": {"medium": "Memory"}}])


def make_missing(here: Space, wanted: Sequence[str]) -> dict[str, Obj]:
    """Make those of the pods that aren't there; those that are."""
    listed = {one["metadata"]["name"]: one for one in here.get("pods")["items"]}
    missing = [busy_pod(name) for name in wanted if name not in listed]
    if missing:
        here.apply(*missing)
    return listed


def as_wanted(here: Space, wanted: Sequence[str]) -> bool:
    """Whether all of these are Ready and none was started twice; what was deleted last is made again."""
    listed = make_missing(here, wanted)
    return all(
        name in listed
        and "deletionTimestamp" not in listed[name]["metadata"]
        and [one["ready"] for one in listed[name]["status"].get("containerStatuses", ())] == [True]
        and [one["restartCount"] for one in listed[name]["status"]["containerStatuses"]] == [0]
        for name in wanted
    )


def refused(host: Host, *command: str, **options: Any) -> str:
    """The one sentence that a command ends with."""
    answer = host.call(MINI8S, *command, timeout=120, **options)
    assert answer.returncode == 1, answer.stderr
    assert "Traceback" not in answer.stderr
    return answer.stderr.splitlines()[-1].removeprefix("mini8s: ")


@pytest.fixture
def elsewhere(pair: Cluster, tmp_path: Path) -> tuple[Cluster, dict[str, str]]:
    """A data folder of its own, so that the agent that runs is not in the way."""
    return pair, {"MINI8S_DATA_DIR": str(tmp_path)}


SERVER = "--server=https://10.99.0.11:6443"
FOREIGN = f"K10{64 * '0'}::node:{SECRET}"
NO_DOCKER = (
    "no Docker engine answers at unix:///no/where.sock (No such file or directory): "
    "is Docker installed and running?"
)
FOREIGN_CA = (
    "https://10.99.0.11:6443 is not the server you think it is: its CA is not the one that the token names "
    "(nothing secret was sent to it)"
)
OTHER_KEY = (
    "a host with another key has joined as h2: if this one takes its place, run `mini8s node replace h2` on "
    "the server and join again; else give it another --node-name"
)
REFUSALS = {
    "no server": ([], "no server to join: give --server https://HOST:6443"),
    "an odd server": (["--server=http://h1"], "--server 'http://h1' is not of the form https://HOST:PORT"),
    "a wrong token": ([SERVER, "--token=wrong"], "the server does not accept this token"),
    "no token": ([SERVER], "the token is empty"),
    "half a token": (
        [SERVER, "--token=K10abc"],
        "the token is not of the form K10<sha256 of the CA>::<name>:<secret>",
    ),
    "another CA": ([SERVER, f"--token={FOREIGN}"], FOREIGN_CA),
    "a token that is not there": (
        [SERVER, "--token=abcdef.0123456789abcdef"],
        "the server does not know this token: it has ended, was deleted, or is another cluster's",
    ),
    "the name of another host": ([SERVER, f"--token={SECRET}", "--node-name=h2"], OTHER_KEY),
    "no token file": (
        [SERVER, "--token-file=/no/where"],
        "the token file /no/where can't be read: No such file or directory",
    ),
    "no Docker": (
        [SERVER, f"--token={SECRET}", "--docker-host=unix:///no/where.sock"],
        NO_DOCKER,
    ),
}


@pytest.mark.parametrize(("flags", "sentence"), REFUSALS.values(), ids=REFUSALS)
def test_an_agent_that_cannot_be_says_why(
    elsewhere: tuple[Cluster, dict[str, str]], flags: list[str], sentence: str
) -> None:
    cluster, environment = elsewhere
    assert refused(cluster.hosts[2], "agent", *flags, env=environment) == sentence


JOIN = """
import sys
from mini8s.app.join import JoinRefused, join
from mini8s.app.layout import agent_files
try:
    join(agent_files(sys.argv[1]), "https://10.99.0.11:6443", sys.argv[2], "h9")
except JoinRefused as error:
    print(error)
"""


def test_a_token_that_ends_and_a_host_that_takes_anothers_place(pair: Cluster, tmp_path: Path) -> None:
    server, data = pair.hosts[1], f"--data-dir={pair.hosts[1].data}"

    def join(host: str) -> str:
        return pair.hosts[2].run(sys.executable, "-c", JOIN, str(tmp_path / host), token)

    token = server.run(MINI8S, "token", "create", "--ttl=5m", "--description=a test", data).strip()
    name = token.rpartition("::")[2].partition(".")[0]
    listed = server.run(MINI8S, "token", "list", data).splitlines()
    assert [line.split()[0] for line in listed] == ["TOKEN", name]
    assert "no host has joined as h9" in refused(server, "node", "replace", "h9", data)
    assert join("old") == ""
    assert join("old") == ""
    assert join("new").strip() == OTHER_KEY.replace("h2", "h9")
    server.run(MINI8S, "node", "replace", "h9", data)
    assert join("new") == ""
    assert "a host with another key" in join("old")
    server.run(MINI8S, "token", "delete", token, data)
    assert "the server does not know this token" in join("new")


def test_one_agent_a_data_folder(pair: Cluster) -> None:
    said = refused(pair.hosts[2], "agent", SERVER, f"--token={SECRET}")
    assert said == f"another mini8s uses the data folder {pair.hosts[2].data}/agent"


@pytest.mark.parametrize("command", ["server", "agent"])
def test_only_root_may(pair: Cluster, command: str) -> None:
    become = (
        f"import os, sys; from mini8s.cli import main, {command}; os.setuid(65534); "
        f"sys.argv = ['mini8s', {command!r}]; main.main()"
    )
    answer = pair.hosts[2].call(sys.executable, "-c", become)
    assert answer.returncode == 1
    assert (
        answer.stderr == f"mini8s: mini8s {command} must run as root: it makes network interfaces and rules\n"
    )


def test_a_server_without_docker_says_so(elsewhere: tuple[Cluster, dict[str, str]]) -> None:
    cluster, environment = elsewhere
    said = refused(cluster.hosts[2], "server", "--docker-host=unix:///no/where.sock", env=environment)
    assert said == NO_DOCKER


def test_a_server_whose_port_is_taken_says_so(elsewhere: tuple[Cluster, dict[str, str]]) -> None:
    cluster, environment = elsewhere
    host = cluster.hosts[2]
    words = (sys.executable, "-m", "http.server", "6443")
    other = host.popen(*words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        cluster.wait_for("the port to be taken", lambda: cluster.curl("http://127.0.0.1:6443", on=2))
        said = refused(host, "server", "--disable-agent", env=environment)
    finally:
        other.terminate()
        other.wait(60)
    assert said.endswith("cannot listen on 0.0.0.0:6443: another program does")


def test_a_server_leaves_a_newer_data_folder_alone(
    elsewhere: tuple[Cluster, dict[str, str]], tmp_path: Path
) -> None:
    cluster, environment = elsewhere
    (tmp_path / "server" / "db").mkdir(parents=True)
    path = tmp_path / "server" / "db" / "state.db"
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 999")
    before = path.read_bytes()
    said = refused(cluster.hosts[2], "server", "--disable-agent", env=environment)
    assert "was written by a newer mini8s" in said
    assert path.read_bytes() == before
