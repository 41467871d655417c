"""Links, addresses, routes and neighbours of the kernel, through pyroute2 (but for `veth`). Its exceptions
stop here.

Host ends of pods' veths are named by prefix and carry the pod's uid as alias; routes that mini8s makes carry
a routing protocol number of their own. By these marks a start finds again what an earlier run made.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pyroute2.iproute import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from mini8s.agent.network import netns, veth
from mini8s.agent.network.base import NetworkError
from mini8s.agent.network.changes import PROTOCOL as _PROTOCOL
from mini8s.agent.network.plan import TUNNEL, TUNNEL_PORT, Entry, Forward, Neighbour, Route

LINK_PREFIX = "m8p"
_ALIAS = "mini8s pod "
_HOST_SCOPE = 254
_LABEL = "lo:mini8s"  # of addresses that this host answers on
_PERMANENT, _SELF, _ONLINK = 0x80, 0x02, 4
_RUNNING = 0x40  # IFF_RUNNING: it is up, and a cable is plugged in
_VXLAN_ID = 8
VXLAN_OVERHEAD = 50

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PodLink:
    """The host's end of a pod's veth; `address` is empty when it was never finished."""

    name: str
    index: int
    uid: str
    address: str


def link_name(uid: str) -> str:
    """An interface's name has room for 15 characters, so it can't be the uid itself."""
    return LINK_PREFIX + hashlib.sha256(uid.encode()).hexdigest()[:12]


class Kernel:
    """The network of the calling thread's namespace. Threads may share it.

    Each call opens a socket of its own (0.3 ms): pyroute2 keeps one for each thread that ever used it.
    """

    def pod_links(self) -> list[PodLink]:
        """All pods' links, as the kernel has them now."""
        with _using() as ipr:
            links = {
                link["index"]: link
                for link in ipr.get_links()
                if _text(link, "IFLA_IFNAME").startswith(LINK_PREFIX)
            }
            addresses = {
                route.get_attr("RTA_OIF"): route.get_attr("RTA_DST")
                for route in ipr.get_routes(family=2, table=254)
                if route["dst_len"] == 32
            }
        return [
            PodLink(
                _text(link, "IFLA_IFNAME"),
                index,
                _text(link, "IFLA_IFALIAS").removeprefix(_ALIAS),
                addresses.get(index) or "",
            )
            for index, link in links.items()
        ]

    def add_pod(self, uid: str, pid: int, address: str, mtu: int) -> None:
        """A veth into the sandbox whose first process is `pid`, its address, and the route to it; that of a
        sandbox before this one gives way."""
        try:
            veth.add(veth.Pod(link_name(uid), _ALIAS + uid, pid, address, mtu), _PROTOCOL)
        except OSError as error:
            raise NetworkError(f"the network of process {pid}: {error}") from error

    def try_veth(self) -> None:
        """A pair of links such as pods have, in a namespace that the caller throws away."""
        with _using() as ipr:
            ipr.link("add", ifname=f"{LINK_PREFIX}check", kind="veth", peer={"ifname": "eth0"})

    def remove_link(self, name: str) -> None:
        """None there is success; its routes go with it."""
        with _using() as ipr:
            for index in ipr.link_lookup(ifname=name):
                with _unless(errno.ENODEV):
                    ipr.link("del", index=index)

    def address_in(self, pid: int) -> str:
        """The address that the sandbox's eth0 has, empty when it has none."""
        return _in_pod(pid, _address_of_eth0)

    def entries(self) -> set[Entry]:
        """The routes to other hosts' pods that mini8s made, and what the tunnel knows."""
        with _using() as ipr:
            index = next(iter(ipr.link_lookup(ifname=TUNNEL)), 0)
            found = {route for route in map(_read_route(index), ipr.get_routes(family=2, table=254)) if route}
            if index:
                found |= {
                    one for one in map(_read_neighbour, ipr.get_neighbours(family=2, ifindex=index)) if one
                }
                found |= {one for one in map(_read_forward, ipr.fdb("dump", ifindex=index)) if one}
        return found

    def add(self, entry: Entry) -> None:
        with _using() as ipr:
            if isinstance(entry, Route):
                ipr.route("replace", **_route(ipr, entry))
            elif isinstance(entry, Neighbour):
                ipr.neigh(
                    "replace",
                    dst=entry.address,
                    lladdr=entry.mac,
                    ifindex=_index(ipr, TUNNEL),
                    state=_PERMANENT,
                )
            else:
                ipr.fdb("append", ifindex=_index(ipr, TUNNEL), lladdr=entry.mac, dst=entry.host, **_FDB)

    def remove(self, entry: Entry) -> None:
        """None there is success."""
        with _using() as ipr, _unless(errno.ESRCH, errno.ENOENT, errno.ENODEV):
            if isinstance(entry, Route):
                ipr.route("del", **_route(ipr, entry))
            elif isinstance(entry, Neighbour):
                ipr.neigh("del", dst=entry.address, lladdr=entry.mac, ifindex=_index(ipr, TUNNEL))
            else:
                ipr.fdb("del", ifindex=_index(ipr, TUNNEL), lladdr=entry.mac, dst=entry.host, **_FDB)

    def link_of(self, address: str) -> tuple[str, int]:
        """The name and MTU of the link that has this address of the host."""
        with _using() as ipr:
            for found in ipr.get_addr(family=2, address=address):
                link = ipr.get_links(found["index"])[0]
                return _text(link, "IFLA_IFNAME"), int(link.get_attr("IFLA_MTU"))
        raise NetworkError(f"no link of this host has the address {address}")

    def has_address(self, address: str) -> bool:
        """Whether a link that is up has this address."""
        with _using() as ipr:
            for found in ipr.get_addr(family=2, address=address):
                with _unless(errno.ENODEV):
                    if ipr.get_links(found["index"])[0]["flags"] & _RUNNING:
                        return True
        return False

    def ways(self, addresses: Iterable[str]) -> dict[str, bool]:
        """Whether each of these hosts is on a link of this host, so that no gateway leads there; without
        those to which there is no way at all."""
        found = {}
        with _using() as ipr:
            for address in addresses:
                with _unless(errno.ENETUNREACH, errno.EHOSTUNREACH):
                    found[address] = not ipr.route("get", dst=address)[0].get_attr("RTA_GATEWAY")
        return found

    def make_tunnel(self, address: str, mac: str, local: str, mtu: int) -> None:
        """The VXLAN device with its address; one that is otherwise is made anew."""
        with _using() as ipr:
            for index in ipr.link_lookup(ifname=TUNNEL):
                if _is_tunnel(ipr.get_links(index)[0], mac, local, mtu):
                    with _unless(errno.EEXIST):
                        ipr.addr("add", index=index, address=address, prefixlen=32)
                    return
                ipr.link("del", index=index)
            ipr.link(
                "add",
                ifname=TUNNEL,
                kind="vxlan",
                address=mac,
                mtu=mtu,
                vxlan_id=_VXLAN_ID,
                vxlan_port=TUNNEL_PORT,
                vxlan_local=local,
                vxlan_learning=False,
            )
            index = _index(ipr, TUNNEL)
            ipr.addr("add", index=index, address=address, prefixlen=32)
            ipr.link("set", index=index, state="up")

    def add_local_address(self, address: str) -> None:
        """An address that this host answers on. Scope host: the kernel must never choose it as a source."""
        with _using() as ipr:
            with _unless(errno.EEXIST):  # to replace it would be a change of addresses, which wakes us
                ipr.addr("add", index=1, address=address, prefixlen=32, scope=_HOST_SCOPE, label=_LABEL)
            ipr.link("set", index=1, state="up")

    def remove_ours(self) -> None:
        """Remove every link, route and address that carries one of our marks."""
        for link in self.pod_links():
            self.remove_link(link.name)
        for entry in self.entries():
            self.remove(entry)
        self.remove_link(TUNNEL)
        with _using() as ipr:
            for found in ipr.get_addr(family=2, index=1, label=_LABEL):
                ipr.addr("del", index=1, address=found.get_attr("IFA_ADDRESS"), prefixlen=32)


