"""How many pods may come and go in this step (`rolling.go`, `recreate.go`): pure arithmetic on sizes.

A step either grows the new ReplicaSet within maxSurge, or else shrinks old ones within maxUnavailable: first
by pods that are not available anyway, then by pods that are.
"""

from __future__ import annotations

from dataclasses import replace

from mini8s.controllers.kinds.deployment.view import Sized, View, total


def rolling_step(view: View) -> View:
    grown = grow_new(view)
    return grown if grown != view else shrink_old(view)


def recreate_step(view: View) -> View:
    """Old ones to zero; the new one comes when no old pod is left."""
    if any(one.replicas for one in view.old):
        return view.sized(replace(one, replicas=0) for one in view.old)
    if old_pods_remain(view) or view.new is None:
        return view
    return view.sized([replace(view.new, replicas=view.replicas)])


def old_pods_remain(view: View) -> bool:
    return view.old_pods or any(one.of("replicas") for one in view.old)


def initial_size(view: View) -> int:
    """What a ReplicaSet that is just being made may start with."""
    if not view.rolling:
        return view.replicas
    return _room(view, 0)


def grow_new(view: View) -> View:
    if view.new is None or view.new.replicas == view.replicas:
        return view
    if view.new.replicas > view.replicas:
        return view.sized([replace(view.new, replicas=view.replicas)])
    return view.sized([replace(view.new, replicas=_room(view, view.new.replicas))])


def shrink_old(view: View) -> View:
    """Never below the pods that must be available, counting the new ones that are not yet as a debt."""
    if view.new is None or not total(view.old):
        return view
    least = view.replicas - view.max_unavailable
    debt = view.new.replicas - view.new.available
    most = total(view.all) - least - debt
    if most <= 0:
        return view
    clean = _drop_unavailable(view, most)
    return _drop_available(clean, sum(one.available for one in clean.all) - least)


def _room(view: View, size: int) -> int:
    """The size that maxSurge leaves for the new ReplicaSet, which has `size` now."""
    room = view.replicas + view.max_surge - total(view.all)
    return size + min(room, view.replicas - size) if room > 0 else size


def _drop_unavailable(view: View, most: int) -> View:
    changed = []
    for one in view.old:
        gone = min(most, one.replicas - one.available)
        if gone > 0:
            most -= gone
            # what is available stays: only the others were dropped
            changed.append(replace(one, replicas=one.replicas - gone))
    return view.sized(changed)


def _drop_available(view: View, most: int) -> View:
    changed: list[Sized] = []
    for one in view.old:
        gone = min(most, one.replicas)
        if gone > 0:
            most -= gone
            changed.append(replace(one, replicas=one.replicas - gone))
    return view.sized(changed)
