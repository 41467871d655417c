"""Pods' interfaces and addresses: what the kubelet asks for, done in the kernel."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

from mini8s.agent.network.base import Ips, NetworkError
from mini8s.agent.network.ipam import Addresses
from mini8s.agent.network.netlink import Kernel, link_name
from mini8s.objects import ip


class Pods:
    """Fulfils `base.PodNetwork` for a range of addresses, or one of each family. `known` says by which
    addresses each pod is known to others."""

    def __init__(
        self, kernel: Kernel, cidrs: Sequence[str], mtu: int, known: Callable[[], Mapping[str, Ips]] = dict
    ) -> None:
        self._kernel = kernel
        self.mtu = mtu  # of the next pod: others learn of a narrower link from their host
        self._known = known
        self._lock = threading.Lock()  # guards the addresses and who is busy
        self._busy: set[str] = set()  # pods that are about to be attached: the kernel doesn't show them yet
        in_use = {link.uid: link.addresses for link in kernel.pod_links()}
        self._tables = {
            family: Addresses(cidr, _of(family, in_use)) for family, cidr in ip.by_family(cidrs).items()
        }
        self._first = next(iter(self._tables))
        self.refresh()

    def reserve(self, uid: str) -> Ips:
        known = self._known()
        with self._lock:
            found = self._take(uid, known)
            self._busy.add(uid)
        return found

    def _take(self, uid: str, known: Mapping[str, Ips]) -> Ips:
        return tuple(table.take(uid, _of(family, known)) for family, table in self._tables.items())

    def attach(self, uid: str, pid: int) -> Ips:
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
            for table in self._tables.values():
                table.release(uid)
            self._busy.discard(uid)

    def addresses(self, uid: str) -> Ips:
        with self._lock:
            return tuple(filter(None, (table.of(uid) for table in self._tables.values())))

    def refresh(self) -> int:
        """Take the kernel's word for who has which address; how many pods have one. A link that was not
        finished when an agent died is removed: its pod is attached again. One from before the cluster had a
        second family is finished: its pod stays as it is."""
        with self._lock:
            links = self._kernel.pod_links()
            held = {link.uid: link.addresses for link in links if link.uid}
            for family, table in self._tables.items():
                busy = {uid: one for uid, one in table.all().items() if uid in self._busy}
                table.keep(_of(family, held) | busy)
            # by name: a link that is just being made has no alias yet, and so no uid
            names = {link_name(uid) for uid in self._busy}
            broken = [
                link
                for link in links
                if self._first not in ip.by_family(link.addresses) and link.name not in names
            ]
            count = len(self._tables[self._first].all())
        for link in broken:
            self._kernel.remove_link(link.name)
        return count

    def _attach(self, uid: str, pid: int, *, reserved: bool) -> Ips:
        held = self.addresses(uid)
        if held and not reserved and held[0] in self._kernel.addresses_in(pid):
            return held
        known = self._known()
        try:
            with self._lock:
                found = self._take(uid, known)
            self._kernel.add_pod(uid, pid, found, self.mtu)
        except NetworkError:
            self.detach(uid)
            raise
        return found


def _of(family: str, addresses: Mapping[str, Ips]) -> dict[str, str]:
    """Those of one family, by uid."""
    by_uid = {uid: ip.by_family(found).get(family, "") for uid, found in addresses.items()}
    return {uid: one for uid, one in by_uid.items() if one}