_FDB: Mapping[str, int] = {"state": _PERMANENT, "flags": _SELF}


@contextlib.contextmanager
def _using() -> Iterator[Any]:
    try:
        with IPRoute() as ipr:
            yield ipr
    except (NetlinkError, OSError) as error:
        raise NetworkError(f"the kernel refused: {error}") from error


def _in_pod(pid: int, call: Callable[[Any], T]) -> T:
    def run() -> T:
        with IPRoute() as pod:
            return call(pod)

    try:
        return netns.inside(f"/proc/{pid}/ns/net", run)
    except (NetlinkError, OSError) as error:
        raise NetworkError(f"the network of process {pid}: {error}") from error


def _address_of_eth0(pod: Any) -> str:
    for index in pod.link_lookup(ifname="eth0"):
        for found in pod.get_addr(family=2, index=index):
            return str(found.get_attr("IFA_ADDRESS"))
    return ""


def _route(ipr: Any, entry: Route) -> dict[str, Any]:
    route: dict[str, Any] = {"dst": entry.destination, "gateway": entry.via, "proto": _PROTOCOL}
    if entry.device:
        route |= {"oif": _index(ipr, entry.device), "flags": _ONLINK}
    if entry.mtu:
        route["metrics"] = {"mtu": entry.mtu}
    return route


def _read_route(tunnel: int) -> Callable[[Any], Entry | None]:
    def read(route: Any) -> Entry | None:
        via = route.get_attr("RTA_GATEWAY")
        if route["proto"] != _PROTOCOL or not via:
            return None
        device = TUNNEL if tunnel and route.get_attr("RTA_OIF") == tunnel else ""
        metrics = route.get_attr("RTA_METRICS")
        mtu = int(metrics.get_attr("RTAX_MTU") or 0) if metrics else 0
        return Route(f"{route.get_attr('RTA_DST')}/{route['dst_len']}", via, device, mtu)

    return read


def _read_neighbour(neighbour: Any) -> Entry | None:
    if not neighbour["state"] & _PERMANENT:
        return None
    return Neighbour(neighbour.get_attr("NDA_DST"), neighbour.get_attr("NDA_LLADDR"))


def _read_forward(forward: Any) -> Entry | None:
    host = forward.get_attr("NDA_DST")
    return Forward(forward.get_attr("NDA_LLADDR"), host) if host else None


def _is_tunnel(link: Any, mac: str, local: str, mtu: int) -> bool:
    info = link.get_nested("IFLA_LINKINFO", "IFLA_INFO_DATA")
    return bool(
        info
        and link.get_attr("IFLA_ADDRESS") == mac
        and link.get_attr("IFLA_MTU") == mtu
        and info.get_attr("IFLA_VXLAN_LOCAL") == local
    )


def _index(ipr: Any, name: str) -> int:
    for index in ipr.link_lookup(ifname=name):
        return int(index)
    raise NetworkError(f"there is no link {name}")


def _text(message: Any, attribute: str) -> str:
    return str(message.get_attr(attribute) or "")


@contextlib.contextmanager
def _unless(*codes: int) -> Iterator[None]:
    """Take these refusals for success: what was to go is gone."""
    try:
        yield
    except NetlinkError as error:
        if error.code not in codes:
            raise
