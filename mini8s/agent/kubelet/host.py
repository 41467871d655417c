"""What the host is and has, read from the kernel's files."""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm"}


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What doesn't change while the agent runs. Sizes are bytes."""

    cpus: int
    memory: int
    storage: int
    architecture: str
    kernel: str
    os_image: str
    machine_id: str
    boot_id: str


@dataclass(frozen=True, slots=True)
class Pressure:
    """How much is left."""

    memory_available: int
    disk_free_share: float
    inodes_free_share: float
    pids_free_share: float


def facts(data_dir: Path) -> HostFacts:
    return HostFacts(
        cpus=len(os.sched_getaffinity(0)),
        memory=_meminfo()["MemTotal"],
        storage=shutil.disk_usage(_existing(data_dir)).total,
        architecture=_ARCHITECTURES.get(platform.machine(), platform.machine()),
        kernel=platform.release(),
        os_image=_os_image(),
        machine_id=_text("/etc/machine-id"),
        boot_id=_text("/proc/sys/kernel/random/boot_id"),
    )


def pressure(data_dir: Path) -> Pressure:
    found = os.statvfs(_existing(data_dir))
    threads = int(_text("/proc/loadavg").split()[3].partition("/")[2])
    most = int(_text("/proc/sys/kernel/pid_max"))
    return Pressure(
        memory_available=_meminfo()["MemAvailable"],
        disk_free_share=found.f_bavail / max(1, found.f_blocks),
        inodes_free_share=found.f_favail / found.f_files if found.f_files else 1.0,
        pids_free_share=1 - threads / max(1, most),
    )


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder


def _meminfo() -> dict[str, int]:
    lines = (line.split() for line in _text("/proc/meminfo").splitlines())
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines}


def _os_image() -> str:
    lines = _text("/etc/os-release").splitlines()
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    return values.get("PRETTY_NAME", "Linux").strip('"')


def _text(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except FileNotFoundError:
        return ""
