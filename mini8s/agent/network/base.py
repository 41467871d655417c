"""What the kubelet needs of the pod network: an address for a sandbox, and its removal. `netlink` fulfils
it."""

from __future__ import annotations

from typing import Protocol


class NetworkError(Exception):
    """The kernel refused, or no address is left; the message says which. Worth another try."""


class PodNetwork(Protocol):
    @property
    def ready(self) -> bool:
        """Whether pods can be attached."""

    def reserve(self, uid: str) -> str:
        """The IPv4 address that the pod's sandbox will be given, kept for it from now on until it is
        detached. Raises NetworkError."""

    def attach(self, uid: str, pid: int) -> str:
        """Give the sandbox whose first process is `pid` an interface, an address and its routes; returns the
        IPv4 address. Safe to repeat: a pod that has an address keeps it. Raises NetworkError."""

    def detach(self, uid: str) -> None:
        """Take the pod's interface and routes away and free its address. Safe to repeat."""

    def address(self, uid: str) -> str:
        """The pod's address, empty when it has none."""
