"""Where an Ingress says that it is served."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mini8s.controllers.kinds.ingress import IngressStatus
from mini8s.objects.kinds import INGRESSCLASSES, INGRESSES, NODES, Obj
from tests.fakes.ingresses import CLASS, ingress
from tests.fakes.world import World


@pytest.fixture
def world() -> Iterator[World]:
    world = World([IngressStatus])
    world.api.create(INGRESSCLASSES, CLASS)
    world.api.create(INGRESSES, ingress("ours", defaultBackend={}))
    world.api.create(INGRESSES, ingress("theirs", ingressClassName="other"))
    yield world
    world.close()


def node(name: str, address: str, *, ready: str = "True", serves: str = "80,443") -> Obj:
    status = {
        "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}],
        "conditions": [{"type": "Ready", "status": ready}],
    }
    return {"metadata": {"name": name, "annotations": {"mini8s.io/ingress-ports": serves}}, "status": status}


def said(world: World, name: str = "ours") -> object:
    world.settle()
    return (world.get(INGRESSES, name).get("status") or {}).get("loadBalancer")


def test_the_nodes_that_serve(world: World) -> None:
    world.api.create(NODES, node("n2", "10.99.0.12"))
    world.api.create(NODES, node("n1", "10.99.0.11"))
    world.api.create(NODES, node("lost", "10.99.0.13", ready="Unknown"))
    world.api.create(NODES, node("other", "10.99.0.14", serves=""))
    assert said(world) == {"ingress": [{"ip": "10.99.0.11"}, {"ip": "10.99.0.12"}]}
    assert said(world, "theirs") is None
    world.writes()
    world.settle()
    assert world.writes() == []


def test_a_node_that_serves_no_more(world: World) -> None:
    world.api.create(NODES, node("n1", "10.99.0.11"))
    assert said(world) == {"ingress": [{"ip": "10.99.0.11"}]}
    world.api.patch(NODES, "", "n1", {"metadata": {"annotations": {"mini8s.io/ingress-ports": None}}})
    assert said(world) == {}


def test_a_class_that_comes_late(world: World) -> None:
    world.api.create(NODES, node("n1", "10.99.0.11"))
    world.api.create(INGRESSCLASSES, CLASS | {"metadata": {"name": "other"}})
    assert said(world, "theirs") == {"ingress": [{"ip": "10.99.0.11"}]}
