"""What a pod may and what it takes, as the kernel sees it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hosts import Hosts
from hosts.cluster import Cluster
from space import Obj, Space, container, pod, space_of

FOREVER = "sleep 1000"
CGROUPS = Path("/sys/fs/cgroup")


@pytest.fixture(scope="module")
def cluster(hosts: Hosts, image_archives: list[Path]) -> Iterator[Cluster]:
    with Cluster(hosts.up(1), image_archives) as made:
        made.server(
            1, "--pod-max-pids=40", "--allow-device=/dev/fu*", "--allowed-unsafe-sysctls=net.ipv4.ip_f*"
        )
        made.wait_ready("h1")
        yield made


@pytest.fixture
def here(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Space]:
    with space_of(cluster, request) as made:
        yield made


def running(here: Space, *names: str) -> None:
    for name in names:
        here.wait_phase(name, "Running")


def refusal(here: Space, name: str) -> str:
    """Why a pod's container can't be made."""

    def said(status: Obj) -> str:
        states = [one["state"].get("waiting", {}) for one in status.get("containerStatuses", ())]
        return next(
            (one["message"] for one in states if one.get("reason") == "CreateContainerConfigError"), ""
        )

    return here.wait(name, "a refusal", said)


def facts(here: Space, name: str) -> dict[str, str]:
    """/proc/self/status of a new process in the container."""
    lines = here.exec(name, "cat /proc/self/status").splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def test_who_a_container_is_and_what_it_may(here: Space) -> None:
    context = {
        "runAsUser": 1001,
        "runAsGroup": 1002,
        "supplementalGroups": [7],
        "fsGroup": 8,
        "runAsNonRoot": True,
    }
    tight = {
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
    }
    loose = {
        "seccompProfile": {"type": "Unconfined"},
        "capabilities": {"add": ["NET_ADMIN"]},
        "procMount": "Unmasked",
    }
    profile = here.cluster.hosts[1].data / "agent" / "seccomp" / "plain.json"
    profile.parent.mkdir(parents=True, exist_ok=True)
    profile.write_text('{"defaultAction": "SCMP_ACT_ALLOW"}')
    own = {"seccompProfile": {"type": "Localhost", "localhostProfile": "plain.json"}}
    here.apply(
        pod("tight", container(FOREVER, securityContext=tight), securityContext=context),
        pod("loose", container(FOREVER, securityContext=loose)),
        pod("own", container(FOREVER, securityContext=own)),
    )
    running(here, "tight", "loose", "own")
    found = facts(here, "tight")
    assert found["Uid"].split()[0] == "1001"
    assert found["Gid"].split()[0] == "1002"
    assert set(found["Groups"].split()) >= {"7", "8"}
    assert (found["CapBnd"], found["NoNewPrivs"], found["Seccomp"]) == (f"{1 << 10:016x}", "1", "2")
    assert here.exec("tight", "touch /x 2>&1 || echo refused").strip().endswith("refused")
    found = facts(here, "loose")
    assert found["Seccomp"] == "0"
    assert int(found["CapEff"], 16) >> 12 & 1
    assert here.exec("loose", "grep -c ' /proc/' /proc/mounts || true").strip() == "0"
    assert facts(here, "own")["Seccomp"] == "2"


def test_what_is_refused_is_said(here: Space) -> None:
    def asks(name: str, security: Obj | None = None, **spec: Any) -> Obj:
        return pod(name, container(FOREVER, securityContext=security or {}), **spec)

    devices = {"mini8s.io/devices": "/dev/mem"}
    forbidden = asks("device")
    forbidden["metadata"]["annotations"] = devices
    here.apply(
        asks("root", {"runAsNonRoot": True}),
        asks("strict", securityContext={"supplementalGroupsPolicy": "Strict"}),
        asks("users", hostUsers=False),
        asks("profile", {"seccompProfile": {"type": "Localhost", "localhostProfile": "none.json"}}),
        asks("sysctl", securityContext={"sysctls": [{"name": "kernel.msgmax", "value": "8192"}]}),
        forbidden,
    )
    assert "container has runAsNonRoot and image will run as root" in refusal(here, "root")
    assert "supplementalGroupsPolicy: Strict is not supported" in refusal(here, "strict")
    assert "hostUsers: false is not supported" in refusal(here, "users")
    assert refusal(here, "profile") == 'cannot load seccomp profile "none.json": No such file or directory'
    assert refusal(here, "device") == "device /dev/mem is not allowed on this node (--allow-device)"
    failed = here.wait_phase("sysctl", "Failed")["status"]
    assert (failed["reason"], failed["message"]) == (
        "SysctlForbidden",
        'Pod was rejected: forbidden sysctl: "kernel.msgmax" not allowlisted',
    )


def test_devices_and_sysctls(here: Space) -> None:
    sysctls = [
        {"name": "net.ipv4.ip_local_port_range", "value": "20000 30000"},
        {"name": "net.ipv4.ip_forward", "value": "0"},
    ]
    made = pod("web", container(FOREVER), securityContext={"sysctls": sysctls})
    made["metadata"]["annotations"] = {"mini8s.io/devices": "/dev/fuse:/dev/words:r"}
    here.apply(made)
    running(here, "web")
    assert here.exec("web", "cat /proc/sys/net/ipv4/ip_local_port_range").split() == ["20000", "30000"]
    assert here.exec("web", "cat /proc/sys/net/ipv4/ip_forward").strip() == "0"
    assert here.exec("web", "exec 3</dev/words && echo read").strip() == "read"
    assert here.exec("web", "echo x 2>&1 >/dev/words || echo refused").strip().endswith("refused")


def group(cluster: Cluster, uid: str, controller: str) -> Path:
    """A pod's control group, in either version."""
    below = f"{cluster.hosts[1].place.host(1)}/kubepods/pod{uid}"
    return CGROUPS / below if (CGROUPS / "cgroup.controllers").exists() else CGROUPS / controller / below


