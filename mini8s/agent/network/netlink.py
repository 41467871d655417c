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

from mini8s.agent.network import netns, sysctl, veth
from mini8s.agent.network.base import Ips, NetworkError
from mini8s.agent.network.changes import PROTOCOL as _PROTOCOL
from mini8s.agent.network.family import FAMILIES, IPV4, IPV6, Family
from mini8s.agent.network.plan import TUNNEL, TUNNEL_PORT, Entry, Forward, Neighbour, Route
from mini8s.objects import ip

LINK_PREFIX = "m8p"
# of every pod, as in `veth`
GATEWAYS = {IPV4.name: veth.GATEWAY, IPV6.name: "fe80::1"}
GATEWAY_MAC = "ee:ee:ee:ee:ee:ee"
_ALIAS = "mini8s pod "
_LINK_SCOPE, _HOST_SCOPE = 253, 254
_LABEL = "lo:mini8s"  # of addresses that this host answers on
_PERMANENT, _SELF, _ONLINK = 0x80, 0x02, 4
_NODAD = 0x02  # IFA_F_NODAD: nobody else can have it, so nobody is asked
_DEPRECATED = 0x20  # IFA_F_DEPRECATED
_FOREVER = 0xFFFFFFFF
_NO_ADDRESS = 1  # of addr_gen_mode
_RUNNING = 0x40  # IFF_RUNNING: it is up, and a cable is plugged in
_VXLAN_ID = 8
VXLAN_OVERHEAD = {IPV4.name: 50, IPV6.name: 70}  # by the family of the packets outside

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PodLink:
    """The host's end of a pod's veth; it has no `addresses` when it was never finished."""

    name: str
    index: int
    uid: str
    addresses: Ips


def link_name(uid: str) -> str:
    """An interface's name has room for 15 characters, so it can't be the uid itself."""
    return LINK_PREFIX + hashlib.sha256(uid.encode()).hexdigest()[:12]


class Kernel:
    """The network of the calling thread's namespace. Threads may share it. `families`: of the cluster.

    Each call opens a socket of its own (0.3 ms): pyroute2 keeps one for each thread that ever used it.
    """

    def __init__(self, families: Iterable[str] = (ip.IPV4,)) -> None:
        self._families = [FAMILIES[name] for name in families]

    def pod_links(self) -> list[PodLink]:
        """All pods' links, as the kernel has them now."""
        with _using() as ipr:
            links = {
                link["index"]: link
                for link in ipr.get_links()
                if _text(link, "IFLA_IFNAME").startswith(LINK_PREFIX)
            }
            addresses: dict[int, Ips] = {}
            for family in self._families:
                for route in ipr.get_routes(family=family.number, table=254):
                    if route["dst_len"] == family.bits and route.get_attr("RTA_OIF") in links:
                        index = route.get_attr("RTA_OIF")
                        addresses[index] = (*addresses.get(index, ()), route.get_attr("RTA_DST"))
        return [
            PodLink(
                _text(link, "IFLA_IFNAME"),
                index,
                _text(link, "IFLA_IFALIAS").removeprefix(_ALIAS),
                addresses.get(index, ()),
            )
            for index, link in links.items()
        ]

    def add_pod(self, uid: str, pid: int, addresses: Ips, mtu: int) -> None:
        """A veth into the sandbox whose first process is `pid`, its addresses, and the routes to them; that
        of a sandbox before this one gives way."""
        if [_family(one) for one in addresses] != [IPV4]:
            self._add_pod_of_two(uid, pid, addresses, mtu)
            return
        try:
            veth.add(veth.Pod(link_name(uid), _ALIAS + uid, pid, addresses[0], mtu), _PROTOCOL)
        except OSError as error:
            raise NetworkError(f"the network of process {pid}: {error}") from error

    def _add_pod_of_two(self, uid: str, pid: int, addresses: Ips, mtu: int) -> None:
        """The same with IPv6: more than `veth` knows, and slower."""
        name = link_name(uid)
        self.remove_link(name)
        with _using() as ipr:
            peer = {"ifname": "eth0", "net_ns_pid": pid, "mtu": mtu}
            ipr.link("add", ifname=name, kind="veth", address=GATEWAY_MAC, mtu=mtu, peer=peer)
            index = _index(ipr, name)
            ipr.link("set", index=index, ifalias=_ALIAS + uid)
            # a pod that reaches itself through a Service comes in and leaves by one link: that is no cause
            # for a redirect
            sysctl.switch(f"conf/{name}/send_redirects", 0)
            if IPV6 in map(_family, addresses):
                # its neighbour is told to it: an address of its own would be news for all who listen
                sysctl.switch(f"conf/{name}/addr_gen_mode", _NO_ADDRESS, "ipv6")
            ipr.link("set", index=index, state="up")
            mac = _in_pod(pid, lambda pod: _plumb(pod, addresses))
            # last, and that of the first family at the very last: a link with it is a pod that is ready
            for address in reversed(addresses):
                family = _family(address)
                if family is IPV6:
                    ipr.neigh("replace", dst=address, lladdr=mac, ifindex=index, state=_PERMANENT)
                scope = {"scope": _LINK_SCOPE} if family is IPV4 else {}
                dst = f"{address}/{family.bits}"
                ipr.route("replace", dst=dst, oif=index, proto=_PROTOCOL, **scope)

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

    def addresses_in(self, pid: int) -> Ips:
        """The addresses that the sandbox's eth0 has."""
        return _in_pod(pid, _addresses_of_eth0)

    def entries(self) -> set[Entry]:
        """The routes to other hosts' pods that mini8s made, and what the tunnel knows."""
        with _using() as ipr:
            index = next(iter(ipr.link_lookup(ifname=TUNNEL)), 0)
            found: set[Entry | None] = set()
            for family in self._families:
                found |= set(map(_read_route(index), ipr.get_routes(family=family.number, table=254)))
                if index:
                    there = ipr.get_neighbours(family=family.number, ifindex=index)
                    found |= set(map(_read_neighbour, there))
            if index:
                found |= set(map(_read_forward, ipr.fdb("dump", ifindex=index)))
        return {one for one in found if one}

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
            for found in ipr.get_addr(family=_family(address).number, address=address):
                link = ipr.get_links(found["index"])[0]
                return _text(link, "IFLA_IFNAME"), int(link.get_attr("IFLA_MTU"))
        raise NetworkError(f"no link of this host has the address {address}")

    def has_address(self, address: str) -> bool:
        """Whether a link that is up has this address."""
        with _using() as ipr:
            for found in ipr.get_addr(family=_family(address).number, address=address):
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
                    number = _family(address).number
                    way = ipr.route("get", family=number, dst=address)[0]
                    found[address] = not way.get_attr("RTA_GATEWAY")
        return found

    def make_tunnel(self, addresses: Ips, mac: str, local: str, mtu: int) -> None:
        """The VXLAN device with its addresses; one that is otherwise is made anew."""
        with _using() as ipr:
            for index in ipr.link_lookup(ifname=TUNNEL):
                if _is_tunnel(ipr.get_links(index)[0], mac, local, mtu):
                    for address in addresses:
                        with _unless(errno.EEXIST):
                            _add_address(ipr, index, address)
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
                **{"vxlan_local" if _family(local) is IPV4 else "vxlan_local6": local},
                vxlan_learning=False,
            )
            index = _index(ipr, TUNNEL)
            for address in addresses:
                _add_address(ipr, index, address)
            ipr.link("set", index=index, state="up")

    def add_local_address(self, address: str) -> None:
        """An address that this host answers on. The kernel must never choose it as a source: it has scope
        host, and one of IPv6, which knows no such scope for it, is deprecated (RFC 6724, rule 3)."""
        with _using() as ipr:
            with _unless(errno.EEXIST):  # to replace it would be a change of addresses, which wakes us
                if _family(address) is IPV4:
                    ipr.addr("add", index=1, address=address, prefixlen=32, scope=_HOST_SCOPE, label=_LABEL)
                else:
                    _add_address(ipr, 1, address, preferred_lft=0, valid_lft=_FOREVER)
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
            for found in ipr.get_addr(family=IPV6.number, index=1):  # nobody else deprecates one there
                if found["prefixlen"] == IPV6.bits and found["flags"] & _DEPRECATED:
                    ipr.addr("del", index=1, address=found.get_attr("IFA_ADDRESS"), prefixlen=IPV6.bits)


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


