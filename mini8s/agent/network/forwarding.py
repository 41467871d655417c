"""Room for pods' traffic on a host whose firewall drops what is forwarded.

A Docker engine that manages iptables sets the policy of FORWARD to drop, and no accept in another table
undoes a drop. Docker leaves the chain DOCKER-USER to others, so accepts for our pods go there. Any other
firewall is its owner's: it is told, not changed.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from dataclasses import dataclass

from mini8s.agent.network.base import NetworkError
from mini8s.objects import ip

_COMMENT = "mini8s"
_COMMANDS = {ip.IPV4: "iptables", ip.IPV6: "ip6tables"}


@dataclass(frozen=True, slots=True)
class Room:
    """What `iptables` is to be called with, and what is to be said when there is nothing to be done about
    it."""

    commands: tuple[tuple[str, ...], ...] = ()
    warning: str = ""


def plan(rules: str, cluster_cidr: str) -> Room:
    """What these rules (`iptables -S`, of IPv6 `ip6tables -S`) need so that pods' traffic passes. PURE."""
    lines = rules.splitlines()
    if "-P FORWARD DROP" not in lines:
        return Room()
    if "-N DOCKER-USER" not in lines:
        return Room(
            warning="the firewall of this host drops forwarded packets "
            f"({command(cluster_cidr)} FORWARD policy DROP): pods reach no other host "
            f"until it accepts packets from and to {cluster_cidr}"
        )
    have = [shlex.split(line)[2:] for line in lines if line.startswith("-A DOCKER-USER ")]
    return Room(
        tuple(("-I", "DOCKER-USER", *rule) for rule in _accepts(cluster_cidr) if list(rule) not in have)
    )


def leftovers(rules: str) -> Room:
    """What takes our rules away again. PURE."""
    ours = [
        shlex.split(line)
        for line in rules.splitlines()
        if line.startswith("-A DOCKER-USER ") and f"--comment {_COMMENT} " in line
    ]
    return Room(tuple(("-D", *rule[1:]) for rule in ours))


def make_room(cluster_cidr: str) -> str:
    """Let pods' traffic pass; what is in its way, empty when nothing is. Raises NetworkError."""
    program = command(cluster_cidr)
    room = plan(_rules(program), cluster_cidr)
    _perform(program, room)
    return room.warning


def take_back() -> None:
    """Remove our rules. Raises NetworkError."""
    for program in _COMMANDS.values():
        _perform(program, leftovers(_rules(program)))


def command(cidr: str) -> str:
    """Which program keeps the rules for a range."""
    return _COMMANDS[ip.family(cidr)]


def _accepts(cidr: str) -> tuple[tuple[str, ...], ...]:
    tail = ("-m", "comment", "--comment", _COMMENT, "-j", "ACCEPT")
    return (("-s", cidr, *tail), ("-d", cidr, *tail))


def _perform(program: str, room: Room) -> None:
    for arguments in room.commands:
        _iptables(program, *arguments)


def _rules(program: str) -> str:
    """A host without the command has no such firewall: Docker needs the command to make its rules."""
    return _iptables(program, "-S") if shutil.which(program) else ""


def _iptables(program: str, *arguments: str) -> str:
    try:
        done = subprocess.run(
            [program, "-w", "5", *arguments], capture_output=True, text=True, timeout=30, check=True
        )
    except subprocess.CalledProcessError as error:
        raise NetworkError(f"{program} {shlex.join(arguments)}: {error.stderr.strip()}") from error
    except subprocess.TimeoutExpired as error:
        raise NetworkError(f"{program} did not end within 30 s") from error
    return done.stdout
