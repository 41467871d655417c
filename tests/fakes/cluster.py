"""A registry over the fake store, with a clock, uids and suffixes that a test can foresee, and the objects
tests need most."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from typing import Any

from fakes.store import FakeStore
from fakes.tokens import issuer

from mini8s.objects.kinds import NAMESPACES, Kind, Obj
from mini8s.registry.base import Context, DeleteOptions, ListOptions, User
from mini8s.registry.machine import Machine
from mini8s.store.base import Store
from mini8s.util.clock import FakeClock

ADMIN = User("system:admin", ("system:masters",))


class Cluster:
    """A Machine, and short words for its verbs that speak in objects."""

    def __init__(
        self, store: Store | None = None, *, suffixes: Callable[[], str] | None = None, **settings: Any
    ) -> None:
        self.store: Store = store or FakeStore()
        self.clock = FakeClock()
        uids, numbers = count(1), count(1)
        given = {
            "service_cidr": "10.43.0.0/16",
            "node_port_range": "30000-32767",
            "cluster_cidr": "10.42.0.0/16",
            "cluster_dns": "10.43.0.10",
        }
        self.machine = Machine(
            self.store,
            **({"issuer": issuer()} | given | settings),
            clock=self.clock,
            new_uid=lambda: f"uid-{next(uids)}",
            new_suffix=suffixes or (lambda: f"{next(numbers):05d}"),
        )
        if self.store.get(NAMESPACES.key("", "default")) is None:
            self.create(NAMESPACES, {"metadata": {"name": "default"}}, namespace="")

    def ctx(self, **said: Any) -> Context:
        return Context(ADMIN, self.clock.now(), **said)

    def create(self, kind: Kind, obj: Obj, *, namespace: str = "default", **said: Any) -> Obj:
        space = namespace if kind.namespaced else ""
        return decoded(self.machine.create(self.ctx(**said), kind, space, obj))

    def get(self, kind: Kind, name: str, *, namespace: str = "default") -> Obj:
        return decoded(self.machine.get(kind, namespace if kind.namespaced else "", name))

    def exists(self, kind: Kind, name: str, *, namespace: str = "default") -> bool:
        return self.store.get(kind.key(namespace if kind.namespaced else "", name)) is not None

    def update(self, kind: Kind, obj: Obj, subresource: str = "", **said: Any) -> Obj:
        said_of = obj["metadata"]
        space = said_of.get("namespace", "default") if kind.namespaced else ""
        value, _ = self.machine.update(
            self.ctx(**said), kind, space, said_of["name"], obj, subresource=subresource
        )
        return decoded(value)

    def patch(
        self, kind: Kind, name: str, patch: Any, *, type: str = "merge-patch", subresource: str = ""
    ) -> Obj:
        space = "default" if kind.namespaced else ""
        media = f"application/{type}+json"
        value, _ = self.machine.patch(self.ctx(), kind, space, name, patch, media, subresource=subresource)
        return decoded(value)

    def delete(
        self, kind: Kind, name: str, *, namespace: str = "default", **options: Any
    ) -> tuple[Obj, bool]:
        space = namespace if kind.namespaced else ""
        value, gone = self.machine.delete(self.ctx(), kind, space, name, DeleteOptions(**options))
        return decoded(value), gone

    def names(self, kind: Kind, *, namespace: str = "", **options: Any) -> list[str]:
        listed = self.machine.list(kind, namespace, ListOptions(**options))
        return [decoded(item)["metadata"]["name"] for item in listed.items]


def decoded(value: bytes) -> Obj:
    obj: Obj = json.loads(value)
    return obj


def pod(name: str = "web", **spec: Any) -> Obj:
    return {
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [{"name": "main", "image": "busybox:1"}]} | spec,
    }


def deployment(name: str = "web", **spec: Any) -> Obj:
    labels = {"app": name}
    return {
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod()["spec"]},
        }
        | spec,
    }


def service(name: str = "web", **spec: Any) -> Obj:
    return {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}]} | spec}


def config_map(name: str = "settings", **data: str) -> Obj:
    return {"metadata": {"name": name}, "data": data}
