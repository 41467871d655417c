"""The policies' loop: informers say what changed, a round computes what is wanted and programs the
difference.

A new pod is programmed before anything runs in it: `admit` comes back only when the kernel judges its
address. While there are no policies there is no table, and nothing is known of other hosts' pods.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from mini8s.agent.network.base import Ips, PodNetwork
from mini8s.agent.network.ruleset import RulesetError
from mini8s.agent.policy import model
from mini8s.agent.policy.base import Kernel
from mini8s.agent.policy.layout import EGRESS, INGRESS
from mini8s.agent.policy.peers import Peers
from mini8s.agent.policy.plan import NOTHING, Book, Picture, kin
from mini8s.client.base import Api
from mini8s.client.informer import Handler, Informers, Memory
from mini8s.objects import ip, meta
from mini8s.objects.kinds import NAMESPACES, NETWORKPOLICIES, PODS, Obj
from mini8s.objects.pods import MIRROR
from mini8s.util.backoff import Backoff
from mini8s.util.log import OnChange
from mini8s.util.workers import Stop, Worker

log = logging.getLogger(__name__)

TRY_SECONDS = 0.05  # between two looks whether enough is known for a round
ADMIT_SECONDS = 5.0  # how long a pod waits for policies to be known before its start is tried anew
CHECK_SECONDS = 20.0  # how soon a table that somebody flushed is made again
GATHER_SECONDS = 0.02  # what changes together is one round
DNS_LABELS = {"k8s-app": "kube-dns"}
DNS_PORTS = (("dns", "udp", 53), ("dns-tcp", "tcp", 53))


class Unknown(Exception):
    """The server has not been asked for policies, or did not answer."""


class AllPods(Protocol):
    """`peers.Peers`, and what a test has in its place."""

    @property
    def synced(self) -> bool: ...
    def list(self) -> list[Obj]: ...
    def open(self) -> None: ...
    def close(self, *, forget: bool) -> None: ...


class Policies:
    """Keeps this host's pods isolated as NetworkPolicies want it."""

    def __init__(
        self,
        *,
        informers: Informers,
        node_name: str,
        cluster_dns: str,
        network: PodNetwork,
        peers: Callable[[Handler], AllPods],
        kernels: Mapping[str, Kernel],
        stop: Stop,
    ) -> None:
        """`kernels`: one for each of the cluster's families."""
        self._policies = informers.of(NETWORKPOLICIES)
        self._namespaces = informers.of(NAMESPACES)
        self._own = informers.of(PODS, fields=f"spec.nodeName={node_name}")
        self._all = peers(self._pod_changed)
        self._network, self._stop = network, stop
        self._dns = ip.by_family(ip.split(cluster_dns))
        self._round_lock = threading.Lock()  # guards the sides and who was admitted
        self._admitted: dict[str, Ips] = {}  # uid to addresses, of pods that nobody else knows of yet
        self._sides = [_Side(family, kernel) for family, kernel in kernels.items()]
        self._statics: Callable[[], Iterable[Obj] | None] = tuple
        self._told = False  # whether the last round was made, and not put off for what was not known
        self._wake = threading.Event()
        self._backoff = Backoff(first=0.1, most=5.0)
        self._said = OnChange(log)
        self._worker = Worker("policy", self.step, stop)
        self._started = False

    @property
    def sentence(self) -> str:
        """What it says of itself."""
        return self._said.sentence

    def judge_also(self, statics: Callable[[], Iterable[Obj] | None]) -> None:
        """This host's static pods, whether the API shows them or not; None while they are not known."""
        self._statics = statics

    def start(self) -> None:
        self._policies.subscribe(self._policy_changed)
        self._namespaces.subscribe(self._namespace_changed)
        self._own.subscribe(self._pod_changed)
        self._started = True
        self._worker.start()

    def stop(self) -> None:
        """End the loop; what is programmed stays and goes on working."""
        self._stop.set()
        self._wake.set()
        ended = not self._started or self._worker.join(5.0)
        self._all.close(forget=False)
        for side in self._sides if ended else ():
            side.kernel.close()

    def admit(self, uid: str, addresses: Ips) -> None:
        """Come back when the kernel judges a new pod's addresses. Raises Unknown, RulesetError."""
        end = time.monotonic() + ADMIT_SECONDS
        with self._round_lock:
            self._admitted[uid] = addresses
        while not self._try_round():
            if self._stop.wait(TRY_SECONDS) or time.monotonic() > end:
                raise Unknown("network policies are not known yet")

    def forget(self, uid: str) -> None:
        """The pod's addresses are nobody's any more."""
        with self._round_lock:
            if self._admitted.pop(uid, None):
                self._wake.set()

    def step(self) -> float | None:
        """Wait for changes, then one round. What it lacked comes without a word: no pod says that it was the
        last."""
        if self._told and all(side.book is not None for side in self._sides):
            self._wake.wait(CHECK_SECONDS)
            self._stop.wait(GATHER_SECONDS)
        self._wake.clear()
        try:
            self._told = self._try_round()
        except RulesetError as error:
            self._said.say(str(error))
            return self._backoff.failed()
        self._backoff.succeeded()
        return None if self._told else TRY_SECONDS

    def _try_round(self) -> bool:
        """One round, when enough is known for it; whether it was."""
        with self._round_lock:
            informers = (self._policies, self._namespaces, self._own)
            if not self._network.ready or not all(one.synced.is_set() for one in informers):
                return False  # else pods whose addresses aren't known yet would be open
            statics = self._statics()
            if statics is None:
                return False
            policies = self._policies.cache.list()
            if policies:
                self._all.open()
                if not self._all.synced:
                    return False
            else:
                self._all.close(forget=True)
            own = {_uid(obj): obj for obj in (*self._own.cache.list(), *statics)}
            for side in self._sides:
                side.round(self._picture(policies, own, side.family) if policies else NOTHING)
            self._said.say(summary((side.book for side in self._sides if side.book), len(policies)))
        return True

    def _picture(self, policies: list[Obj], own: Mapping[str, Obj], family: str) -> Picture:
        local = [pod for uid, obj in own.items() if (pod := self._local(uid, obj, family))]
        here = {pod.address for pod in local}
        others = (model.pod(obj, family=family) for obj in self._all.list())
        pods = local + [pod for pod in others if pod and pod.address not in here]
        if family in self._dns:
            pods.append(model.Pod("kube-system", model.labels(DNS_LABELS), DNS_PORTS, self._dns[family]))
        judged = [model.policy(obj, family) for obj in policies]
        namespaces = {meta.name(obj): model.labels(meta.labels(obj)) for obj in self._namespaces.cache.list()}
        return Picture(judged, namespaces, kin(pods), local, family)

    def _local(self, uid: str, obj: Obj, family: str) -> model.Pod | None:
        """A pod of this host, where it is now and not where it is known to be."""
        address = ip.by_family(self._admitted.get(uid) or self._network.addresses(uid)).get(family)
        return model.pod(obj, address, family) if address else None

    def _policy_changed(self, _old: Obj | None, _new: Obj | None) -> None:
        self._wake.set()

    def _namespace_changed(self, old: Obj | None, new: Obj | None) -> None:
        if old is None or new is None or meta.labels(old) != meta.labels(new):
            self._wake.set()

    def _pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        """A pod's status changes all the time; only what it is judged by counts."""
        before, after = (
            [model.pod(obj, family=side.family) if obj else None for side in self._sides]
            for obj in (old, new)
        )
        if before != after:
            self._wake.set()


