"""Secrets that hold a service account's token: filled, mended, and gone with the account."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest

from mini8s.controllers.kinds.tokensecrets import NAME, TYPE, UID, TokenSecrets
from mini8s.controllers.settings import ControllerSettings
from mini8s.objects.kinds import SECRETS, SERVICEACCOUNTS, Obj
from tests.fakes.world import NAMESPACE, World


@pytest.fixture
def world() -> Iterator[World]:
    world = World([TokenSecrets], ControllerSettings(root_ca=lambda: "PEM"))
    yield world
    world.close()


def account(world: World) -> Obj:
    return world.api.create(SERVICEACCOUNTS, {"metadata": {"namespace": NAMESPACE, "name": "robot"}})


def secret(world: World, *, uid: str = "", **more: bool) -> Obj:
    notes = {NAME: "robot"} | ({UID: uid} if uid else {})
    metadata = {"namespace": NAMESPACE, "name": "key", "annotations": notes}
    return world.api.create(SECRETS, {"metadata": metadata, "type": TYPE} | more)


def held(world: World) -> dict[str, str]:
    data = world.get(SECRETS, "key").get("data") or {}
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def test_it_is_filled_once(world: World) -> None:
    owner = account(world)
    made = secret(world)
    world.settle()
    assert held(world) == {"token": f"{NAMESPACE}/robot#1", "ca.crt": "PEM", "namespace": NAMESPACE}
    assert world.get(SECRETS, "key")["metadata"]["annotations"][UID] == owner["metadata"]["uid"]
    [asked] = world.api.tokens
    bound = {"apiVersion": "v1", "kind": "Secret", "name": "key", "uid": made["metadata"]["uid"]}
    assert asked["spec"] == {"boundObjectRef": bound, "expirationSeconds": 1 << 32}
    world.writes()
    world.settle()
    assert world.writes() == []


def test_what_is_wrong_in_it_is_mended_and_the_token_kept(world: World) -> None:
    account(world)
    secret(world)
    world.settle()
    world.api.patch(SECRETS, NAMESPACE, "key", {"data": {"ca.crt": "b3RoZXI=", "more": "eA=="}})
    world.settle()
    assert held(world) == {
        "token": f"{NAMESPACE}/robot#1", "ca.crt": "PEM", "namespace": NAMESPACE, "more": "x"
    }  # fmt: skip


def test_it_goes_with_its_account(world: World) -> None:
    account(world)
    secret(world)
    world.settle()
    world.api.delete(SERVICEACCOUNTS, NAMESPACE, "robot")
    world.settle()
    assert world.all(SECRETS) == []


def test_of_an_account_that_is_not_there_or_another_there_is_none(world: World) -> None:
    secret(world)
    world.settle()
    assert world.all(SECRETS) == []
    account(world)
    secret(world, uid="another")
    world.settle()
    assert world.all(SECRETS) == []


def test_an_account_that_the_cache_has_not_seen_counts(world: World) -> None:
    secret(world)
    world.observe()
    account(world)
    for runner in world.runners:
        runner.step(0)
    world.settle()
    assert held(world)["token"]


def test_one_that_may_not_change_is_left_alone(world: World) -> None:
    account(world)
    secret(world, immutable=True)
    world.settle()
    assert held(world) == {}
