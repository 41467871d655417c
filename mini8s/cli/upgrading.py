"""PURE: an upgrade of hosts one by one, from a file: what it says, and what is to be done on each host."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from mini8s.objects import meta
from mini8s.objects.kinds import Obj
from mini8s.objects.pods import MIRROR

_KEYS = {"hosts", "readySeconds", "drainSeconds"}
_HOST_KEYS = {"name", "command", "drain"}


class BadFile(ValueError):
    """What is wrong with the file, in a sentence."""


@dataclass(frozen=True, slots=True)
class Host:
    """`command` is run by a shell here: it usually begins with ssh. Without `drain` pods run on meanwhile."""

    name: str
    command: str
    drain: bool = True


@dataclass(frozen=True, slots=True)
class Upgrade:
    hosts: tuple[Host, ...]
    ready_seconds: int = 300  # a slow board with a slow card installs and starts in a minute or two
    drain_seconds: int = 600  # disruption budgets may want other pods ready first


class Step(Enum):
    CORDON = "cordon"
    DRAIN = "drain"
    RUN = "run the command"
    WAIT = "wait until it is Ready"
    UNCORDON = "uncordon"


def parse(said: Any) -> Upgrade:
    """Raises BadFile."""
    if not isinstance(said, dict):
        raise BadFile("it is not a mapping with hosts")
    _known(said, _KEYS, "it")
    listed = said.get("hosts")
    if not isinstance(listed, list) or not listed:
        raise BadFile("hosts is not a list with at least one host")
    hosts = tuple(_host(one, f"hosts[{number}]") for number, one in enumerate(listed))
    names = [host.name for host in hosts]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise BadFile(f"{twice[0]} is there twice")
    upgrade = Upgrade(hosts)
    return Upgrade(
        hosts,
        _seconds(said, "readySeconds", upgrade.ready_seconds),
        _seconds(said, "drainSeconds", upgrade.drain_seconds),
    )


def steps(host: Host, node: Obj) -> list[Step]:
    """In order. A host that somebody has cordoned stays so."""
    closed = bool(node.get("spec", {}).get("unschedulable"))
    away = [Step.DRAIN] if host.drain else []
    if host.drain and not closed:
        return [Step.CORDON, *away, Step.RUN, Step.WAIT, Step.UNCORDON]
    return [*away, Step.RUN, Step.WAIT]


def refusal(upgrade: Upgrade, nodes: Mapping[str, Obj]) -> str:
    """Why nothing is begun; empty when all is well. An upgrade that starts with a sick host can't tell
    whether it made it so."""
    if unknown := [host.name for host in upgrade.hosts if host.name not in nodes]:
        return f"there is no node {unknown[0]}"
    if sick := sorted(name for name, node in nodes.items() if not is_ready(node)):
        return f"node {sick[0]} is not Ready: see to it first, or delete the node when it is gone"
    return ""


def to_evict(pods: Iterable[Obj]) -> list[Obj]:
    """Those that have to leave a node: not what belongs to each host, not what has ended."""
    return [pod for pod in pods if _moves(pod)]


def is_ready(node: Obj) -> bool:
    conditions = node.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _moves(pod: Obj) -> bool:
    owner = meta.controller_ref(pod)
    return (
        pod.get("status", {}).get("phase") not in {"Succeeded", "Failed"}
        and MIRROR not in pod["metadata"].get("annotations", {})
        and not (owner and owner["kind"] == "DaemonSet")
    )


def _host(said: Any, where: str) -> Host:
    if not isinstance(said, dict):
        raise BadFile(f"{where} is not a mapping")
    _known(said, _HOST_KEYS, where)
    for key in ("name", "command"):
        if not isinstance(said.get(key), str) or not said[key].strip():
            raise BadFile(f"{where}.{key} is missing, or not a text")
    drain = said.get("drain", True)
    if not isinstance(drain, bool):
        raise BadFile(f"{where}.drain is not true or false")
    return Host(said["name"], said["command"], drain)


def _seconds(said: Mapping[str, Any], key: str, default: int) -> int:
    found = said.get(key, default)
    if isinstance(found, bool) or not isinstance(found, int) or found <= 0:
        raise BadFile(f"{key} is not a number of seconds")
    return found


def _known(said: Mapping[str, Any], keys: set[str], where: str) -> None:
    if unknown := sorted(map(str, set(said) - keys)):
        raise BadFile(f"{where} has {unknown[0]}, which is none of {', '.join(sorted(keys))}")