def _plumb(pod: Any, addresses: Ips) -> str:
    """Make the pod's end work; its MAC."""
    eth0 = _index(pod, "eth0")
    if IPV6 in map(_family, addresses):
        _switch_ipv6_on()
    pod.link("set", index=1, state="up")
    for address in addresses:
        _add_address(pod, eth0, address)
    pod.link("set", index=eth0, state="up")
    for family in map(_family, addresses):
        gateway = GATEWAYS[family.name]
        scope = {"scope": _LINK_SCOPE} if family is IPV4 else {}
        pod.route("add", dst=f"{gateway}/{family.bits}", oif=eth0, **scope)
        pod.neigh("add", dst=gateway, lladdr=GATEWAY_MAC, ifindex=eth0, state=_PERMANENT)
        pod.route("add", family=family.number, gateway=gateway, oif=eth0)
    return _text(pod.get_links(eth0)[0], "IFLA_ADDRESS")


def _switch_ipv6_on() -> None:
    """In the sandbox, where the engine has switched it off; no router's word counts there but ours."""
    for name, value in (("all/disable_ipv6", 0), ("eth0/disable_ipv6", 0), ("eth0/accept_ra", 0)):
        sysctl.switch(f"conf/{name}", value, "ipv6")


def _addresses_of_eth0(pod: Any) -> Ips:
    return tuple(
        str(found.get_attr("IFA_ADDRESS"))
        for index in pod.link_lookup(ifname="eth0")
        for found in pod.get_addr(index=index)
    )


def _family(address: str) -> Family:
    return FAMILIES[ip.family(address)]


def _add_address(ipr: Any, index: int, address: str, **more: Any) -> None:
    family = _family(address)
    if family is IPV6:
        more["flags"] = _NODAD
    ipr.addr("add", index=index, address=address, prefixlen=family.bits, **more)


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
        and local in (info.get_attr("IFLA_VXLAN_LOCAL"), info.get_attr("IFLA_VXLAN_LOCAL6"))
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
