"""Pods' interfaces and addresses: what the kubelet asks for, done in the kernel."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from mini8s.agent.network.base import NetworkError
from mini8s.agent.network.ipam import Addresses
from mini8s.agent.network.netlink import Kernel, link_name


class Pods:
    """Fulfils `base.PodNetwork` for one range of addresses. `known` says by which address each pod is known
    to others."""

    def __init__(
        self, kernel: Kernel, pod_cidr: str, mtu: int, known: Callable[[], Mapping[str, str]] = dict
    ) -> None:
        self._kernel = kernel
        self.mtu = mtu  # of the next pod: others learn of a narrower link from their host
        self._known = known
        self._lock = threading.Lock()  # guards the addresses and who is busy
        self._busy: set[str] = set()  # pods that are about to be attached: the kernel doesn't show them yet
        links = kernel.pod_links()
        self._addresses = Addresses(pod_cidr, {link.uid: link.address for link in links if link.address})
        self.refresh()

    def reserve(self, uid: str) -> str:
        known = self._known()
        with self._lock:
            address = self._addresses.take(uid, known)
            self._busy.add(uid)
        return address

    def attach(self, uid: str, pid: int) -> str:
        with self._lock:
            reserved = uid in self._busy
            self._busy.add(uid)
        try:
            return self._attach(uid, pid, reserved=reserved)
        finally:
            with self._lock:
                self._busy.discard(uid)

    def detach(self, uid: str) -> None:
        self._kernel.remove_link(link_name(uid))
        with self._lock:
            self._addresses.release(uid)
            self._busy.discard(uid)

    def address(self, uid: str) -> str:
        with self._lock:
            return self._addresses.of(uid)

    def refresh(self) -> int:
        """Take the kernel's word for who has which address; how many pods have one. A link that was not
        finished when an agent died is removed: its pod is attached again."""
        with self._lock:
            links = self._kernel.pod_links()
            held = {link.uid: link.address for link in links if link.uid and link.address}
            held |= {uid: address for uid, address in self._addresses.all().items() if uid in self._busy}
            self._addresses.keep(held)
            # by name: a link that is just being made has no alias yet, and so no uid
            busy = {link_name(uid) for uid in self._busy}
            broken = [link for link in links if not link.address and link.name not in busy]
        for link in broken:
            self._kernel.remove_link(link.name)
        return len(held)

    def _attach(self, uid: str, pid: int, *, reserved: bool) -> str:
        held = self.address(uid)
        if held and not reserved and self._kernel.address_in(pid) == held:
            return held
        known = self._known()
        with self._lock:
            address = self._addresses.take(uid, known)
        try:
            self._kernel.add_pod(uid, pid, address, self.mtu)
        except NetworkError:
            self.detach(uid)
            raise
        return address
