"""Leases: one holder at a time, by compare-and-swap, judged on one's own clock."""

from __future__ import annotations

import pytest

from mini8s.client.lease import Lease
from mini8s.objects import errors
from mini8s.objects.kinds import LEASES
from mini8s.util.clock import FakeClock
from tests.fakes.api import FakeApi


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.api = FakeApi(self.clock.now)

    def lease(self, holder: str) -> Lease:
        return Lease(self.api, "kube-system", "main", holder, self.clock, seconds=15)

    def spec(self) -> dict[str, object]:
        return dict(self.api.get(LEASES, "kube-system", "main")["spec"])


@pytest.fixture
def world() -> World:
    return World()


def test_the_first_takes_it_and_renews_it(world: World) -> None:
    one = world.lease("one")
    assert one.hold()
    world.clock.step(5)
    assert one.hold()
    assert world.spec() == {
        "holderIdentity": "one",
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-01-01T00:00:00.000000Z",
        "renewTime": "2026-01-01T00:00:05.000000Z",
        "leaseTransitions": 0,
    }


def test_another_takes_it_only_after_it_was_silent_for_its_duration(world: World) -> None:
    one, two = world.lease("one"), world.lease("two")
    assert one.hold()
    assert not two.hold()
    world.clock.step(14)
    assert one.hold()
    assert not two.hold()
    world.clock.step(14)
    assert not two.hold()
    world.clock.step(1)
    assert two.hold()
    assert (world.spec()["holderIdentity"], world.spec()["leaseTransitions"]) == ("two", 1)
    assert not one.hold()


def test_a_released_lease_is_free_at_once(world: World) -> None:
    one, two = world.lease("one"), world.lease("two")
    assert one.hold()
    one.release()
    assert two.hold()
    one.release()
    assert world.spec()["holderIdentity"] == "two"


def test_a_lost_race_is_an_answer(world: World) -> None:
    world.api.fail_next("create", errors.AlreadyExists("raced"))
    one = world.lease("one")
    assert not one.hold()
    assert one.hold()
    world.api.fail_next("update", errors.Conflict("raced"))
    assert one.hold()


def test_a_deleted_lease_is_made_anew(world: World) -> None:
    one = world.lease("one")
    assert one.hold()
    world.api.delete(LEASES, "kube-system", "main")
    assert one.hold()
    assert world.spec()["holderIdentity"] == "one"


def test_an_unreachable_server_is_the_callers_to_handle(world: World) -> None:
    world.api.down = True
    with pytest.raises(errors.ServiceUnavailable):
        world.lease("one").hold()
