"""The switch, its cables and the hosts' namespaces, made with ip(8)."""

from __future__ import annotations

import subprocess

from hosts.place import GATEWAY, NAMESPACES, Place, address


def ip(*arguments: str) -> None:
    result = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(f"ip {' '.join(arguments)}: {result.stderr.strip()}")


def inside(namespace: str, *command: str) -> None:
    """nsenter, not `ip netns exec`, which mounts /sys anew and hides the control groups."""
    subprocess.run(["nsenter", f"--net={NAMESPACES / namespace}", *command], check=True, capture_output=True)


def make_switch(place: Place) -> None:
    """A bridge that owns the gateway's address. What would leave the set is refused, at once and for good:
    a program that asks for a registry or a name out there learns so without waiting."""
    if (NAMESPACES / place.switch).exists():
        return
    ip("netns", "add", place.switch)
    ip("-n", place.switch, "link", "set", "lo", "up")
    ip("-n", place.switch, "link", "add", "br0", "type", "bridge")
    ip("-n", place.switch, "addr", "add", f"{GATEWAY}/24", "dev", "br0")
    ip("-n", place.switch, "link", "set", "br0", "up")
    ip("-n", place.switch, "route", "add", "prohibit", "default")
    inside(place.switch, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.icmp_ratelimit=0")


def make_host(place: Place, number: int, *, plugged: bool) -> None:
    """A namespace at port pN of the switch, its cable in or out. Whatever was plugged there before is
    gone."""
    name, port = place.host(number), f"p{number}"
    remove(name)
    ip("netns", "add", name)
    ip("-n", name, "link", "set", "lo", "up")
    unplug(place, number)
    ip("-n", place.switch, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name)
    ip("-n", place.switch, "link", "set", port, "master", "br0", "up" if plugged else "down")
    ip("-n", name, "addr", "add", f"{address(number)}/24", "dev", "eth0")
    ip("-n", name, "link", "set", "eth0", "up")
    ip("-n", name, "route", "add", "default", "via", GATEWAY)
    inside(name, "sysctl", "-qw", "net.ipv4.ip_forward=1")


def unplug(place: Place, number: int) -> None:
    """Remove the switch's end of a cable; the host's end goes with it."""
    subprocess.run(["ip", "-n", place.switch, "link", "del", f"p{number}"], capture_output=True, check=False)


def set_cable(place: Place, number: int, *, up: bool) -> None:
    ip("-n", place.switch, "link", "set", f"p{number}", "up" if up else "down")


def remove(namespace: str) -> None:
    if (NAMESPACES / namespace).exists():
        ip("netns", "del", namespace)
