"""What informers show, into the board and the queue.

Informers' threads only leave word and stir the queue; the scheduler's cycle takes it in, so that the board is
one thread's. A pod that was placed a moment ago is on the board long before the informer shows it (assumed).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from mini8s.client.informer import Informers
from mini8s.objects import kinds, meta, pods
from mini8s.objects.kinds import Obj
from mini8s.scheduler.base import PodFacts
from mini8s.scheduler.board import Board
from mini8s.scheduler.facts import node_state, pod_facts
from mini8s.scheduler.queue import Change, Queue


class Intake:
    """`gone` is called with the uid of each pod that needs no node any more."""

    def __init__(
        self,
        informers: Informers,
        queue: Queue,
        names: Collection[str],
        gone: Callable[[str], None],
    ) -> None:
        self._queue, self._names, self._gone = queue, names, gone
        self._renamed: Callable[[], None] = lambda: None
        self._namespaces = informers.of(kinds.NAMESPACES)
        self.board = Board(self._labels_of)
        self._assumed: set[str] = set()
        self._word: deque[Callable[[], None]] = deque()
        informers.of(kinds.PODS).subscribe(self._pod_changed)
        informers.of(kinds.NODES).subscribe(self._node_changed)
        self._namespaces.subscribe(self._namespace_changed)

    def when_renamed(self, call: Callable[[], None]) -> None:
        """For changes of namespaces' labels, which the board does not hold."""
        self._renamed = call

    def take_in(self) -> None:
        """The cycle's thread only, as `assume`."""
        while self._word:
            self._word.popleft()()

    def assume(self, pod: PodFacts, node: str) -> None:
        """Count the pod against the node before anybody else knows. The informer's word of it will be no
        news."""
        self._queue.changed(Change.OTHERS)
        self._assumed.add(pod.uid)
        self.board.put(replace(pod, node_name=node, claims=(), nominated=""))

    def unassume(self, uid: str) -> None:
        """From any thread: the pod did not get there."""
        self._leave(lambda: self._unassume(uid))

    def _unassume(self, uid: str) -> None:
        if uid in self._assumed:
            self._assumed.discard(uid)
            self.board.drop(uid)

    def _leave(self, word: Callable[[], None]) -> None:
        self._word.append(word)
        self._queue.stir()

    def _pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        if old and (new is None or meta.uid(new) != meta.uid(old)):
            self._leave(lambda: self._left(old))
        elif old and new and _same_place(old, new):
            return
        if new is not None:
            self._leave(lambda: self._seen(new))

    def _seen(self, pod: Obj) -> None:
        if pods.is_terminal(pod):
            self._left(pod)
        elif pods.node_name(pod):
            self._arrived(pod_facts(pod))
        elif meta.deleting(pod):
            self._settled(meta.key(pod), meta.uid(pod))
        elif not pod["spec"].get("schedulingGates"):
            self._waits(pod_facts(pod))

    def _waits(self, pod: PodFacts) -> None:
        if pod.scheduler not in self._names or pod.uid in self._assumed:  # the informer is behind us
            return
        self.board.nominate(pod, pod.nominated)
        self._queue.add(pod)

    def _arrived(self, pod: PodFacts) -> None:
        known = self.board.find(pod.uid)
        news = self.board.put(pod)
        self._assumed.discard(pod.uid)
        self._settled(pod.key, pod.uid)
        if known is None or (news and known.uid == pod.uid):
            self._queue.changed(_meant(known, pod))

    def _left(self, pod: Obj) -> None:
        self._assumed.discard(meta.uid(pod))
        self._settled(meta.key(pod), meta.uid(pod))
        if self.board.drop(meta.uid(pod)):
            self._queue.changed(Change.ROOM | Change.OTHERS | Change.STORAGE)

    def _settled(self, key: str, uid: str) -> None:
        self.board.nominate_none(uid)
        self._queue.forget(key)
        self._gone(uid)

    def _node_changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is not None and (old is None or _matters(old) != _matters(new)):
            self._leave(lambda: self._node_seen(new))
        elif new is None and old is not None:
            self._leave(lambda: self._node_gone(meta.name(old)))

    def _node_seen(self, node: Obj) -> None:
        if self.board.put_node(node_state(node)):
            self._queue.changed(Change.NODE | Change.OTHERS)

    def _node_gone(self, name: str) -> None:
        self.board.drop_node(name)
        self._queue.changed(Change.OTHERS)  # a domain less may be evener

    def _namespace_changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is None or old is None or meta.labels(old) != meta.labels(new):
            self._leave(self._namespaces_seen)

    def _namespaces_seen(self) -> None:
        self._renamed()
        self._queue.changed(Change.OTHERS)

    def _labels_of(self, namespace: str) -> Mapping[str, str]:
        return meta.labels(self._namespaces.cache.get("", namespace) or {})


def _same_place(old: Obj, new: Obj) -> bool:
    """Whether nothing changed that the scheduler minds of a pod that has its node."""
    return bool(
        pods.node_name(old)
        and old["spec"] == new["spec"]
        and meta.labels(old) == meta.labels(new)
        and meta.deleting(old) == meta.deleting(new)
        and pods.is_terminal(old) == pods.is_terminal(new)
    )


def _meant(known: PodFacts | None, pod: PodFacts) -> Change:
    """What a placed pod's change may do for those who wait."""
    return Change.OTHERS if known is None or known.requests == pod.requests else Change.OTHERS | Change.ROOM


def _matters(node: Obj) -> Obj:
    """What of a node the scheduler minds."""
    status = node.get("status") or {}
    kept = {name: status.get(name) for name in ("allocatable", "capacity", "images")}
    return kept | {"labels": meta.labels(node), "spec": node.get("spec")}
