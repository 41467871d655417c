"""Hosts for tests: a network namespace each, with a Docker engine of its own, joined by a switch whose
cables can be pulled. Nothing leaves these namespaces. Standard library only: `scripts/hosts` works before
anything is installed.

    from hosts import Hosts
    with Hosts() as hosts:
        hosts.up(3)
        hosts[1].run("docker", "version")
        hosts[2].cut()

A host shares the machine's files and processes but not its network: give programs on it paths below
`host.folder` and names of their own (`host.environment` says so to mini8s, docker and kubectl).
"""

from hosts.host import Host, HostError, Hosts

__all__ = ["Host", "HostError", "Hosts"]
