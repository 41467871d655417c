"""NodePorts: a port of the host is given once per address and protocol; all addresses clash with each."""

from __future__ import annotations

from collections.abc import Sequence

from mini8s.scheduler.base import HostPort, NodeState, PodFacts


def node_ports(pod: PodFacts, node: NodeState) -> Sequence[str]:
    if any(_clash(wanted, taken) for wanted in pod.host_ports for taken in node.host_ports):
        return ("node(s) didn't have free ports for the requested pod ports",)
    return ()


def _clash(one: HostPort, other: HostPort) -> bool:
    return one[1:] == other[1:] and (one[0] == other[0] or not one[0] or not other[0])