def read(folder: Path, *names: str) -> str:
    return next((folder / name).read_text().split()[0] for name in names if (folder / name).exists())


def test_a_pod_is_held_as_a_whole(cluster: Cluster, here: Space) -> None:
    limits = {"limits": {"cpu": "200m", "memory": "16Mi"}}
    one, two = (container(FOREVER, resources=limits) | {"name": name} for name in ("main", "second"))
    here.apply(pod("held", one, two), pod("free", container(FOREVER)))
    running(here, "held", "free")
    uid = here.pod("held")["metadata"]["uid"]
    memory = read(group(cluster, uid, "memory"), "memory.max", "memory.limit_in_bytes")
    assert int(memory) == 32 << 20
    assert int(read(group(cluster, uid, "cpu"), "cpu.max", "cpu.cfs_quota_us")) == 40_000
    assert read(group(cluster, uid, "pids"), "pids.max") == "40"
    score = here.exec("free", "cat /proc/self/oom_score_adj").strip()
    assert score == "1000"
    bomb = "i=0; while [ $i -lt 100 ]; do sleep 5 & i=$((i+1)); done; wait; echo over"
    assert "over" not in here.exec("free", f"({bomb}) 2>&1 | tail -1; true")  # and has no room for a while
    here.kubectl("delete", "pod", "held", "free", "--now")
    cluster.wait_for("the groups to go", lambda: not group(cluster, uid, "memory").exists())


def test_namespaces_and_names(here: Space) -> None:
    aliases = [{"ip": "10.99.0.200", "hostnames": ["printer", "printer.shop"]}]
    config = {
        "nameservers": ["10.43.0.99"],
        "searches": ["shop.test"],
        "options": [{"name": "ndots", "value": "1"}],
    }
    second, full = container(FOREVER) | {"name": "second"}, f"db.sets.{here.name}.svc.cluster.local"
    here.apply(
        pod("shared", container(FOREVER), second, shareProcessNamespace=True),
        pod("host", container(FOREVER), hostNetwork=True, hostPID=True, hostIPC=True, dnsPolicy="Default"),
        pod("named", container(FOREVER), hostname="db", subdomain="sets", setHostnameAsFQDN=True,
            hostAliases=aliases, dnsPolicy="None", dnsConfig=config),
        pod("long", container(FOREVER), hostname="d" * 40, subdomain="s" * 20, setHostnameAsFQDN=True),
    )  # fmt: skip
    running(here, "shared", "host", "named")
    commands = here.exec("shared", "cat /proc/[0-9]*/comm").split()
    assert commands.count("sleep") == 2
    assert here.exec("host", "ls /proc/self/task >/dev/null; readlink /proc/self/ns/pid").strip() == str(
        Path("/proc/self/ns/pid").readlink()
    )
    assert here.exec("host", "hostname").strip() == here.cluster.hosts[1].run("hostname").strip()
    assert here.exec("named", "hostname").strip() == full
    hosts = here.exec("named", "cat /etc/hosts")
    assert "10.99.0.200\tprinter\tprinter.shop" in hosts
    assert f"{full}\tdb" in hosts
    assert here.exec("named", "cat /etc/resolv.conf").splitlines() == [
        "nameserver 10.43.0.99", "search shop.test", "options ndots:1",
    ]  # fmt: skip
    here.cluster.wait_for(
        "the name to be found too long", lambda: "is too long" in here.kubectl("get", "events")
    )


def test_a_runtime_class_names_the_engines_runtime(here: Space) -> None:
    classes = [
        {
            "apiVersion": "node.k8s.io/v1",
            "kind": "RuntimeClass",
            "metadata": {"name": name},
            "handler": handler,
        }
        for name, handler in (("plain", "runc"), ("odd", "no-such-runtime"))
    ]
    here.apply(*classes)
    here.apply(*(pod(name, container(FOREVER), runtimeClassName=name) for name in ("plain", "odd")))
    running(here, "plain")
    here.wait("odd", "the engine's refusal", lambda status: "no-such-runtime" in str(status))
    here.kubectl("delete", "runtimeclass", "plain", "odd")
