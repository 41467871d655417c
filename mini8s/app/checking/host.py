"""What else a host needs: rights, room, memory, programs, free ports, and a clock that is right."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from mini8s.agent.network.plan import TUNNEL, TUNNEL_PORT
from mini8s.app.checking import ports
from mini8s.app.checking.base import Finding, fail, ok, warn
from mini8s.app.checking.ports import Wanted
from mini8s.app.clock_floor import MADE

_LEAST_MB, _GOOD_MB = 256, 512  # the server has 110 MB, Docker and the rest of the host as much
_LEAST_FREE, _GOOD_FREE = 256 << 20, 2 << 30
_PER_CENT = {"nodefs": 10, "imagefs": 15}  # of eviction-hard: below that pods have to go at once
# capabilities(7), by their numbers; what works without those that are not vital is said
_VITAL = {12: "CAP_NET_ADMIN", 13: "CAP_NET_RAW", 21: "CAP_SYS_ADMIN", 1: "CAP_DAC_OVERRIDE", 5: "CAP_KILL"}
_LESSER = {24: "CAP_SYS_RESOURCE", 25: "CAP_SYS_TIME", 27: "CAP_MKNOD"}
_PROGRAMS = (
    ("nft", "nftables", "", ""),
    ("mkfs.ext4", "e2fsprogs", "sizes of local volumes are not enforced", "local volumes"),
    ("haproxy", "haproxy", "Ingresses are not served on this host", "Ingresses"),
)
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_STA_UNSYNC = 0x40  # adjtimex(2)


class _Timex(ctypes.Structure):
    """The beginning of struct timex; the rest is room."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


def look(data_dir: Path, docker_root: str, wanted: Iterable[Wanted]) -> Iterator[Finding]:
    yield rights(os.geteuid(), Path("/proc/self/status").read_text())
    yield from memory(Path("/proc/meminfo").read_text())
    yield room("disk of the data", "nodefs", data_dir)
    if docker_root and Path(docker_root).exists():
        yield room("disk of images", "imagefs", Path(docker_root))
    yield from programs()
    yield clock(datetime.now(UTC), synchronised())
    yield from _ports(wanted)


def wanted(role: str, api: int, http: int, https: int) -> list[Wanted]:
    """Ports of a server or an agent."""
    api_too = Wanted(api, "the API needs it", "stop that, or choose another --https-listen-port", vital=True)
    own_names = "let that listen at the host's addresses only, or not at all"
    needed = [
        Wanted(http, "Ingresses need it", "stop that, or choose another --ingress-http-port"),
        Wanted(https, "Ingresses need it", "stop that, or choose another --ingress-https-port"),
        Wanted(53, "the resolver of pods needs it", own_names, "udp", vital=True, only_everywhere=True),
        Wanted(10250, "it is a kubelet's: two of them would rule this host", "stop the other one first"),
    ]
    if not Path(f"/sys/class/net/{TUNNEL}").exists():
        needed.append(Wanted(TUNNEL_PORT, "the tunnel to hosts behind routers needs it", "stop that", "udp"))
    return [api_too, *needed] if role == "server" else needed


def rights(uid: int, status: str) -> Finding:
    """`status` is /proc/self/status."""
    if uid:
        return fail(
            "rights", f"user {uid} is not root", "run it with sudo; what only root can try was left out"
        )
    found = re.search(r"^CapEff:\s*([0-9a-f]+)", status, re.MULTILINE)
    has = int(found[1], 16) if found else 0
    if lacking := [name for number, name in _VITAL.items() if not has >> number & 1]:
        return fail(
            "rights", f"root without {', '.join(lacking)}", "run it on the host itself, or --privileged"
        )
    if lacking := [name for number, name in _LESSER.items() if not has >> number & 1]:
        hint = "privileged pods, negative oom_score_adj and a clock of 1970 need these"
        return warn("rights", f"root without {', '.join(lacking)}", hint)
    return ok("rights", "root with all capabilities that are needed")


