"""The ConfigMap by which pods know the API server: in every namespace, and as it should be."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mini8s.controllers.kinds.rootca import RootCaPublisher
from mini8s.controllers.settings import ControllerSettings
from mini8s.objects.kinds import CONFIGMAPS, NAMESPACES
from mini8s.objects.pods import ROOT_CA as NAME
from tests.fakes.world import NAMESPACE, World


@pytest.fixture
def authorities() -> list[str]:
    """The last one counts."""
    return ["PEM"]


@pytest.fixture
def world(authorities: list[str]) -> Iterator[World]:
    world = World([RootCaPublisher], ControllerSettings(root_ca=lambda: authorities[-1]))
    yield world
    world.close()


def test_every_namespace_has_it(world: World) -> None:
    world.api.create(NAMESPACES, {"metadata": {"name": "shop"}})
    world.settle()
    assert world.api.get(CONFIGMAPS, "shop", NAME)["data"] == {"ca.crt": "PEM"}
    assert world.get(CONFIGMAPS, NAME)["data"] == {"ca.crt": "PEM"}
    world.writes()
    world.settle()
    assert world.writes() == []


def test_whoever_changes_or_deletes_it_gets_it_back(world: World) -> None:
    world.settle()
    world.api.patch(CONFIGMAPS, NAMESPACE, NAME, {"data": {"ca.crt": "other", "more": "x"}})
    world.settle()
    assert world.get(CONFIGMAPS, NAME)["data"] == {"ca.crt": "PEM"}
    world.api.delete(CONFIGMAPS, NAMESPACE, NAME)
    world.settle()
    assert world.get(CONFIGMAPS, NAME)["data"] == {"ca.crt": "PEM"}


def test_a_namespace_on_its_way_out_gets_none(world: World) -> None:
    world.settle()
    world.api.delete(NAMESPACES, "", NAMESPACE)
    world.api.delete(CONFIGMAPS, NAMESPACE, NAME)
    world.settle()
    assert world.all(CONFIGMAPS) == []


def test_another_authority_is_published_as_soon_as_somebody_hurries(
    world: World, authorities: list[str]
) -> None:
    world.settle()
    authorities.append("NEW")
    world.settle()
    assert world.writes()[-1].startswith("create")
    world.runners[0].queue.hurry()
    world.settle()
    assert world.get(CONFIGMAPS, NAME)["data"] == {"ca.crt": "NEW"}
