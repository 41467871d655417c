"""The arithmetic of roll-outs, on sizes alone: bounds that always hold, and steps that end."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mini8s.controllers.actions import Patch
from mini8s.controllers.kinds.deployment.plan import plan
from mini8s.controllers.kinds.deployment.revision import REVISION, revision
from mini8s.controllers.kinds.deployment.rolling import initial_size, rolling_step
from mini8s.controllers.kinds.deployment.scale import scaled
from mini8s.controllers.kinds.deployment.view import Sized, View, total
from mini8s.controllers.template import template_hash
from mini8s.objects.kinds import DEPLOYMENTS, REPLICASETS, Obj
from tests.fakes.world import deployment, replica_set, template

NOW = datetime(2026, 1, 1, tzinfo=UTC)

old_sets = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=3)
amounts = st.one_of(st.integers(0, 12), st.integers(0, 100).map("{}%".format))


def view(replicas: int, surge: int | str, unavailable: int | str, *sizes: tuple[int, int]) -> View:
    """A Deployment and its ReplicaSets as (size, available), the last one the new one."""
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    obj = deployment(replicas=replicas, strategy={"type": "RollingUpdate", "rollingUpdate": rolling})
    obj["metadata"] |= {"uid": "d", "resourceVersion": "1", "generation": 1}
    sets = [sized(f"rs{number}", *size) for number, size in enumerate(sizes)]
    return View(obj, sets[-1], tuple(sets[:-1]), False, NOW)


def sized(name: str, replicas: int, available: int) -> Sized:
    obj = replica_set(name, replicas)
    obj["metadata"] |= {"uid": name, "resourceVersion": "1", "generation": 1}
    obj["status"] = {"replicas": replicas, "readyReplicas": available, "availableReplicas": available}
    return Sized(obj, replicas)


def sizes(found: View) -> list[int]:
    return [one.replicas for one in found.all]


def available(found: View) -> int:
    return sum(one.available for one in found.all)


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "expected"),
    [
        (3, "25%", "25%", (1, 0)),
        (10, "25%", "25%", (3, 2)),
        (1, "25%", "25%", (1, 0)),
        (5, 0, 0, (0, 1)),
        (2, 0, "40%", (0, 1)),
        (3, 2, 9, (2, 3)),
        (0, "25%", "25%", (0, 0)),
    ],
)
def test_what_a_strategy_means(
    replicas: int, surge: int | str, unavailable: int | str, expected: tuple[int, int]
) -> None:
    found = view(replicas, surge, unavailable, (0, 0))
    assert (found.max_surge, found.max_unavailable) == expected


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([(10, 10), (0, 0)], [10, 3]),  # grow by the surge
        ([(10, 10), (3, 0)], [8, 3]),  # the surge is used up: shrink by what may be unavailable
        ([(10, 4), (3, 0)], [8, 3]),  # what is not available goes, within the same bound
        ([(8, 8), (3, 3)], [8, 5]),
        ([(8, 8), (5, 5)], [3, 5]),
        ([(2, 1), (3, 3), (8, 8)], [0, 0, 8]),
        ([(2, 1), (3, 3), (10, 10)], [0, 0, 10]),
        ([(0, 0), (12, 12)], [0, 10]),
    ],
)
def test_one_step(before: list[tuple[int, int]], after: list[int]) -> None:
    assert sizes(rolling_step(view(10, 3, 2, *before))) == after


@given(
    st.integers(0, 12),
    amounts,
    amounts,
    old_sets,
    st.data(),
)
def test_never_above_the_surge_nor_below_availability_by_our_doing(
    replicas: int, surge: int | str, unavailable: int | str, old: list[tuple[int, int]], data: st.DataObject
) -> None:
    found = view(replicas, surge, unavailable, *((size, min(size, up)) for size, up in old), (0, 0))
    least = replicas - found.max_unavailable
    for _ in range(40):
        after = rolling_step(found)
        assert total(after.all) <= max(total(found.all), replicas + found.max_surge)
        if total(after.old) < total(found.old):
            assert available(after) >= min(least, available(found))
        found = after.sized(
            [sized(one.name, one.replicas, data.draw(st.integers(0, one.replicas))) for one in after.all]
        )


@given(st.integers(0, 30), amounts, amounts, st.lists(st.integers(0, 15), max_size=4))
def test_a_roll_out_whose_pods_become_available_ends(
    replicas: int, surge: int | str, unavailable: int | str, old: list[int]
) -> None:
    found = view(replicas, surge, unavailable, *((size, size) for size in old), (0, 0))
    for _ in range(200):
        after = rolling_step(found)
        settled = sizes(after) == sizes(found)
        found = after.sized([sized(one.name, one.replicas, one.replicas) for one in after.all])
        if settled:
            break
    assert sizes(found) == [*([0] * len(old)), replicas]


@given(st.integers(1, 30), amounts, st.lists(st.integers(1, 15), min_size=1, max_size=4))
@example(1, 1, [1, 1, 1])
def test_proportional_scaling_meets_the_size_exactly(replicas: int, surge: int | str, old: list[int]) -> None:
    found = view(replicas, surge, 0, *((size, size) for size in old), (1, 0))
    before = total(found.all)
    for one in found.all:
        one.obj["metadata"]["annotations"] = {"deployment.kubernetes.io/max-replicas": str(before)}
    after = scaled(found)
    wanted = replicas + found.max_surge
    assert total(after.all) == wanted
    for one, other in zip(found.all, after.all, strict=True):
        assert (other.replicas - one.replicas) * (wanted - before) >= 0


@given(st.integers(0, 12), amounts, amounts, old_sets, st.booleans(), st.booleans())
def test_a_second_plan_on_the_first_ones_result_is_empty(
    replicas: int,
    surge: int | str,
    unavailable: int | str,
    old: list[tuple[int, int]],
    paused: bool,
    recreate: bool,
) -> None:
    found = view(replicas, surge, unavailable, *((size, min(size, up)) for size, up in old), (0, 0))
    found.obj["spec"]["paused"] = paused
    if recreate:
        found.obj["spec"]["strategy"] = {"type": "Recreate"}
    for _ in range(20):  # what one step frees the next may use, but without news that soon ends
        found = applied(found, plan(found).actions)
    assert [action for action in plan(found).actions if not is_status(action)] == []


def is_status(action: object) -> bool:
    return isinstance(action, Patch) and action.subresource == "status"


def applied(found: View, actions: tuple[object, ...]) -> View:
    """The view as the caches would have it, before any ReplicaSet has acted."""
    objects = {one.name: one.obj for one in found.all}
    obj = found.obj
    for action in actions:
        if not isinstance(action, Patch):
            continue
        if action.kind is DEPLOYMENTS:
            obj = merged(obj, action.patch)
        elif action.kind is REPLICASETS:
            objects[action.name] = merged(objects[action.name], action.patch)
    sets = {name: Sized(one, one["spec"]["replicas"]) for name, one in objects.items()}
    new = sets[found.new.name] if found.new else None
    return replace(found, obj=obj, new=new, old=tuple(sets[one.name] for one in found.old))


def merged(doc: Obj, patch: Obj) -> Obj:
    new = dict(doc)
    for key, value in patch.items():
        old = new.get(key)
        if value is None:
            new.pop(key, None)
        else:
            new[key] = (
                merged(old if isinstance(old, dict) else {}, value) if isinstance(value, dict) else value
            )
    return new


@given(st.integers(0, 12), amounts, st.integers(0, 12))
def test_a_new_one_starts_within_the_surge(replicas: int, surge: int | str, there: int) -> None:
    found = replace(view(replicas, surge, 0, (there, there), (0, 0)), new=None)
    size = initial_size(found)
    assert 0 <= size <= replicas
    assert size == 0 or size + there <= replicas + found.max_surge


def test_the_hash_depends_on_content_not_on_order() -> None:
    one = template()
    other = {key: one[key] for key in reversed(list(one))}
    assert template_hash(one, None) == template_hash(other, None)
    assert template_hash(one, None) != template_hash(one, 1)
    assert template_hash(one, None) != template_hash(template("web:v2"), None)
    assert set(template_hash(one, None)) <= set("bcdfghjklmnpqrstvwxz2456789")


@pytest.mark.parametrize("text", ["²", "9" * 5000, "x", ""])
def test_what_a_person_wrote_as_a_number_is_none(text: str) -> None:
    assert revision({"metadata": {"annotations": {REVISION: text}}}) == 0
