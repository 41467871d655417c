"""What the host is and has, read from the kernel's files."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mini8s.agent.kubelet.usage.host_usage import memory_figures
from mini8s.objects.quantity import format_binary

_HUGE_PAGES = Path("/sys/kernel/mm/hugepages")
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
    system_uuid: str = ""
    huge_pages: Mapping[str, int] = field(default_factory=dict)  # resource → bytes set aside


def facts(data_dir: Path) -> HostFacts:
    return HostFacts(
        cpus=len(os.sched_getaffinity(0)),
        memory=memory_figures(_text("/proc/meminfo"))["MemTotal"],
        storage=shutil.disk_usage(_existing(data_dir)).total,
        architecture=_ARCHITECTURES.get(platform.machine(), platform.machine()),
        kernel=platform.release(),
        os_image=_os_image(),
        machine_id=_text("/etc/machine-id"),
        boot_id=_text("/proc/sys/kernel/random/boot_id"),
        system_uuid=_text("/sys/class/dmi/id/product_uuid"),
        huge_pages=dict(_huge_pages(_HUGE_PAGES)),
    )


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder


def _huge_pages(folder: Path) -> Iterator[tuple[str, int]]:
    """`hugepages-2Mi` and its like, as far as the kernel has sizes of them."""
    for one in sorted(folder.glob("hugepages-*kB")):
        size = int(one.name.removeprefix("hugepages-").removesuffix("kB")) * 1024
        yield f"hugepages-{format_binary(size)}", size * int(_text(str(one / "nr_hugepages")) or 0)


def _os_image() -> str:
    lines = _text("/etc/os-release").splitlines()
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    return values.get("PRETTY_NAME", "Linux").strip('"')


def _text(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except FileNotFoundError:
        return ""
