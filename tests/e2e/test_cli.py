"""`mini8s` in kubectl's place: as root on the server's host, and from another host with a kubeconfig."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hosts.cluster import MINI8S, Cluster
from space import Space, container, pod, space

from mini8s.config import VERSION

BY_SOCKET = {"KUBECONFIG": ""}  # root's own door


@pytest.fixture(scope="module")
def here(one_host: Cluster) -> Iterator[Space]:
    """A namespace with a Deployment of two, a Service and a lone pod."""
    with space(one_host, "cli") as made:
        template = {
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "terminationGracePeriodSeconds": 0,
                "containers": [container("echo I serve; sleep 1000")],
            },
        }
        spec = {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template}
        service = {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80}]}
        made.apply(
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec},
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": service},
            pod("lone", container("echo alone; sleep 1000")),
        )
        made.kubectl("wait", "--for=condition=Ready", "pod", "--all", "--timeout=120s")
        made.kubectl("rollout", "status", "deployment/web", "--timeout=120s")
        yield made


def mini8s(here: Space, *words: str, stdin: str = "") -> str:
    """What a command prints, asked as root."""
    return here.cluster.hosts[1].run(MINI8S, *words, stdin=stdin, env=BY_SOCKET)


def refused(here: Space, *words: str, code: int = 1, stdin: str = "") -> str:
    answer = here.cluster.hosts[1].call(MINI8S, *words, stdin=stdin, env=BY_SOCKET)
    assert answer.returncode == code, answer.stdout
    assert "Traceback" not in answer.stderr
    return answer.stderr


def timeless(text: str) -> list[str]:
    """The lines of tables without what passes between two looks: ages, and the room they take."""
    aged = re.sub(r"\b(\d+[dhms])+\b", "AGE", text)
    return [re.sub(" {2,}", "  ", line).rstrip() for line in aged.splitlines()]


@pytest.mark.parametrize(
    "words",
    [
        "nodes -o wide",
        "pods -o wide -n cli",
        "pods,services,deployments,replicasets -n cli",
        "all -n cli",
        "pod lone -n cli",
        "pods -n cli -l app=web --no-headers",
        "deployments,replicasets,services -A -o wide",
        "endpoints,endpointslices,configmaps,secrets,serviceaccounts -n cli",
        "namespaces",
        "leases -A",
        "pods -n cli --field-selector metadata.name=lone -o name",
        "deploy/web svc/web -n cli -o name",
        "pods -n cli -o jsonpath={.items[*].metadata.name}",
    ],
)
def test_get_prints_what_kubectl_prints(here: Space, words: str) -> None:
    for _ in range(10):  # something may have changed between two looks
        ours, theirs = mini8s(here, "get", *words.split()), here.cluster.kubectl("get", *words.split())
        if timeless(ours) == timeless(theirs):
            break
    assert timeless(ours) == timeless(theirs)
    assert ours


def test_events_too(here: Space) -> None:
    words = ("get", "events", "-n", "cli", "--field-selector", "involvedObject.name=lone")
    here.cluster.wait_for("the last of them", lambda: "Started container main" in mini8s(here, *words))
    ours, theirs = (timeless(text) for text in (mini8s(here, *words), here.cluster.kubectl(*words)))
    assert sorted(ours) == sorted(theirs)
    assert any("Started container main" in line for line in ours)


def test_objects_are_kubectls(here: Space) -> None:
    words = ("deployment", "web", "-n", "cli", "-o")
    theirs = json.loads(here.cluster.kubectl("get", *words, "json"))
    assert json.loads(mini8s(here, "get", *words, "json")) == theirs
    # dates stay texts, as in JSON
    assert (
        yaml.load(mini8s(here, "get", *words, "yaml"), yaml.BaseLoader)["metadata"]["uid"]
        == (theirs["metadata"]["uid"])
    )
    listed = json.loads(mini8s(here, "get", "pods", "-n", "cli", "-o", "json"))
    assert (listed["kind"], len(listed["items"])) == ("List", 3)


def test_a_kubeconfig_serves_on_another_host(here: Space, tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(mini8s(here, "kubeconfig"))
    said = here.cluster.hosts[2].run(MINI8S, "get", "pods", "-n", "cli", f"--kubeconfig={path}")
    assert timeless(said) == timeless(mini8s(here, "get", "pods", "-n", "cli"))
    said = here.cluster.hosts[2].run(MINI8S, "status", env={"KUBECONFIG": str(path)})
    assert f"+mini8s-{VERSION}" in said
    lost = here.cluster.hosts[2].call(MINI8S, "get", "pods", env=BY_SOCKET)
    assert lost.returncode == 1
    assert lost.stderr.startswith("mini8s: no server runs here and /etc/mini8s/mini8s.yaml does not exist")
    wrong = path.read_text().replace("10.99.0.11", "10.99.0.12")
    path.write_text(wrong)
    lost = here.cluster.hosts[2].call(MINI8S, "get", "pods", f"--kubeconfig={path}")
    assert lost.returncode == 1
    assert "https://10.99.0.12:6443" in lost.stderr
    assert lost.stderr.count("\n") == 1


def test_token_and_status(here: Space) -> None:
    token = (here.cluster.hosts[1].data / "server" / "node-token").read_text()
    assert mini8s(here, "token") == token.strip() + "\n"
    said = mini8s(here, "status")
    assert re.search(r"^Nodes +1 of 1 ready$", said, re.MULTILINE)
    assert re.search(r"^Pods +\d+ Running$", said, re.MULTILINE)


def test_watching(here: Space) -> None:
    words = (MINI8S, "get", "pods", "-n", "cli", "-l", "app=seen", "-w")
    options = {"stdout": subprocess.PIPE, "text": True, "env": BY_SOCKET}
    table = here.cluster.hosts[1].popen(*words, **options)
    names = here.cluster.hosts[1].popen(*words, "-o", "name", **options)
    try:
        here.apply(pod("seen", container("sleep 1000")))
        assert names.stdout is not None
        assert names.stdout.readline() == "pod/seen\n"
        assert table.stdout is not None
        assert table.stdout.readline().split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
        line = next(line for line in table.stdout if "Running" in line)
        assert line.split()[:4] == ["seen", "1/1", "Running", "0"]
    finally:
        for process in (table, names):
            process.terminate()
            process.communicate(timeout=60)


def test_apply_takes_turns_with_kubectl(here: Space, tmp_path: Path) -> None:
    made = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "turns", "namespace": "cli"},
        "data": {"a": "1", "b": "2"},
    }
    file = tmp_path / "turns.yaml"

    def apply(**data: str) -> str:
        file.write_text(yaml.safe_dump(made | {"data": data}))
        return mini8s(here, "apply", "-f", str(tmp_path)).strip()

    assert apply(a="1", b="2") == "configmap/turns created"
    assert apply(a="1", b="2") == "configmap/turns unchanged"
    said = here.kubectl("apply", "--filename=-", stdin=json.dumps(made | {"data": {"a": "1", "c": "3"}}))
    assert said == "configmap/turns configured\n"
    here.kubectl("patch", "configmap", "turns", "--patch", '{"data": {"other": "9"}}')
    assert apply(a="4") == "configmap/turns configured"
    assert here.get("configmap", "turns")["data"] == {"a": "4", "other": "9"}
    assert here.kubectl("apply", "--filename=-", stdin=file.read_text()) == "configmap/turns unchanged\n"
    assert mini8s(here, "delete", "-f", str(file)) == "configmap/turns deleted\n"
    assert "NotFound" in here.refused("get", "configmap", "turns")


def test_describe(here: Space) -> None:
    said = mini8s(here, "describe", "pod", "lone", "-n", "cli")
    for part in ("Name:                   lone", "Started container main", "mini8s-busybox:1", "Node Name:"):
        assert part in said
    assert mini8s(here, "describe", "deploy/web", "svc/web", "-n", "cli").count("Name:  ") >= 2


def test_logs(here: Space) -> None:
    here.cluster.wait_for("its word", lambda: mini8s(here, "logs", "lone", "-n", "cli") == "alone\n")
    assert mini8s(here, "logs", "deployment/web", "-n", "cli", "--tail=1", "--timestamps").endswith(
        " I serve\n"
    )
    said = refused(here, "logs", "nobody", "-n", "cli")
    assert said == 'mini8s: pods "nobody" not found\n'


def test_scale_and_rollouts(here: Space) -> None:
    web = ("deployment/web", "-n", "cli")
    assert mini8s(here, "scale", *web, "--replicas=3") == "deployment.apps/web scaled\n"
    assert mini8s(here, "rollout", "status", *web).endswith('deployment "web" successfully rolled out\n')
    assert here.get("deployment", "web")["status"]["readyReplicas"] == 3
    assert mini8s(here, "rollout", "restart", *web) == "deployment.apps/web restarted\n"
    mini8s(here, "rollout", "status", *web)
    history = mini8s(here, "rollout", "history", *web)
    assert timeless(history) == timeless(here.kubectl("rollout", "history", "deployment/web"))[:-1]
    assert mini8s(here, "rollout", "undo", *web) == "deployment.apps/web rolled back\n"
    said = mini8s(here, "rollout", "status", *web)
    assert said.endswith('deployment "web" successfully rolled out\n')
    assert "kubectl.kubernetes.io/restartedAt" not in json.dumps(here.get("deployment", "web")["spec"])
    assert mini8s(here, "rollout", "pause", *web) == "deployment.apps/web paused\n"
    assert here.get("deployment", "web")["spec"]["paused"] is True
    assert mini8s(here, "rollout", "resume", *web) == "deployment.apps/web resumed\n"


def test_delete_returns_when_they_are_gone(here: Space) -> None:
    here.apply(*(pod(name, container("sleep 1000")) for name in ("gone-1", "gone-2")))
    assert mini8s(here, "delete", "pod", "gone-1", "-n", "cli") == "pod/gone-1 deleted\n"
    assert mini8s(here, "delete", "pods", "-l", "app=gone-2", "-n", "cli") == "pod/gone-2 deleted\n"
    assert mini8s(here, "get", "pods", "-n", "cli", "-l", "app in (gone-1, gone-2)") == ""
    assert refused(here, "delete", "pods", "-n", "cli").startswith(
        "mini8s: resource(s) were provided, but no"
    )
    assert mini8s(here, "delete", "pod", "gone-1", "-n", "cli", "--ignore-not-found") == ""


def test_exec(here: Space, tmp_path: Path) -> None:
    host, lone = here.cluster.hosts[1], (MINI8S, "exec", "-n", "cli", "lone")
    said = host.call(*lone, "--", "sh", "-c", "echo out; echo err >&2; exit 3", env=BY_SOCKET)
    assert (said.stdout, said.stderr, said.returncode) == ("out\n", "err\n", 3)
    much = "0123456789" * 20_000
    command = (MINI8S, "exec", "-i", "-n", "cli", "deployment/web", "--", "cat")
    path = tmp_path / "kubeconfig"
    path.write_text(mini8s(here, "kubeconfig"))
    for number, way in ((1, BY_SOCKET), (2, {"KUBECONFIG": str(path)})):
        assert here.cluster.hosts[number].run(*command, stdin=much, env=way) == much
    assert 'pods "nobody" not found' in refused(here, "exec", "nobody", "--", "true")
    assert host.call(*lone, "--", "not-there", env=BY_SOCKET).returncode in (126, 127)
    ours, theirs = pty.openpty()
    shell = host.popen(*lone[:2], "-it", *lone[2:], "sh", env=BY_SOCKET, stdin=theirs, stdout=theirs)
    try:
        os.write(ours, b"test -t 0 && exit 5\r")
        assert shell.wait(60) == 5
    finally:
        shell.kill()
        shell.wait()
        os.close(ours)
        os.close(theirs)


def test_top_and_expose(here: Space) -> None:
    for words in (("nodes",), ("pods", "-n", "cli"), ("pods", "-A")):
        for _ in range(10):  # something may have changed between two looks
            ours, theirs = mini8s(here, "top", *words), here.cluster.kubectl("top", *words)
            firsts = [[line.split()[0] for line in text.splitlines()] for text in (ours, theirs)]
            if firsts[0] == firsts[1]:
                break
        assert firsts[0] == firsts[1]
        assert ours.splitlines()[0].split() == theirs.splitlines()[0].upper().split()
    said = mini8s(
        here, "expose", "deployment/web", "--name=shown", "--port=80", "--target-port=8080", "-n", "cli"
    )
    assert said == "service/shown exposed\n"
    spec = here.get("service", "shown")["spec"]
    assert spec["selector"] == {"app": "web"}
    assert spec["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 8080}]
    assert "declares no port: give --port" in refused(here, "expose", "deployment/web", "-n", "cli")


def test_a_bundle_for_others_has_no_secrets(here: Space, tmp_path: Path) -> None:
    host = here.cluster.hosts[1]
    planted = ("planted-in-a-secret", "planted-in-a-configmap", "planted-in-an-environment")
    here.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "p"}, "stringData": {"k": planted[0]}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "p"}, "data": {"k": planted[1]}},
        pod("told", container("sleep 1000", env=[{"name": "P", "value": planted[2]}])),
    )
    token = mini8s(here, "token").strip()
    log = tmp_path / "shop.log"
    log.write_text(f"I am a log\ntoken {token}\nit said {planted[0]}\n")
    path = tmp_path / "bundle.tar.gz"
    mini8s(here, "debug", "bundle", "-o", str(path), "--log", str(log))
    assert path.stat().st_mode & 0o777 == 0o600
    texts = members(path)
    for name in ("status.txt", "network/nft.txt", "docker/info.json", "objects/events.json", "metrics.txt"):
        assert "could not be had" not in texts[name], name
    assert "Nodes        1 of 1 ready" in texts["status.txt"]
    assert "table ip mini8s_proxy" in texts["network/nft.txt"]
    assert "I am a log" in texts["logs/shop.log"]
    keys = [found.read_text() for found in host.data.rglob("*.key")]
    encryption = json.loads((host.data / "server/cred/encryption.json").read_text())
    secrets = [*planted, token, token.rpartition(":")[2], *keys, *strings(encryption)]
    assert [name for name, text in texts.items() for secret in secrets if secret in text] == []
    alone = tmp_path / "alone.tar.gz"
    here.cluster.hosts[2].run(MINI8S, "debug", "bundle", "-o", str(alone), env=BY_SOCKET)
    assert "no server runs here" in members(alone)["status.txt"]


def members(path: Path) -> dict[str, str]:
    with tarfile.open(path) as archive:
        return {
            member.name.partition("/")[2]: found.read().decode()
            for member in archive
            if (found := archive.extractfile(member))
        }


def strings(said: object) -> list[str]:
    """Of an encryption's file: its keys, long enough to be none of a word's letters."""
    if isinstance(said, dict):
        return [text for value in said.values() for text in strings(value)]
    if isinstance(said, list):
        return [text for value in said for text in strings(value)]
    return [said] if isinstance(said, str) and len(said) > 30 else []


def test_a_host_is_checked(here: Space) -> None:
    """That on which a server runs, and one beside it. What this very machine lacks is not the test's."""
    for number in (1, 2):
        said = here.cluster.hosts[number].call(MINI8S, "check", "-o", "json", env=BY_SOCKET)
        found = {one["subject"]: one for one in json.loads(said.stdout)}
        for subject in (
            "Services",
            "NetworkPolicies",
            "masquerading",
            "connection tracking",
            "veth",
            "VXLAN",
        ):
            assert found[subject]["level"] == "OK", found[subject]
        assert found["Docker"]["level"] == "OK"
        assert found["port 6443"]["text"] == ("mini8s has it" if number == 1 else "free")
    assert here.cluster.hosts[2].run("nft", "list", "tables") == ""


