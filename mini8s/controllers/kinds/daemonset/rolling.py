"""Old pods for new ones, within maxUnavailable or maxSurge (`update.go: rollingUpdate`).

Pods that are not available anyway are replaced at once: that makes nothing worse, and lets an update mend
what an earlier one broke. They count in maxUnavailable from the start, and not only once they are deleted, as
with upstream: its first round may take down one more than it says.
"""

from __future__ import annotations

from dataclasses import dataclass

from mini8s.controllers.kinds.daemonset.presence import Round
from mini8s.controllers.kinds.daemonset.view import View
from mini8s.objects.kinds import Obj


@dataclass(frozen=True, slots=True)
class _Pair:
    """A node's new and old pod. `clear`: there is at most one of each."""

    new: Obj | None
    old: Obj | None
    clear: bool


def rolling(view: View) -> Round:
    if view.by_hand:
        return Round()
    pairs = {node: _pair(view, node) for node in {**dict.fromkeys(view.wanted), **view.pods}}
    return _surged(view, pairs) if view.max_surge else _replaced(view, pairs)


def _pair(view: View, node: str) -> _Pair:
    there = view.on(node)
    new, old = ([pod for pod in there if view.is_new(pod) is wanted] for wanted in (True, False))
    return _Pair(new[0] if new else None, old[0] if old else None, len(new) < 2 and len(old) < 2)


def _replaced(view: View, pairs: dict[str, _Pair]) -> Round:
    """Delete within maxUnavailable; what is missing comes by itself."""
    unavailable, ill, candidates = 0, [], []
    for pair in pairs.values():
        if not pair.clear or (pair.new is None) == (pair.old is None):
            unavailable += 1
        elif pair.old is None:
            unavailable += pair.new is not None and not view.available(pair.new)
        elif view.available(pair.old):
            candidates.append(pair.old)
        else:
            ill.append(pair.old)
    return Round(gone=[*ill, *candidates[: max(0, view.max_unavailable - unavailable - len(ill))]])


def _surged(view: View, pairs: dict[str, _Pair]) -> Round:
    """Create beside the old ones within maxSurge; an old one goes when its successor is available, or, where
    it could have none, when as many are available elsewhere as there should be."""
    surging, available, ill, candidates, gone, leaving = 0, 0, [], [], [], []
    for node, pair in pairs.items():
        fit = view.fits.get(node)
        judged = pair.old or pair.new
        available += pair.clear and judged is not None and view.available(judged)
        if not pair.clear:
            surging += 1
        elif pair.old is None:
            continue
        elif pair.new is not None:
            if view.available(pair.new):
                gone.append(pair.old)
            else:
                surging += 1
        elif fit is None or not fit.starts:
            leaving.append(pair.old)
        elif view.available(pair.old):
            candidates.append(node)
        else:
            ill.append(node)
    gone += leaving[: max(0, available - len(view.wanted))]
    return Round(nodes=[*ill, *candidates[: max(0, view.max_surge - surging)]], gone=gone)
