"""PURE: one filter and score pass over all nodes for all pods of one shape, kept true move by move.

Every score is of one node, so that a placement changes the rank of one node only. Nodes are ranked in a heap;
an entry is good as long as its node was not touched since, and a touched node gets a new one. What a view
says of domains that many nodes share (a zone) is asked for when a node is picked: the nodes of each set of
such domains have a heap of their own, and the best of their tops wins. What it says of domains of one node
each (its host name) is part of that node's rank; a node that it refuses is put aside until the view says that
it may do now. So a placement costs the same with ten nodes as with ten thousand.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence

from mini8s.scheduler.base import NodeState, PodFacts, View
from mini8s.scheduler.board import Board, Move
from mini8s.scheduler.profiles import Profile

ENTRIES_A_NODE = 20  # after so many on average the outdated ones are worth throwing away
Group = tuple[str | None, ...]  # the node's values of the keys that several nodes share values of
_Entry = tuple[float, str, int]  # minus the points, name, touches of the node until then


class Pass:
    """The nodes as they are good for `pod`, and for every pod of its shape."""

    def __init__(self, pod: PodFacts, board: Board, profile: Profile) -> None:
        self._pod, self._board, self._profile = pod, board, profile
        self._at = board.at
        self._minded = bool(board.minding)
        self._views = profile.surveyed(pod, board)
        keys = dict.fromkeys(key for view, _ in self._views for key in view.keys)
        own = {key for key in keys if _one_node_each(key, board.nodes)}
        self._shared = tuple(key for key in keys if key not in own)
        self._own = tuple(own)
        self._fixed: dict[str, float | None] = {}  # points for what a node is; None: refused for it
        self._touched: dict[str, int] = {}
        self._heaps: dict[Group, list[_Entry]] = {}
        self._aside: list[tuple[Group, _Entry]] = []
        self._entries = 0
        self._reasons: Counter[str] | None = None
        self._loosened = self._looseness()
        for node in board.nodes.values():
            self._enter(node)

    def catch_up(self) -> bool:
        """Take in what moved since; False when only a new pass would do."""
        moves = self._board.since(self._at)
        if moves is None or len(moves) > len(self._board.nodes) or self._minded != bool(self._board.minding):
            return False
        if self._views and (any(move.anew for move in moves) or not all(map(self._seen, moves))):
            return False
        self._at = self._board.at
        if moves:
            self._reasons = None
        for move in moves:
            if move.pod is None:
                self._fixed.pop(move.node, None)
        for name in {move.node for move in moves}:
            self._touched[name] = self._touched.get(name, 0) + 1
            if node := self._board.nodes.get(name):
                self._enter(node)
        return self._entries < ENTRIES_A_NODE * (len(self._board.nodes) + 100)

    def pick(self) -> NodeState | None:
        """The best node; None if there is none."""
        if self._aside and self._looseness() != self._loosened:
            for group, entry in self._aside:
                heapq.heappush(self._heaps[group], entry)
            self._aside.clear()
        self._loosened = self._looseness()
        best: tuple[float, str] | None = None
        for group in self._heaps:
            if self._refused(self._shared, group) or (top := self._top(group)) is None:
                continue
            rank = (top[0] - self._points(self._shared, group), top[1])
            if best is None or rank < best:
                best = rank
        return self._board.nodes[best[1]] if best else None

    def reasons(self) -> Counter[str]:
        """How many nodes refuse for each cause. Made once for all who come in vain."""
        if self._reasons is None:
            nodes = self._board.nodes.values()
            self._reasons = Counter(reason for node in nodes for reason in self._why_not(node))
        return self._reasons

    def _why_not(self, node: NodeState) -> Sequence[str]:
        """What the first filter or view that refuses says."""
        return self._profile.why_not(self._pod, self._crowded(node)) or refusal(self._views, node)

    def _seen(self, move: Move) -> bool:
        """Whether the views hold after this move."""
        node = self._board.nodes.get(move.node)
        if move.pod is None or node is None:
            return True
        return all(view.moved(move.pod, node.labels, move.node, move.sign) for view, _ in self._views)

    def _enter(self, node: NodeState) -> None:
        name = node.name
        if name not in self._fixed:
            refused = self._profile.refuses_as_such(self._pod, node)
            self._fixed[name] = None if refused else self._profile.points_as_such(self._pod, node)
        fixed = self._fixed[name]
        if fixed is None or self._profile.refuses_now(self._pod, self._crowded(node)):
            return
        points = fixed + self._profile.points_now(self._pod, node)
        if self._own:
            points += self._points(self._own, [node.labels.get(key) for key in self._own])
        group = tuple([node.labels.get(key) for key in self._shared])
        entry = (-points, name, self._touched.get(name, 0))
        heapq.heappush(self._heaps.setdefault(group, []), entry)
        self._entries += 1

    def _top(self, group: Group) -> _Entry | None:
        heap = self._heaps[group]
        while heap:
            entry = heap[0]
            _, name, touches = entry
            if touches == self._touched.get(name, 0) and name in self._board.nodes:
                labels = self._board.nodes[name].labels
                if not self._own or not self._refused(self._own, [labels.get(key) for key in self._own]):
                    return entry
                self._aside.append((group, entry))
            heapq.heappop(heap)
        return None

    def _crowded(self, node: NodeState) -> NodeState:
        """The node with those on it, too, that room is being made for and that come first."""
        first = self._board.nominated_on(node.name, self._pod.priority)
        return node.with_pods(first) if first else node

    def _refused(self, keys: Sequence[str], values: Sequence[str | None]) -> bool:
        return any(
            view.why_not(key, value)
            for key, value in zip(keys, values, strict=True)
            for view, _ in self._views
            if key in view.keys
        )

    def _points(self, keys: Sequence[str], values: Sequence[str | None]) -> float:
        return sum(
            weight * view.points(key, value)
            for key, value in zip(keys, values, strict=True)
            for view, weight in self._views
            if key in view.keys
        )

    def _looseness(self) -> int:
        return sum(view.loosened for view, _ in self._views)


def refusal(views: Sequence[tuple[View, float]], node: NodeState) -> Sequence[str]:
    for view, _ in views:
        for key in view.keys:
            if reasons := view.why_not(key, node.labels.get(key)):
                return reasons
    return ()


def _one_node_each(key: str, nodes: Mapping[str, NodeState]) -> bool:
    """Whether no two nodes share a value of this label."""
    counts = Counter(node.labels.get(key) for node in nodes.values())
    return all(count == 1 for value, count in counts.items() if value is not None)
