"""The pod network of this host: the pods' interfaces, the ways to other hosts' pods, masquerade.

Each round makes the kernel what the Node objects say it should be, and reports what can't be done; it runs
when a node changes, and now and then in case somebody else changed something. Until this node's own object
names its pod range there is nothing to hand out, and attaching a pod is refused with that reason.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from mini8s.agent.network import forwarding, masquerade, path, plan, ruleset, sysctl
from mini8s.agent.network.base import Ips, NetworkError
from mini8s.agent.network.facts import pod_addresses
from mini8s.agent.network.family import FAMILIES
from mini8s.agent.network.netlink import VXLAN_OVERHEAD, Kernel, link_name
from mini8s.agent.network.pods import Pods
from mini8s.client.informer import Informers
from mini8s.objects import ip
from mini8s.objects.kinds import NODES, PODS, Obj
from mini8s.util.backoff import Backoff
from mini8s.util.log import OnChange
from mini8s.util.workers import Stop, Worker

log = logging.getLogger(__name__)

ROUND_SECONDS = 30.0  # how soon what somebody else changed is mended
USUAL_MTU = 1500  # Ethernet's
IDLE_SECONDS = 1.0  # how soon a stop is seen


class Network:
    """Fulfils `base.PodNetwork` for the kubelet, and keeps the host's share of the network true."""

    def __init__(
        self,
        *,
        informers: Informers,
        node_name: str,
        node_ips: Callable[[], Ips],
        backend: str,
        cluster_cidr: str,
        service_cidr: str,
        cluster_dns: str,
        stop: Stop,
        kernel: Kernel | None = None,
    ) -> None:
        self._nodes = informers.of(NODES)
        self._own_pods = informers.of(PODS, fields=f"spec.nodeName={node_name}")
        self._name, self._addresses, self._backend = node_name, node_ips, backend
        services = ip.by_family(ip.split(service_cidr))
        clusters = ip.by_family(ip.split(cluster_cidr))
        self._ranges = {family: (one, services[family]) for family, one in clusters.items()}
        self._first = next(iter(self._ranges))
        self._cluster_dns = ip.split(cluster_dns)
        self._overhead = VXLAN_OVERHEAD[self._first]
        self._stop = stop
        self._kernel = kernel or Kernel(self._ranges)
        self._pods: Pods | None = None
        self._pod_cidrs: tuple[str, ...] = ()
        self._mtu = USUAL_MTU  # of the link that others reach this host by
        self._masquerade: dict[str, str] = {}  # the texts that are loaded
        self._wake = threading.Event()
        self._said = OnChange(log)
        self._worker = Worker("network", self.step, stop, backoff=Backoff(first=0.2, most=10.0))
        self._started = False

    @property
    def sentence(self) -> str:
        """What the network says of itself."""
        return self._said.sentence

    @property
    def ready(self) -> bool:
        """Whether pods can be attached: the node's Ready condition depends on it."""
        return self._pods is not None

    def look_again(self) -> None:
        """The host's addresses or routes were changed, by which some of ours may have gone."""
        self._wake.set()

    def start(self) -> None:
        self._nodes.subscribe(self._node_changed)
        self._started = True
        self._worker.start()

    def stop(self) -> None:
        """End the loop; links, routes and addresses stay, pods go on working."""
        self._stop.set()
        self._wake.set()
        if self._started:
            self._worker.join(5.0)

    def reserve(self, uid: str) -> Ips:
        return self._ready_pods().reserve(uid)

    def attach(self, uid: str, pid: int) -> Ips:
        return self._ready_pods().attach(uid, pid)

    def detach(self, uid: str) -> None:
        if self._pods:
            self._pods.detach(uid)
        else:
            self._kernel.remove_link(link_name(uid))

    def addresses(self, uid: str) -> Ips:
        return self._pods.addresses(uid) if self._pods else ()

    def step(self) -> float | None:
        """One round when there is a reason, else a short wait for one."""
        if not self._nodes.synced.wait(IDLE_SECONDS):
            return None
        self._wake.clear()
        self._round()
        if not self._stop:  # else its waking may have been cleared above
            self._wake.wait(ROUND_SECONDS)
        return None

    def _round(self) -> None:
        objects = self._nodes.cache.list()
        nodes = {name: [plan.node(one, name, self._first) for one in objects] for name in self._ranges}
        own = {name: one for name, found in nodes.items() if (one := self._own(found))}
        if len(own) < len(self._ranges):
            self._said.say("waiting for the server to give this node a range of pod addresses")
            return
        problems, far = [], {}
        for name, found in nodes.items():
            others = plan.others(found, own[name])
            ways = self._kernel.ways(one.address for one in others)
            near = {address for address, near in ways.items() if near}
            far[name] = plan.tunnelled(others, self._backend, near)
            problems += [
                f"no way leads to {one.name} at {one.address}" for one in others if one.address not in ways
            ]
        tunnel = any(far.values()) or self._backend == plan.VXLAN
        problems = self._prepare(own, tunnel=tunnel) + problems + self._apply(nodes, own, far)
        if not tunnel:  # nobody is behind it any more, and no route leads there
            self._kernel.remove_link(plan.TUNNEL)
        rooms = [forwarding.make_room(cluster) for cluster, _ in self._ranges.values()]
        problems += [problem for problem in rooms if problem]
        count = self._ready_pods().refresh()
        ranges = " and ".join(one.pod_cidr for one in own.values())
        self._said.say("; ".join([f"pods of this node have addresses of {ranges}", *problems]))
        log.debug("%d pods have an address", count)

    def _own(self, nodes: Sequence[plan.Node]) -> plan.Node | None:
        """This host as it is now in a family; None while its object doesn't name its range."""
        own = next((one for one in nodes if one.name == self._name), None)
        if own is None or not own.pod_cidr:
            return None
        return replace(own, address=ip.by_family(self._addresses()).get(ip.family(own.pod_cidr), ""))

    def _prepare(self, own: Mapping[str, plan.Node], *, tunnel: bool) -> list[str]:
        """What must be there before the first pod; what was wrong with it. A host whose cable is pulled may
        have lost its address, and its pods are to have theirs."""
        problems = []
        sysctl.switch("ip_forward", 1)
        # what `all` says can't be undone for a link; links that aren't pods' keep their own setting
        sysctl.switch("conf/all/send_redirects", 0)
        if ip.IPV6 in own:
            sysctl.route_ipv6()
        for address in self._cluster_dns:
            self._kernel.add_local_address(address)
        first = own[self._first]
        try:
            mtu = self._kernel.link_of(first.address)[1]
        except NetworkError as error:
            mtu, problems = USUAL_MTU, [str(error)]
        self._mtu = mtu
        if tunnel:
            addresses = tuple(plan.tunnel_address(one.pod_cidr) for one in own.values())
            mac = plan.tunnel_mac(first.pod_cidr)
            self._kernel.make_tunnel(addresses, mac, first.address, mtu - self._overhead)
        if self._backend == plan.VXLAN:  # else pods learn it where they need it, from their host
            mtu -= self._overhead
        ranges = tuple(one.pod_cidr for one in own.values())
        if self._pods is None or self._pod_cidrs != ranges:
            self._pods = Pods(self._kernel, ranges, mtu, self._known_addresses)
            self._pod_cidrs = ranges
        self._pods.mtu = mtu
        return problems

    def _apply(
        self,
        nodes: Mapping[str, Sequence[plan.Node]],
        own: Mapping[str, plan.Node],
        far: Mapping[str, Collection[str]],
    ) -> list[str]:
        """Make routes and masquerade true; what can't be. One host that can't be reached must not keep the
        others from being."""
        problems = []
        behind = {
            one.outer.address for name, found in nodes.items() for one in found if one.address in far[name]
        }
        narrow = path.narrow(sorted(behind), self._mtu) if behind else {}
        widths = {address: mtu - self._overhead for address, mtu in narrow.items()}
        wanted = [plan.wanted(found, own[name], far[name], widths) for name, found in nodes.items()]
        for action in plan.diff(self._kernel.entries(), frozenset().union(*wanted)):
            try:
                if isinstance(action, plan.Add):
                    self._kernel.add(action.entry)
                else:
                    self._kernel.remove(action.entry)
            except NetworkError as error:
                problems.append(f"{action.entry} can't be set: {error}")
        for name, found in nodes.items():
            text = masquerade.table(own[name].pod_cidr, plan.inside(found, *self._ranges[name]))
            nft = FAMILIES[name].nft
            if text != self._masquerade.get(name) or not ruleset.exists(masquerade.TABLE, nft):
                ruleset.load(text)
                self._masquerade[name] = text
        return problems

    def _known_addresses(self) -> dict[str, Ips]:
        return pod_addresses(self._own_pods.cache.list())

    def _ready_pods(self) -> Pods:
        if self._pods is None:
            raise NetworkError("the pod network is not ready: this node has no range of pod addresses yet")
        return self._pods

    def _node_changed(self, old: Obj | None, new: Obj | None) -> None:
        """Heartbeats change a node all the time; only what the plan reads counts."""
        before, after = (
            [plan.node(obj, name) for name in self._ranges] if obj else None for obj in (old, new)
        )
        if before != after:
            self._wake.set()