def _uid(obj: Obj) -> str:
    """The uid that a pod has on its host: a mirror says that of its static pod."""
    return meta.annotations(obj).get(MIRROR, meta.uid(obj))


class _Side:
    """What is known of the kernel in one family of addresses."""

    def __init__(self, family: str, kernel: Kernel) -> None:
        self.family, self.kernel = family, kernel
        self.book: Book | None = None  # None: what the kernel holds is unknown
        self._present: bool | None = None  # whether the kernel has our table
        self._checked = 0.0

    def round(self, picture: Picture) -> None:
        """A table is there only while a pod of this host is isolated: the others pay nothing for it. Raises
        RulesetError."""
        try:
            self._program(picture)
        except RulesetError as error:
            self._distrust()
            raise RulesetError(self._reason(error)) from error

    def _program(self, picture: Picture) -> None:
        self._check()
        book = self.book or Book(self.kernel.highest() + 1)
        change = book.change(picture)
        if book.elements and self._present:
            if change:
                self.kernel.change(change)
        elif book.elements:
            self.kernel.replace(book.elements)
        elif self._present is not False:
            self.kernel.remove()
        self.book, self._present = book, bool(book.elements)

    def _reason(self, error: RulesetError) -> str:
        try:
            lacks = self.kernel.lacks()
        except RulesetError:
            lacks = ""
        return lacks or f"network policies can't be programmed: {error}"

    def _check(self) -> None:
        """A book may only be trusted while the table is there."""
        now = time.monotonic()
        if self._present and now - self._checked >= CHECK_SECONDS:
            self._checked = now
            if not self.kernel.intact():
                log.warning("the nftables table of network policies was removed or changed: making it again")
                self._distrust()

    def _distrust(self) -> None:
        self.book = self._present = None


def summary(books: Iterable[Book], policies: int) -> str:
    """What is programmed, as one sentence."""
    if not policies:
        return "there are no network policies"
    isolated = [{key for name, key in one.elements if name in (INGRESS, EGRESS)} for one in books]
    count = max(map(len, isolated), default=0)
    return f"{policies} network policies isolate {count} pods of this host"


def all_pods(api: Api, memory: Memory) -> Callable[[Handler], AllPods]:
    """The real ones."""
    return lambda changed: Peers(api, memory, changed)
