"""What the kubelet needs of the pod network: an address for a sandbox, and its removal. `netlink` fulfils
it."""

from __future__ import annotations

from typing import Protocol

Ips = tuple[str, ...]  # of a pod or a host: one of each family, the cluster's first family first


class NetworkError(Exception):
    """The kernel refused, or no address is left; the message says which. Worth another try."""


class PodNetwork(Protocol):
    @property
    def ready(self) -> bool:
        """Whether pods can be attached."""

    def reserve(self, uid: str) -> Ips:
        """The addresses that the pod's sandbox will be given, kept for it from now on until it is
        detached. Raises NetworkError."""

    def attach(self, uid: str, pid: int) -> Ips:
        """Give the sandbox whose first process is `pid` an interface, addresses and their routes; returns the
        addresses. Safe to repeat: a pod that has them keeps them. Raises NetworkError."""

    def detach(self, uid: str) -> None:
        """Take the pod's interface and routes away and free its addresses. Safe to repeat."""

    def addresses(self, uid: str) -> Ips:
        """The pod's, none when it has none."""
