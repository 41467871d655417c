"""What the kernel must have, tried for real: the very tables and links that an agent makes are made in a
network namespace which ends with the look."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from mini8s.agent.network import masquerade, netns, ruleset
from mini8s.agent.network.base import NetworkError
from mini8s.agent.network.netlink import Kernel
from mini8s.agent.network.plan import TUNNEL_PORT
from mini8s.agent.network.ruleset import RulesetError
from mini8s.agent.policy.table import Table as Policies
from mini8s.agent.proxy.conntrack import Connections, ConntrackError
from mini8s.agent.proxy.layout import Needs
from mini8s.agent.proxy.plan import Flow
from mini8s.agent.proxy.table import Table as Services
from mini8s.app.checking.base import Finding, fail, ok, warn

_CIDRS = ("10.43.0.0/16", "10.42.0.0/16")  # of Services, of pods
_CONTROLLERS = ("cpu", "memory", "pids")
_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
_KERNEL = "use a kernel with it, such as Debian 12's"
_MEMORY = "on a Raspberry Pi add cgroup_enable=memory to /boot/firmware/cmdline.txt"


def look() -> Iterator[Finding]:
    """What only root may try is left out for others."""
    yield ok("kernel", os.uname().release)
    yield from cgroups(Path("/sys/fs/cgroup"))
    yield forwarding(_FORWARD.read_text().strip() if _FORWARD.exists() else "")
    if os.geteuid():
        return
    try:
        yield from netns.scratch(lambda: [_tried(*one) for one in _TRIES])
    except OSError as error:
        yield fail(
            "network namespaces", f"{error.strerror}", "run it as root of the host, outside containers"
        )


def cgroups(root: Path) -> Iterator[Finding]:
    """v2 has all controllers in one file, v1 a tree for each."""
    unified = root / "cgroup.controllers"
    there = unified.read_text().split() if unified.exists() else [path.name for path in root.glob("*")]
    named = {part for name in there for part in name.split(",")}
    version = "v2" if unified.exists() else "v1"
    lacking = [one for one in _CONTROLLERS if one not in named]
    if lacking:
        hint = _MEMORY if lacking == ["memory"] else _KERNEL
        yield fail("control groups", f"{version} without {', '.join(lacking)}", hint)
    else:
        yield ok("control groups", f"{version} with {', '.join(_CONTROLLERS)}")


def forwarding(said: str) -> Finding:
    if said == "1":
        return ok("IP forwarding", "on")
    if said == "0":
        return ok("IP forwarding", "off; an agent turns it on")
    return fail("IP forwarding", "this kernel can't be asked for it", "mount /proc, and allow it in sysctl")


def _tried(subject: str, go: Callable[[], str], vital: bool) -> Finding:
    try:
        return ok(subject, go())
    except (RulesetError, NetworkError, ConntrackError, OSError) as error:
        missing = "install the package nftables" if "nft is missing" in str(error) else _KERNEL
        return (fail if vital else warn)(subject, str(error), missing)


def _services() -> str:
    table = Services(*_CIDRS)
    try:
        table.replace({}, Needs())
    except RulesetError as error:
        raise RulesetError(table.lacks() or str(error)) from error
    finally:
        table.close()
    return "nftables takes the tables of Services"


def _policies() -> str:
    table = Policies("10.43.0.10")
    try:
        table.replace({})
    except RulesetError as error:
        raise RulesetError(table.lacks() or str(error)) from error
    finally:
        table.close()
    return "nftables takes the tables of network policies"


def _masquerade() -> str:
    ruleset.load(masquerade.table("10.42.0.0/24", _CIDRS))
    return "nftables masquerades"


def _conntrack() -> str:
    connections = Connections()
    try:
        connections.keep({Flow("udp", "10.43.0.10", 53, None)})
    finally:
        connections.close()
    return "connections can be listed and forgotten"


def _veth() -> str:
    Kernel().try_veth()
    return "pods can be connected"


def _vxlan() -> str:
    Kernel().make_tunnel(("10.42.0.0",), "02:00:00:00:00:01", "127.0.0.1", 1450)
    return f"a tunnel at UDP port {TUNNEL_PORT} can be made"


_TRIES: tuple[tuple[str, Callable[[], str], bool], ...] = (
    ("Services", _services, True),
    ("NetworkPolicies", _policies, False),
    ("masquerading", _masquerade, True),
    ("connection tracking", _conntrack, True),
    ("veth", _veth, True),
    ("VXLAN", _vxlan, False),
)
