"""Certificates that live for seconds: all are renewed again and again under a rolling update and an open
watch, the authority is changed for another, and nobody notices.

For long: MINI8S_TEST_CERTIFICATES="60 900" (their life, and for how long)."""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hosts import Hosts
from hosts.cluster import MINI8S, Cluster

from mini8s.wire import pem

LIFE, LONG = map(int, os.environ.get("MINI8S_TEST_CERTIFICATES", "20 30").split())
HELLO = Path(__file__).parents[2] / "scripts" / "hello.yaml"


@pytest.fixture(scope="module")
def pair(hosts: Hosts, image_archives: list[Path]) -> Iterator[Cluster]:
    with Cluster(hosts.up(2), image_archives) as cluster:
        cluster.server(1, f"--certificate-seconds={LIFE}")
        cluster.wait_for("the API", lambda: cluster.api("/readyz") == "ok")
        cluster.agent(2)
        cluster.wait_ready("h1", "h2")
        yield cluster


def served(cluster: Cluster) -> str:
    """The certificate that a new handshake is shown."""
    ask = "openssl s_client -connect 10.99.0.11:6443 </dev/null 2>/dev/null | openssl x509"
    return cluster.hosts[2].run("bash", "-c", ask)


def own(cluster: Cluster, number: int) -> bytes:
    return (cluster.hosts[number].data / "agent" / "client.crt").read_bytes()


def authorities(cluster: Cluster, number: int) -> list[bytes]:
    """Whom an agent believes."""
    return pem.certificates((cluster.hosts[number].data / "agent" / "ca.crt").read_bytes())


def published(cluster: Cluster) -> list[bytes]:
    """What pods are told."""
    return pem.certificates(cluster.get("configmap", "kube-root-ca.crt")["data"]["ca.crt"].encode())


def ready_since(cluster: Cluster) -> dict[str, str]:
    """When each node became Ready."""
    return {
        node["metadata"]["name"]: one["lastTransitionTime"]
        for node in cluster.get("nodes")["items"]
        for one in node["status"]["conditions"]
        if (one["type"], one["status"]) == ("Ready", "True")
    }


def test_certificates_that_live_for_seconds_go_unnoticed(pair: Cluster, tmp_path: Path) -> None:
    pair.kubectl("apply", f"--filename={HELLO}")
    pair.kubectl("rollout", "status", "deployment/hello", "--timeout=120s")
    before = served(pair), own(pair, 1), own(pair, 2)
    (old,) = authorities(pair, 2)
    ready = ready_since(pair)
    logs = {number: program.log.stat().st_size for number, program in pair.programs.items()}
    with (tmp_path / "watched").open("w") as output:
        watch = pair.hosts[1].popen(
            *pair.kubectl_command("get", "pods", "--watch", "--output=name"), stdout=output, stderr=output
        )
    try:
        folder = str(pair.hosts[1].data)
        said = pair.hosts[1].run(MINI8S, "certificate", "rotate-ca", "--data-dir", folder)
        assert "is the cluster's authority; the old one is believed until" in said
        end = time.monotonic() + LONG
        rounds = itertools.count()
        while time.monotonic() < end:  # `rollout restart` refuses a second one within a second
            template = {"metadata": {"annotations": {"round": str(next(rounds))}}}
            patch = json.dumps({"spec": {"template": template}})
            pair.kubectl("patch", "deployment", "hello", f"--patch={patch}")
            pair.kubectl("rollout", "status", "deployment/hello", "--timeout=120s")
        assert watch.poll() is None
        names = {f"pod/{item['metadata']['name']}" for item in pair.get("pods")["items"]}
        watched = tmp_path / "watched"
        pair.wait_for("the newest pods on the watch", lambda: names <= set(watched.read_text().split()))
    finally:
        watch.kill()
        watch.wait()
    assert all(
        new != old for new, old in zip((served(pair), own(pair, 1), own(pair, 2)), before, strict=True)
    )
    pair.wait_for(
        "the new authority alone, everywhere",
        lambda: all(
            len(known) == 1 and known != [old]
            for known in (authorities(pair, 1), authorities(pair, 2), published(pair))
        ),
        seconds=90,
    )
    assert ready_since(pair) == ready
    for number, program in pair.programs.items():
        said = program.log.read_bytes()[logs[number] :].decode()
        wrong = [line for line in said.splitlines() if line.startswith(("E ", "W "))]
        assert wrong == [], wrong
