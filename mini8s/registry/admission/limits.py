"""LimitRanger: what a namespace's LimitRanges fill into containers, and what they do not let through."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mini8s.objects import meta, pods, quantity
from mini8s.objects.kinds import LIMITRANGES, PERSISTENTVOLUMECLAIMS, PODS, Obj
from mini8s.registry import refusals
from mini8s.registry.admission.attempt import Attempt

_ANNOTATION = "kubernetes.io/limit-ranger"
_SAY = {"requests": "request", "limits": "limit"}
Amounts = Mapping[str, Any]


def limit_ranger(attempt: Attempt) -> None:
    if not (attempt.creates_pod or attempt.resizes_pod or attempt.creates(PERSISTENTVOLUMECLAIMS)):
        return
    items = [
        item
        for found in attempt.world.all(LIMITRANGES, attempt.namespace)
        for item in (found.get("spec") or {}).get("limits") or ()
    ]
    if attempt.creates_pod:
        _fill_in(attempt, [item for item in items if item.get("type") == "Container"])
    causes = [cause for item in items for cause in _judge(attempt, item)]
    if causes:
        said = causes[0] if len(causes) == 1 else f"[{', '.join(causes)}]"
        raise refusals.forbidden(attempt.kind, attempt.name, said)


def _fill_in(attempt: Attempt, items: Iterable[Obj]) -> None:
    done: list[str] = []
    for item in items:
        for word, container in _containers(attempt.spec):
            resources = container.setdefault("resources", {})
            for part, source in (("requests", "defaultRequest"), ("limits", "default")):
                stated = resources.get(part) or {}
                added = {k: v for k, v in (item.get(source) or {}).items() if k not in stated}
                if added:
                    resources[part] = {**stated, **added}
                    names = ", ".join(sorted(added))
                    done.append(f"{names} {_SAY[part]} for {word} {container.get('name') or ''}")
    if done:
        metadata = attempt.obj["metadata"]
        note = f"LimitRanger plugin set: {'; '.join(done)}"
        metadata["annotations"] = meta.annotations(attempt.obj) | {_ANNOTATION: note}


def _containers(spec: Obj) -> Iterable[tuple[str, Obj]]:
    for part, word in (("containers", "container"), ("initContainers", "init container")):
        yield from ((word, container) for container in spec.get(part) or ())


def _judge(attempt: Attempt, item: Obj) -> Iterable[str]:
    about, of_pod = item.get("type") or "", attempt.kind is PODS
    if of_pod and about == "Container":
        for _, container in _containers(attempt.spec):
            resources = container.get("resources") or {}
            yield from _within(item, resources.get("requests") or {}, resources.get("limits") or {})
    elif of_pod and about == "Pod":
        names = {name for part in ("min", "max", "maxLimitRequestRatio") for name in item.get(part) or ()}
        yield from _within(item, *(_sums(attempt.spec, side, names) for side in ("requests", "limits")))
    elif not of_pod and about == "PersistentVolumeClaim":
        wanted = (attempt.spec.get("resources") or {}).get("requests") or {}
        yield from _within(item, wanted, wanted)


def _sums(spec: Obj, side: str, names: Iterable[str]) -> dict[str, str]:
    """Of the whole pod, in canonical form; a resource of which nothing is said is left out."""
    found = {name: pods.needed(spec, side, name) for name in names}
    return {name: quantity.canonical(pods.amount_text(name, count)) for name, count in found.items() if count}


def _within(item: Obj, requests: Amounts, limits: Amounts) -> Iterable[str]:
    about = item["type"]
    for name, least in sorted((item.get("min") or {}).items()):
        yield from _minimum(f"minimum {name} usage per {about} is {least}", name, least, requests, limits)
    for name, most in sorted((item.get("max") or {}).items()):
        yield from _maximum(f"maximum {name} usage per {about} is {most}", name, most, requests, limits)
    for name, most in sorted((item.get("maxLimitRequestRatio") or {}).items()):
        head = f"{name} max limit to request ratio per {about} is {most}"
        yield from _ratio(head, most, requests.get(name), limits.get(name))


def _minimum(head: str, name: str, least: str, requests: Amounts, limits: Amounts) -> Iterable[str]:
    if name not in requests:
        yield f"{head}.  No request is specified"
    elif _number(requests[name]) < _number(least):
        yield f"{head}, but request is {requests[name]}"
    if name in limits and _number(limits[name]) < _number(least):
        yield f"{head}, but limit is {limits[name]}"


def _maximum(head: str, name: str, most: str, requests: Amounts, limits: Amounts) -> Iterable[str]:
    if name not in limits:
        yield f"{head}.  No limit is specified"
    elif _number(limits[name]) > _number(most):
        yield f"{head}, but limit is {limits[name]}"
    if name in requests and _number(requests[name]) > _number(most):
        yield f"{head}, but request is {requests[name]}"


def _ratio(head: str, most: str, request: Any, limit: Any) -> Iterable[str]:
    if request is None or not _number(request):
        yield f"{head}, but no request is specified or request is 0"
    elif limit is None or not _number(limit):
        yield f"{head}, but no limit is specified or limit is 0"
    elif _number(limit) / _number(request) > _number(most):
        yield f"{head}, but provided ratio is {_number(limit) / _number(request):.6f}"


def _number(stated: Any) -> Any:
    return quantity.parse(stated)