def memory(meminfo: str) -> Iterator[Finding]:
    numbers = {key: int(kb) for key, kb in re.findall(r"^(\w+):\s+(\d+) kB", meminfo, re.MULTILINE)}
    total, left = numbers.get("MemTotal", 0) >> 10, numbers.get("MemAvailable", 0) >> 10
    said = f"{total} MB, {left} of them available"
    if total < _LEAST_MB:
        yield fail("memory", said, f"{_LEAST_MB} MB are the least, {_GOOD_MB} leave room for pods")
    elif total < _GOOD_MB or left < _LEAST_MB // 2:
        yield warn("memory", said, f"with {_GOOD_MB} MB, half of them free, there is room for pods")
    else:
        yield ok("memory", said)
    if numbers.get("SwapTotal"):
        hint = "swapoff -a, and take it out of /etc/fstab, if pods' limits are to be exact"
        yield warn(
            "swap", f"{numbers['SwapTotal'] >> 10} MB: pods may use more than their memory limits", hint
        )
    else:
        yield ok("swap", "off")


def room(subject: str, signal: str, path: Path) -> Finding:
    """Of the nearest folder above that there is."""
    there = next(one for one in (path.absolute(), *path.absolute().parents) if one.exists())
    found = shutil.disk_usage(there)
    share = found.free * 100 // max(1, found.total)
    said = f"{found.free / (1 << 30):.1f} GB free at {there}, {share} %"
    if found.free < _LEAST_FREE:
        return fail(subject, said, "make room: what can't be written stops the server")
    if share < _PER_CENT[signal]:
        return warn(
            subject, said, f"below {_PER_CENT[signal]} % pods are evicted (--kubelet-arg eviction-hard=…)"
        )
    if found.free < _GOOD_FREE:
        return warn(subject, said, "images and logs soon need more than that")
    return ok(subject, said)


def programs() -> Iterator[Finding]:
    for program, package, without, what in _PROGRAMS:
        if shutil.which(program, path=_PATH):
            yield ok(what or program, f"{program} is there")
        elif without:
            yield warn(what, f"no {program}: {without}", f"apt install {package}")
        else:
            yield fail(program, "it is missing", f"apt install {package}")


def clock(now: datetime, in_step: bool | None) -> Finding:
    said = now.isoformat(sep=" ", timespec="seconds")
    if now < MADE:
        return fail("clock", f"it says {said}", "set it: no certificate holds yet by then")
    if in_step is False:
        return warn(
            "clock", f"it says {said}, and nobody keeps it right", "apt install systemd-timesyncd, or chrony"
        )
    return ok("clock", f"{said}, kept right" if in_step else said)


def synchronised() -> bool | None:
    """Whether somebody disciplines the clock; None when the kernel can't be asked."""
    said = _Timex()
    adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)
    if adjtimex is None or adjtimex(ctypes.byref(said)) < 0:
        return None
    return not said.status & _STA_UNSYNC


def _ports(wanted: Iterable[Wanted]) -> Iterator[Finding]:
    found = {
        protocol: [
            one
            for name in (protocol, f"{protocol}6")
            if (path := Path(f"/proc/net/{name}")).exists()
            for one in ports.listeners(path.read_text(), udp=protocol == "udp")
        ]
        for protocol in ("tcp", "udp")
    }
    yield from ports.judge(wanted, found, _owners())


def _owners() -> Mapping[str, str]:
    """By the inode of a socket. Whose processes may not be seen are nobody's."""
    owners = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            name = process.joinpath("comm").read_text().strip()
            words = process.joinpath("cmdline").read_bytes()
            ours = name.startswith("mini8s") or b"/agent/ingress/" in words
            for descriptor in process.joinpath("fd").iterdir():
                target = str(descriptor.readlink())
                if target.startswith("socket:["):
                    owners[target[8:-1]] = "mini8s" if ours else f"{name} (pid {process.name})"
        except OSError:
            continue  # it has ended, or is not ours to see
    return owners
