"""`scripts/quickstart` from a checkout to answers, again, and away."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hosts import Host, Hosts

QUICKSTART = str(Path(__file__).parents[2] / "scripts" / "quickstart")


@pytest.fixture(scope="module")
def host(hosts: Hosts) -> Iterator[Host]:
    made = hosts.up(1)[0]
    yield made
    made.call(QUICKSTART, "--down")


def test_it_sets_up_and_shows_it_at_work(host: Host) -> None:
    said = host.run(QUICKSTART, "--", "--node-label=shop=berlin", timeout=300)
    assert len(set(re.findall(r"hello v1 from (\S+): welcome to mini8s", said))) == 3
    assert re.search(r"hello\.default\.svc\.cluster\.local is 10\.43\.\d+\.\d+", said)
    assert re.search(r"server start to Ready node: +\d+\.\d s", said)
    assert re.search(r"server start to first answer: +\d+\.\d s", said)
    assert "kubectl scale deployment hello --replicas=5" in said
    node = json.loads(host.run("kubectl", "get", "node", "h1", "--output=json"))
    assert node["metadata"]["labels"]["shop"] == "berlin"


def test_a_second_run_finds_the_first(host: Host) -> None:
    pods = host.run("kubectl", "get", "pods", "--output=name")
    said = host.run(QUICKSTART, timeout=300)
    assert "The server runs already" in said
    assert host.run("kubectl", "get", "pods", "--output=name") == pods


def test_down_takes_all_of_it_away(host: Host) -> None:
    host.run(QUICKSTART, "--down", timeout=120)
    assert not host.data.exists()
    assert not (host.folder / "kubeconfig").exists()
    assert host.docker("ps", "--all", "--quiet") == ""
    assert host.docker("images", "--quiet") == ""
    assert host.run("nft", "list", "tables") == ""
    assert {link["ifname"] for link in json.loads(host.run("ip", "-j", "link"))} == {"lo", "eth0"}
    assert "10.4" not in host.run("ip", "address") + host.run("ip", "route")
    assert "Nothing to remove" in host.run(QUICKSTART, "--down")


def test_without_docker_it_says_so(host: Host) -> None:
    answer = host.call(QUICKSTART, env={"DOCKER_HOST": "unix:///nowhere/docker.sock"})
    assert answer.returncode == 1
    assert "Docker is not running: nothing answers at unix:///nowhere/docker.sock" in answer.stderr


def test_a_folder_of_others_is_left_alone(host: Host) -> None:
    host.data.mkdir()
    (host.data / "theirs").touch()
    answer = host.call(QUICKSTART)
    assert answer.returncode == 1
    assert "it is left alone" in answer.stderr
    assert [path.name for path in host.data.iterdir()] == ["theirs"]
