"""The hollow nodes of a process: each registers, renews its lease and writes its status as a real agent does,
with the same code; and its pods become Running and Ready, and end.

Shared by all of them are the host's figures, the threads, the connections, and one watch on pods and one on
nodes: a watch for each node would cost the server the same events and both sides thousands of connections.
Each write is made in the node's own name. Not played are events, the tunnel for logs and exec, and the
watches of the proxy and the resolver: these cost a server memory for each host, which this doesn't show.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path

from mini8s.agent.hollow import pretend
from mini8s.agent.kubelet.node.heartbeat import EVERY_SECONDS, Heartbeat
from mini8s.agent.kubelet.node.host import HostFacts
from mini8s.agent.kubelet.settings import KubeletSettings
from mini8s.agent.kubelet.status import Facts, pod_status
from mini8s.agent.kubelet.status_writer import difference
from mini8s.agent.kubelet.view import View
from mini8s.agent.network.base import NetworkError
from mini8s.agent.network.ipam import Addresses
from mini8s.agent.runtime.records import EngineInfo, Image
from mini8s.client.base import RETRY_SECONDS, Api
from mini8s.client.informer import Informers
from mini8s.client.workqueue import WorkQueue
from mini8s.objects import meta, pods
from mini8s.objects.errors import ApiError, Conflict, NotFound
from mini8s.objects.kinds import NODES, PODS, Obj
from mini8s.util.clock import Clock
from mini8s.util.log import OnChange
from mini8s.util.workers import Stop, Worker

log = logging.getLogger(__name__)

BEATERS, KUBELETS = 4, 4  # threads; more than one so that a slow answer holds up nobody else's lease
SAY_SECONDS = 5.0
FIRST_ADDRESS = IPv4Address("198.18.0.1")  # of RFC 2544's range for benchmarks: nobody has one of these
HOST = HostFacts(
    cpus=4,
    memory=8 << 30,
    storage=100 << 30,
    architecture="amd64",
    kernel="0",
    os_image="hollow",
    machine_id="",
    boot_id="",
)


class HollowEngine:
    """Fulfils `heartbeat.Engine`."""

    def info(self) -> EngineInfo:
        return EngineInfo("hollow", "1", 2)

    def images(self) -> Sequence[Image]:
        return ()


class NoEvents:
    """Fulfils EventSink."""

    def event(
        self, obj: Obj, type: str, reason: str, message: str, *, field_path: str = "", component: str = ""
    ) -> None:
        """Not played."""


@dataclass(slots=True)
class _Node:
    name: str
    ip: str
    api: Api
    heart: Heartbeat
    addresses: Addresses | None = None  # of its pods, once it has a range


def essence(pod: Obj) -> Obj:
    """What a hollow node must know of a pod: of one of which all is said, only where it is."""
    if meta.deleting(pod) or not pretend.settled(pod):
        return pod
    metadata, status = pod["metadata"], pod["status"]
    kept = ("name", "namespace", "uid", "resourceVersion")
    return {
        "metadata": {key: metadata[key] for key in kept},
        "spec": {"nodeName": pods.node_name(pod)},
        "status": {"phase": status["phase"], "podIP": status.get("podIP", "")},
    }


class HollowNodes:
    """Made before the informers are started. `api_of` is the API as a node of that name has it."""

    def __init__(
        self,
        names: Sequence[str],
        api_of: Callable[[str], Api],
        informers: Informers,
        *,
        labels: Mapping[str, str],
        taints: Sequence[Obj],
        settings: KubeletSettings,
        clock: Clock,
        stop: Stop,
    ) -> None:
        self._clock, self._stop = clock, stop
        self._beats, self._news = WorkQueue(), WorkQueue(most_seconds=RETRY_SECONDS)
        self._lock = threading.Lock()  # guards the nodes' tables of addresses
        self._nodes: dict[str, _Node] = {}
        self._seen = informers.of(NODES)
        for number, name in enumerate(names):
            api, ip = api_of(name), str(FIRST_ADDRESS + number)
            heart = Heartbeat(
                api=api,
                runtime=HollowEngine(),
                name=name,
                ips=partial(tuple, (ip,)),
                labels=labels,
                taints=taints,
                data_dir=Path("/nonexistent"),
                clock=clock,
                engine_trouble=str,
                network_trouble=str,
                settings=settings,
                events=NoEvents(),
                facts=HOST,
                shown=partial(self._shown, name),
            )
            self._nodes[name] = _Node(name, ip, api, heart)
        self._pods = informers.of(PODS, fields="spec.nodeName!=", indexers={"node": _by_node}, keep=essence)
        self._pods.subscribe(self._changed)
        self._said = OnChange(log)
        self._workers = [
            *(Worker(f"heartbeats-{number}", self.beat, stop) for number in range(BEATERS)),
            *(Worker(f"pods-{number}", self.step, stop) for number in range(KUBELETS)),
            Worker("hollow", self._say, stop, every=SAY_SECONDS),
        ]

    def _shown(self, name: str) -> Obj | None:
        return self._seen.cache.get("", name) if self._seen.following else None

    @property
    def registered(self) -> int:
        return sum(node.heart.registered for node in self._nodes.values())

    def start(self) -> None:
        """Register all as fast as the server takes it; what they do from then on is spread over the time
        between two heartbeats."""
        for name in self._nodes:
            self._beats.add(f"status {name}")
        for worker in self._workers:
            worker.start()

    def close(self, seconds: float) -> bool:
        """After the stop was set: whether all threads ended."""
        self._beats.shut_down()
        self._news.shut_down()
        ended = [worker.join(seconds) for worker in self._workers]
        return all(ended)

    def beat(self) -> float:
        """One node's lease or status."""
        key = self._beats.get()
        if key is None:
            return 0.0
        what, _, name = key.partition(" ")
        heart = self._nodes[name].heart
        try:
            if what == "lease":
                self._beats.add_after(key, heart.renew())
                return 0.0
            new, pause = not heart.registered, heart.step()
            if new and heart.registered:
                self._beats.add(f"lease {name}")
            self._beats.add_after(key, pause * _share(name) if new else pause)
        finally:
            self._beats.done(key)
        return 0.0

    def step(self) -> float:
        """One pod."""
        key = self._news.get()
        if key is None:
            return 0.0
        try:
            again = self.sync(key)
        except ApiError as error:
            log.info("%s: %s", key, error)
            self._news.add_rate_limited(key)
        else:
            self._news.forget(key)
            if again is not None:
                self._news.add_after(key, again)
        finally:
            self._news.done(key)
        return 0.0

    def sync(self, key: str) -> float | None:
        """Say of a pod what is to be said now; seconds until there is more. Raises ApiError."""
        pod = self._pods.cache.get(*meta.split_key(key))
        node = self._nodes.get(pods.node_name(pod)) if pod else None
        if pod is None or node is None:
            return None
        try:
            if meta.deleting(pod):
                space, name = meta.namespace(pod), meta.name(pod)
                node.api.delete(PODS, space, name, uid=meta.uid(pod), grace_seconds=0)
                return None
            return None if _is_bare(pod) else self._tell(pod, node)
        except (NotFound, Conflict):
            return None  # somebody was faster; the news of it comes

    def _tell(self, pod: Obj, node: _Node) -> float | None:
        now = self._clock.now()
        since = pretend.begun(pod, now)
        running = pretend.running(pod, since, now)
        address = self._address(pod, node)
        if not address:
            return EVERY_SECONDS / 10  # the node has no range yet
        status = pod_status(View(pod, running), Facts(now, since, (node.ip,), (address,)))
        change = difference(pod.get("status") or {}, status)
        if change:
            patch = {"metadata": {"uid": meta.uid(pod)}, "status": change}
            node.api.patch_status(PODS, meta.namespace(pod), meta.name(pod), patch)
        return pretend.next_change(pod, since, now)

    def _address(self, pod: Obj, node: _Node) -> str:
        """As a node's own table has it; "" while there is none to give."""
        if pod["spec"].get("hostNetwork"):
            return node.ip
        if not node.heart.pod_cidr:
            return ""
        with self._lock:
            if node.addresses is None:
                there = self._pods.cache.index("node", node.name)
                used = {meta.uid(one): _ip(one) for one in there if _ip(one)}
                node.addresses = Addresses(node.heart.pod_cidr, used)
            try:
                return node.addresses.take(meta.uid(pod))
            except NetworkError as error:
                log.warning("%s: %s", node.name, error)
                return ""

    def _changed(self, old: Obj | None, new: Obj | None) -> None:
        pod = new or old
        node = self._nodes.get(pods.node_name(pod)) if pod else None
        if pod is None or node is None:
            return
        if new is None:
            with self._lock:
                if node.addresses is not None:
                    node.addresses.release(meta.uid(pod))
        elif not _is_bare(pod):
            self._news.add(meta.key(pod))

    def _say(self) -> None:
        there = sum(len(self._pods.cache.index("node", name)) for name in self._nodes)
        self._said.say(f"{self.registered} of {len(self._nodes)} nodes registered, {there} pods")


def _by_node(pod: Obj) -> Sequence[str]:
    return (pods.node_name(pod),)


def _is_bare(pod: Obj) -> bool:
    """There is nothing to do about it: `essence` left out what it would be done with."""
    return "containers" not in pod["spec"]


def _ip(pod: Obj) -> str:
    return str((pod.get("status") or {}).get("podIP") or "")


def _share(name: str) -> float:
    """A number between 0 and 1 that is a node's own."""
    return hash(name) % 1000 / 1000
