"""Sizes when the Deployment's own size changed, or when it is paused (`sync.go: scale`).

In the middle of a roll-out every ReplicaSet gets its share of the change, so that the mix of versions, and
the risk that goes with it, stays as it was.
"""

from __future__ import annotations

import math
from dataclasses import replace

from mini8s.controllers.kinds.deployment.revision import DESIRED, MAXIMUM, number
from mini8s.controllers.kinds.deployment.view import Sized, View, total
from mini8s.objects import meta


def is_scaling(view: View) -> bool:
    """Whether an active ReplicaSet was last told another size of the Deployment."""
    told = (number(meta.annotations(one.obj).get(DESIRED, "")) for one in view.active)
    return any(size is not None and size != view.replicas for size in told)


def scaled(view: View) -> View:
    only = _only_active(view)
    if only:
        return view.sized([replace(only, replicas=view.replicas)])
    if _saturated(view):
        return view.sized(replace(one, replicas=0) for one in view.old)
    return _proportional(view) if view.rolling else view


def _only_active(view: View) -> Sized | None:
    """The one ReplicaSet that has pods; when none has, the newest."""
    match view.active:
        case ():
            return view.new or (view.old[-1] if view.old else None)
        case (one,):
            return one
    return None


def _saturated(view: View) -> bool:
    new = view.new
    if new is None or meta.annotations(new.obj).get(DESIRED) != str(view.replicas):
        return False
    return new.replicas == view.replicas == new.available


def _proportional(view: View) -> View:
    active = view.active
    allowed = view.replicas + view.max_surge if view.replicas else 0
    change = allowed - total(active)
    # the largest first; of equals the newer one grows and the older one shrinks
    newest_first = list(reversed(active)) if change > 0 else list(active)
    ordered = sorted(newest_first, key=lambda one: -one.replicas)
    given = 0
    changed = []
    for one in ordered:
        share = _share(view, one, change, given)
        given += share
        changed.append(replace(one, replicas=one.replicas + share))
    return view.sized(_with_rest(changed, change - given))


def _with_rest(changed: list[Sized], rest: int) -> list[Sized]:
    """What rounding left over goes to the first, and what that can't give up to the next, so that the sizes
    add up now: upstream leaves it to a later round."""
    result = []
    for one in changed:
        size = max(0, one.replicas + rest)
        rest -= size - one.replicas
        result.append(replace(one, replicas=size))
    return result


def _share(view: View, one: Sized, change: int, given: int) -> int:
    left = change - given
    if not left:
        return 0
    fraction = _fraction(view, one)
    return min(fraction, left) if change > 0 else max(fraction, left)


def _fraction(view: View, one: Sized) -> int:
    """How much a ReplicaSet would change if it kept its part of the whole."""
    if not view.replicas:
        return -one.replicas
    before = number(meta.annotations(one.obj).get(MAXIMUM, "")) or int(view.status.get("replicas") or 0)
    if not before:
        return 0
    size = one.replicas * (view.replicas + view.max_surge) / before
    return math.floor(size + 0.5) - one.replicas
