"""Which Ingresses are ours, and which Secrets they name: what server and agents must see alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mini8s.objects import host_ports, meta
from mini8s.objects.kinds import Obj

CONTROLLER = "mini8s.io/ingress"
CLASS = "mini8s"  # the IngressClass that every cluster has
DEFAULT_CLASS = "ingressclass.kubernetes.io/is-default-class"
OLD_CLASS = "kubernetes.io/ingress.class"  # an annotation from before there was a field
WANTED = "mini8s.io/ingress"  # label of a node: `true` on some makes all others none, `false` takes one out
SERVED = "mini8s.io/ingress-ports"  # annotation of a node: where it serves Ingresses now


def our_classes(classes: Iterable[Obj]) -> tuple[frozenset[str], bool]:
    """The names of those that we are the controller of, and whether one is for Ingresses that name none."""
    found = [one for one in classes if (one.get("spec") or {}).get("controller") == CONTROLLER]
    default = any(meta.annotations(one).get(DEFAULT_CLASS) == "true" for one in found)
    return frozenset(map(meta.name, found)), default


def class_of(ingress: Obj) -> str:
    """Empty when it names none."""
    said = (ingress.get("spec") or {}).get("ingressClassName") or meta.annotations(ingress).get(OLD_CLASS)
    return str(said or "")


def is_ours(ingress: Obj, names: frozenset[str], *, default: bool) -> bool:
    said = class_of(ingress)
    return said in names if said else default


def oldest(found: Iterable[Obj], classes: Iterable[Obj]) -> Obj | None:
    """Of those that are ours: its age is that of the ports they are served on."""
    names, default = our_classes(classes)
    return min(
        (one for one in found if is_ours(one, names, default=default)), key=host_ports.age, default=None
    )


def chosen(nodes: Iterable[Obj]) -> frozenset[str]:
    """The names of the nodes that are to serve Ingresses: all, unless some are labelled."""
    said = {meta.name(node): meta.labels(node).get(WANTED) for node in nodes}
    some = frozenset(name for name, value in said.items() if value == "true")
    return some or frozenset(name for name, value in said.items() if value != "false")


def served_ports(node: Obj) -> list[int]:
    """Where a node says that it serves Ingresses; none when it doesn't."""
    return [int(one) for one in meta.annotations(node).get(SERVED, "").split(",") if one.isdecimal()]


def secrets(ingress: Obj) -> Iterator[str]:
    """The names of the Secrets, in its own namespace, that its certificates are in."""
    for tls in (ingress.get("spec") or {}).get("tls") or ():
        if tls.get("secretName"):
            yield tls["secretName"]
