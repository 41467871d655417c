"""A pod's control group: what the kernel is told, under either version and either driver."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini8s.agent.kubelet.isolation.cgroup_tree import CgroupTree
from mini8s.agent.kubelet.isolation.pod_cgroup import PodCgroup, oom_score_adj, pod_cgroup
from mini8s.agent.kubelet.isolation.policy import Policy

Obj = dict[str, Any]
GIGABYTE = 1 << 30


def container(requests: Obj | None = None, limits: Obj | None = None, **more: Any) -> Obj:
    return {"name": "main", "resources": {"requests": requests or {}, "limits": limits or {}}, **more}


def pod(*containers: Obj, **spec: Any) -> Obj:
    return {
        "metadata": {"name": "p", "namespace": "n", "uid": "a-b"},
        "spec": {"containers": containers, **spec},
    }


def test_weights_add_up_and_limits_need_everyones() -> None:
    policy = Policy(pod_max_pids=50, cgroup_root="/host/")
    one, two = container({"cpu": "500m"}, {"cpu": "1", "memory": "1Gi"}), container({"cpu": "1"})
    assert pod_cgroup(pod(one, two), policy) == PodCgroup("/host/kubepods/poda-b", 1536, 0, 0, 50)
    sidecar = container({"cpu": "100m"}, {"cpu": "500m", "memory": "1Gi"}, restartPolicy="Always")
    found = pod_cgroup(pod(one, initContainers=[sidecar]), policy)
    assert (found.cpu_shares, found.cpu_quota_us, found.memory_bytes) == (614, 150_000, 2 * GIGABYTE)


def test_who_asks_for_nothing_gets_least() -> None:
    found = pod_cgroup(pod(container()), Policy())
    assert (found.cpu_shares, found.cpu_quota_us, found.memory_bytes, found.pids) == (2, 0, 0, 0)
    assert found.v2() == {"cpu.weight": "1", "cpu.max": "max 100000", "memory.max": "max", "pids.max": "max"}


def test_systemd_names_a_slice_and_takes_properties() -> None:
    found = pod_cgroup(
        pod(container({"cpu": "250m"}, {"cpu": "250m", "memory": "1Mi"})), Policy(cgroup_driver="systemd")
    )
    assert found.parent == "kubepods-poda_b.slice"
    assert found.systemd() == {
        "CPUWeight": "10", "CPUQuota": "25%", "MemoryMax": "1048576", "TasksMax": "infinity",
    }  # fmt: skip


@given(st.integers(0, 400_000))
def test_weights_are_the_kernels(milli: int) -> None:
    found = pod_cgroup(pod(container({"cpu": f"{milli}m"})), Policy())
    assert 2 <= found.cpu_shares <= 262_144
    assert 1 <= int(found.v2()["cpu.weight"]) <= 10_000


@pytest.mark.parametrize(
    ("requests", "limits", "score"),
    [
        ({}, {}, 1000),
        ({"memory": "256Mi"}, {}, 750),
        ({"memory": "2Gi"}, {}, 3),
        ({"cpu": "1"}, {}, 999),
        ({"cpu": "1", "memory": "1Mi"}, {"cpu": "1", "memory": "1Mi"}, -997),
    ],
)
def test_who_goes_first_when_memory_is_short(requests: Obj, limits: Obj, score: int) -> None:
    one = container(requests, limits)
    assert oom_score_adj(pod(one), one, Policy(memory_bytes=GIGABYTE)) == score
    assert oom_score_adj(pod(one), one, Policy(memory_bytes=GIGABYTE, may_spare=False)) == max(0, score)


WANTED = PodCgroup("/kubepods/poda-b", 1024, 50_000, 4096, 7)


def kernel(folder: Path, files: str) -> None:
    """Files that the kernel would make with a group."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in files.split():
        (folder / name).write_text("0")


def test_version_1_has_a_tree_for_each_controller(tmp_path: Path) -> None:
    kernel(tmp_path / "cpu/kubepods/poda-b", "cpu.shares cpu.cfs_quota_us")
    kernel(tmp_path / "memory/kubepods/poda-b", "memory.limit_in_bytes")
    kernel(tmp_path / "pids/kubepods/poda-b", "pids.max")
    CgroupTree(tmp_path).ensure(WANTED, Policy())
    written = {
        str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.rglob("*") if path.is_file()
    }
    assert written == {
        "cpu/kubepods/poda-b/cpu.shares": "1024",
        "cpu/kubepods/poda-b/cpu.cfs_quota_us": "50000",
        "memory/kubepods/poda-b/memory.limit_in_bytes": "4096",
        "pids/kubepods/poda-b/pids.max": "7",
    }


def test_version_2_enables_controllers_all_the_way_down(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "kubepods"):
        kernel(folder, "cgroup.subtree_control cgroup.controllers")
        (folder / "cgroup.controllers").write_text("cpu io memory pids\n")
        (folder / "cgroup.subtree_control").write_text("cpu\n")
    kernel(tmp_path / "kubepods/poda-b", "cpu.weight cpu.max memory.max pids.max")
    CgroupTree(tmp_path).ensure(WANTED, Policy())
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+memory +pids"
    assert (tmp_path / "kubepods/cgroup.subtree_control").read_text() == "+memory +pids"
    assert (tmp_path / "kubepods/poda-b/cpu.max").read_text() == "50000 100000"
    assert (tmp_path / "kubepods/poda-b/pids.max").read_text() == "7"


def test_what_is_told_once_is_not_written_again(tmp_path: Path) -> None:
    shares = tmp_path / "cpu/kubepods/poda-b/cpu.shares"
    kernel(shares.parent, "cpu.shares")
    tree = CgroupTree(tmp_path)
    tree.ensure(WANTED, Policy())
    shares.write_text("somebody else's")
    tree.ensure(WANTED, Policy())
    assert shares.read_text() == "somebody else's"


def test_a_group_goes_from_every_tree_when_nothing_is_in_it(tmp_path: Path) -> None:
    for tree in ("cpu", "memory"):
        for name in ("pod1-a", "pod2-b"):
            (tmp_path / tree / "r" / "kubepods" / name).mkdir(parents=True)
    (tmp_path / "cpu/r/kubepods/pod1-a/container").mkdir()
    CgroupTree(tmp_path).remove("/r/kubepods/pod1-a", Policy())
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("pod*")) == [
        "cpu/r/kubepods/pod1-a", "cpu/r/kubepods/pod2-b", "memory/r/kubepods/pod2-b",
    ]  # fmt: skip
