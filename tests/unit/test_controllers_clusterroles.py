"""Roles that gather others: what they have follows what the others say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from mini8s.controllers.kinds.clusterroles import ClusterRoleAggregation
from mini8s.objects.kinds import CLUSTERROLES
from tests.fakes.world import World

GET = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
LIST = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}


def role(name: str, rules: list[Any], **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **metadata}, "rules": rules}


def gatherer(name: str, word: str, **labels: str) -> dict[str, Any]:
    rule = {"clusterRoleSelectors": [{"matchLabels": {word: "yes"}}]}
    return {"metadata": {"name": name, "labels": labels}, "aggregationRule": rule}


@pytest.fixture
def world() -> Iterator[World]:
    world = World([ClusterRoleAggregation])
    yield world
    world.close()


def rules(world: World, name: str) -> Any:
    return world.api.get(CLUSTERROLES, "", name).get("rules")


def test_it_has_the_rules_of_all_that_are_chosen_and_a_gatherers_too(world: World) -> None:
    world.api.create(CLUSTERROLES, gatherer("big", "to-big"))
    world.api.create(CLUSTERROLES, gatherer("small", "to-small", **{"to-big": "yes"}))
    world.api.create(CLUSTERROLES, role("b", [LIST, GET], labels={"to-small": "yes"}))
    world.api.create(CLUSTERROLES, role("a", [GET], labels={"to-small": "yes"}))
    world.api.create(CLUSTERROLES, role("other", [{**GET, "verbs": ["*"]}]))
    world.settle()
    assert rules(world, "small") == [GET, LIST]
    assert rules(world, "big") == [GET, LIST]
    world.writes()
    world.settle()
    assert world.writes() == []


def test_what_goes_or_is_written_by_hand_goes_from_it(world: World) -> None:
    world.api.create(CLUSTERROLES, gatherer("all", "to-all"))
    world.api.create(CLUSTERROLES, role("a", [GET], labels={"to-all": "yes"}))
    world.settle()
    world.api.patch(CLUSTERROLES, "", "all", {"rules": [GET, LIST]})
    world.settle()
    assert rules(world, "all") == [GET]
    world.api.delete(CLUSTERROLES, "", "a")
    world.settle()
    assert rules(world, "all") == []