def test_a_reload_takes_over_what_it_can(here: Space) -> None:
    cluster, host = here.cluster, here.cluster.hosts[1]
    config = host.folder / "config.yaml"
    before = here.pod("lone")["status"]["containerStatuses"]
    config.write_text("tls-san: [shop.example, new.example]\npod-max-pids: 99\n")
    cluster.programs[1].process.send_signal(signal.SIGHUP)
    certificate = str(host.data / "server/tls/serving.crt")
    asks = ("openssl", "x509", "-noout", "-ext", "subjectAltName", "-in", certificate)
    cluster.wait_for("the new name", lambda: "DNS:new.example" in host.run(*asks))
    done = "reloaded: tls-san; a restart is needed for pod-max-pids"
    cluster.wait_for("word of it", lambda: done in cluster.programs[1].log.read_text())
    config.write_text("tls-sna: [shop.example]\n")
    cluster.programs[1].process.send_signal(signal.SIGHUP)
    said = f'{config}:1: unknown key "tls-sna": did you mean "tls-san"?'
    cluster.wait_for("the slip to be told", lambda: said in cluster.programs[1].log.read_text())
    assert here.pod("lone")["status"]["containerStatuses"] == before


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("get pod nobody", 1, 'pods "nobody" not found'),
        ("get podz", 1, 'the server doesn\'t have a resource type "podz"'),
        ("get pods -l a=b=c", 1, "expected: ',' or 'end of string'"),
        ("get pods -o xml", 2, "is not json, yaml, name, wide or jsonpath=TEMPLATE"),
        ("get", 2, "say what"),
        ("scale pod/lone -n cli --replicas=2", 1, "can't be scaled"),
        ("scale deployment/nobody --replicas=2", 1, '"nobody" not found'),
        ("rollout status svc/web", 1, "rollouts are of deployments"),
        ("apply -f /no/where", 1, "/no/where can't be read: No such file or directory"),
        ("frobnicate", 2, "No such command"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(here: Space, words: str, code: int, said: str) -> None:
    assert said in refused(here, *words.split(), code=code)


def test_a_bad_manifest_is_told_by_its_field(here: Space) -> None:
    bad = json.dumps(pod("Bad_Name", {"name": "main"}))
    said = refused(here, "apply", "-n", "cli", "-f", "-", stdin=bad)
    assert "spec.containers[0].image: Required value" in said
    odd = json.dumps(pod("odd", container("sleep 1", imagePolicy="Always")))
    said = refused(here, "apply", "-n", "cli", "-f", "-", stdin=odd)
    assert 'unknown field "spec.containers[0].imagePolicy"' in said
