"""What `mini8s check` concludes from what a host says."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mini8s.app.checking import engine, host, kernel
from mini8s.app.checking.base import Finding, Level, worst
from mini8s.app.checking.ports import Wanted, judge, listeners

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 100 1 0 100 0 0 10 0
   1: 0100007F:192B 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 101 1 0 100 0 0 10 0
   2: 0B00630A:192C 0C00630A:0050 01 00000000:00000000 00:00000000 00000000 0 0 102 1 0 100 0 0 10 0
"""
UDP = """\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 200 2 0 0
"""
UDP6 = """\
  sl  local_address                         remote_address st tx_queue rx_queue tr tm->when retrnsmt inode
   0: 00000000000000000000000000000000:0035 00000000000000000000000000000000:0000 07 0:0 00:0 0 0 0 201 2 0 0
"""
INFO = {"ServerVersion": "24.0.7", "CgroupDriver": "systemd", "Driver": "overlay2", "DockerRootDir": "/d"}


def levels(findings: list[Finding]) -> dict[str, Level]:
    return {one.subject: one.level for one in findings}


def test_what_listens_is_read_from_proc() -> None:
    found = list(listeners(TCP))
    assert [(one.port, one.inode, one.everywhere) for one in found] == [
        (80, "100", True),
        (6443, "101", False),
    ]
    assert [one.everywhere for one in listeners(UDP, udp=True)] == [False]
    assert [one.everywhere for one in listeners(UDP6, udp=True)] == [True]


def test_a_port_that_another_has_is_told_with_his_name() -> None:
    wanted = [
        Wanted(6443, "the API needs it", "stop that", vital=True),
        Wanted(80, "Ingresses need it", "stop that"),
        Wanted(443, "Ingresses need it", "stop that"),
        Wanted(53, "names need it", "stop that", "udp", only_everywhere=True),
    ]
    found = {"tcp": list(listeners(TCP)), "udp": list(listeners(UDP, udp=True))}
    said = list(judge(wanted, found, {"101": "k3s (pid 7)", "100": "mini8s"}))
    assert levels(said) == {
        "port 6443": Level.FAIL,
        "port 80": Level.OK,
        "port 443": Level.OK,
        "port 53/udp": Level.OK,
    }
    assert said[0].text == "k3s (pid 7) has it, and the API needs it"
    everywhere = found | {"udp": list(listeners(UDP6, udp=True))}
    assert levels(list(judge(wanted, everywhere, {})))["port 53/udp"] == Level.WARN


@pytest.mark.parametrize(
    ("change", "subject", "level"),
    [
        ({}, "Docker", Level.OK),
        ({"ServerVersion": "19.03.1"}, "Docker", Level.FAIL),
        ({"SecurityOptions": ["name=seccomp,profile=default", "name=rootless"]}, "Docker", Level.FAIL),
        ({"CgroupDriver": "none"}, "Docker's control groups", Level.FAIL),
        ({"Driver": "vfs"}, engine.STORAGE, Level.WARN),
        ({"SecurityOptions": ["name=userns"]}, "Docker's users", Level.WARN),
    ],
)
def test_an_engine_is_judged_by_what_it_says(change: dict[str, Any], subject: str, level: Level) -> None:
    assert levels(list(engine.judge(INFO | change)))[subject] == level


def test_an_engine_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    (said,) = engine.look(f"unix://{tmp_path}/docker.sock")
    assert said.level == Level.FAIL
    assert said.text.startswith(f"no engine answers at {tmp_path}/docker.sock (No such file or directory)")
    assert [one.level for one in engine.look("tcp://127.0.0.1:2375")] == [Level.FAIL]


def test_rights_are_roots_with_what_links_and_mounts_need() -> None:
    assert host.rights(1000, "").level == Level.FAIL
    assert host.rights(0, "CapEff:\t000001ffffffffff\n").level == Level.OK
    without_admin = 0x1FFFFFFFFFF & ~(1 << 12)
    said = host.rights(0, f"CapEff:\t{without_admin:016x}\n")
    assert (said.level, said.text) == (Level.FAIL, "root without CAP_NET_ADMIN")
    assert host.rights(0, f"CapEff:\t{0x1FFFFFFFFFF & ~(1 << 24):016x}\n").level == Level.WARN


@pytest.mark.parametrize(
    ("total", "left", "swap", "memory", "swapped"),
    [
        (4096, 3000, 0, Level.OK, Level.OK),
        (384, 300, 0, Level.WARN, Level.OK),
        (4096, 100, 0, Level.WARN, Level.OK),
        (200, 190, 100, Level.FAIL, Level.WARN),
    ],
)
def test_memory(total: int, left: int, swap: int, memory: Level, swapped: Level) -> None:
    lines = f"MemTotal: {total << 10} kB\nMemAvailable: {left << 10} kB\nSwapTotal: {swap << 10} kB\n"
    assert levels(list(host.memory(lines))) == {"memory": memory, "swap": swapped}


def test_control_groups_of_either_version(tmp_path: Path) -> None:
    for name in ("cpu,cpuacct", "pids"):
        (tmp_path / name).mkdir()
    (said,) = kernel.cgroups(tmp_path)
    assert (said.level, said.text) == (Level.FAIL, "v1 without memory")
    assert "cgroup_enable=memory" in said.hint
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    (said,) = kernel.cgroups(tmp_path)
    assert (said.level, said.text) == (Level.OK, "v2 with cpu, memory, pids")


def test_a_clock_in_1970_and_one_that_nobody_keeps() -> None:
    now = datetime(2026, 6, 1, tzinfo=UTC)
    assert host.clock(datetime(1970, 1, 1, tzinfo=UTC), in_step=True).level == Level.FAIL
    assert host.clock(now, in_step=False).level == Level.WARN
    assert host.clock(now, in_step=True).level == Level.OK
    assert host.clock(now, in_step=None).level == Level.OK
    assert worst([host.clock(now, in_step=False), host.clock(now, in_step=True)]) == Level.WARN


def test_room_is_that_of_the_nearest_folder(tmp_path: Path) -> None:
    assert f" at {tmp_path}, " in host.room("disk", "nodefs", tmp_path / "not" / "yet").text
