"""What each node has too little or too much of (`daemon_controller.go: podsShouldBeOnNode`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from mini8s.controllers.kinds.daemonset.view import View
from mini8s.objects import pods
from mini8s.objects.kinds import Obj


@dataclass(slots=True)
class Round:
    """`nodes` get a pod, `gone` goes, `ended` are those of `gone` that had come to their end."""

    nodes: list[str] = field(default_factory=list)
    gone: list[Obj] = field(default_factory=list)
    ended: list[Obj] = field(default_factory=list)


def presence(view: View) -> Round:
    found = Round()
    for node, fit in view.fits.items():
        there = view.on(node)
        if fit.starts and not view.pods.get(node):
            found.nodes.append(node)
        elif fit.stays:
            _remaining(view, node, there, found)
        else:
            found.gone += there
    for node in view.pods.keys() - view.fits.keys():  # it is gone: pods on their way there never arrive
        found.gone += [pod for pod in view.on(node) if not pods.node_name(pod)]
    return found


def _remaining(view: View, node: str, there: Sequence[Obj], found: Round) -> None:
    """Ended pods go, so that new ones can come; of the others one stays, or two in the middle of a surge."""
    held = node in view.held
    ended = [pod for pod in there if pods.phase(pod) == "Succeeded" or (pods.is_terminal(pod) and not held)]
    running = [pod for pod in there if not pods.is_terminal(pod)]
    found.ended += ended
    found.gone += ended
    found.gone += _crowding(view, running) if view.max_surge else running[1:]


def _crowding(view: View, running: Sequence[Obj]) -> Iterator[Obj]:
    """Two may be there while the new one is not available and the old one is still ready."""
    if len(running) < 2:
        return
    new = next((pod for pod in running if view.is_new(pod)), None)
    old = next((pod for pod in running if not view.is_new(pod)), None)
    yield from (pod for pod in running if pod is not new and pod is not old)
    if new is not None and old is not None and (not pods.is_ready(old) or view.available(new)):
        yield old


def failed_nodes(found: Round) -> list[str]:
    """Where a failed pod is about to be deleted: the next one there must wait longer."""
    return [pods.node_name(pod) for pod in found.ended if pods.phase(pod) == "Failed"]
