"""Laws of the controllers that keep house, on whatever is found: who is collected, evicted or bound, that
nothing is given twice, and that a second look has nothing to do. Workloads have their laws in their own
files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from depth import DEPTH, examples
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mini8s.controllers.actions import Delete
from mini8s.controllers.kinds import podgc, resourcequota, tainteviction, ttl
from mini8s.controllers.kinds.garbage import GarbageCollector
from mini8s.controllers.kinds.volumes.binder import ClaimBinder
from mini8s.controllers.kinds.volumes.volume import PersistentVolumes
from mini8s.objects import meta, pods, quantity
from mini8s.objects.kinds import CONFIGMAPS, PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES, PODS, Kind, Obj
from mini8s.objects.time import format_time
from tests.fakes.jobs import job
from tests.fakes.world import NAMESPACE, World, pod

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GHOST = 9  # an owner that never was

# ---- garbage: a graph of owners, in circles too, of which some are deleted one after the other

places = st.integers(0, 5)
graphs = st.dictionaries(places, st.frozensets(st.one_of(places, st.just(GHOST)), max_size=3), max_size=6)
deletions = st.lists(st.tuples(places, st.sampled_from(["Background", "Foreground", "Orphan"])), max_size=4)


@settings(derandomize=DEPTH == 1, max_examples=examples(60))
@given(graphs, deletions, st.booleans())
@example({0: frozenset({1}), 1: frozenset({2}), 2: frozenset({0})}, [(0, "Foreground")], True)
def test_who_is_collected_has_no_owner_left(
    graph: Mapping[int, frozenset[int]], deleted: Sequence[tuple[int, str]], block: bool
) -> None:
    world = World([GarbageCollector])
    try:
        made = {name: world.api.create(CONFIGMAPS, config(name)) for name in range(6)}
        for name, owners in graph.items():
            refs = [reference(owner, made, block=block) for owner in sorted(owners)]
            world.api.patch(CONFIGMAPS, NAMESPACE, f"c{name}", {"metadata": {"ownerReferences": refs}})
        left = dict.fromkeys(range(6), frozenset[int]()) | graph
        left = collected(left, set())
        for name, propagation in deleted:
            world.settle()
            world.step(1)  # a lost race is tried again
            assert there(world) == set(left)
            if name not in left:
                continue
            world.api.delete(CONFIGMAPS, NAMESPACE, f"c{name}", propagation=propagation)
            if propagation == "Orphan":
                left = {other: owners - {name} for other, owners in left.items()}
            left = collected(left, {name})
        world.settle()
        world.step(1)
        assert there(world) == set(left)
        assert not any(map(meta.deleting, world.all(CONFIGMAPS)))
        world.writes()
        for name in left:
            world.runners[0].queue.add(f"configmaps/{NAMESPACE}/c{name}")
        world.settle()
        assert world.writes() == []
    finally:
        world.close()


def config(name: int) -> Obj:
    return {"metadata": {"namespace": NAMESPACE, "name": f"c{name}"}}


def reference(owner: int, made: Mapping[int, Obj], *, block: bool) -> Obj:
    uid = meta.uid(made[owner]) if owner in made else "nobody"
    return {
        "apiVersion": "v1", "kind": "ConfigMap", "name": f"c{owner}", "uid": uid, "blockOwnerDeletion": block,
    }  # fmt: skip


def there(world: World) -> set[int]:
    return {int(name.removeprefix("c")) for name in world.names(CONFIGMAPS)}


def collected(left: dict[int, frozenset[int]], gone: set[int]) -> dict[int, frozenset[int]]:
    """Who is left without those that are gone, and without all whose every owner is."""
    while True:
        left = {name: owners for name, owners in left.items() if name not in gone}
        gone = {name for name, owners in left.items() if owners and not owners & left.keys()}
        left = {
            name: owners & left.keys() if owners & left.keys() else owners for name, owners in left.items()
        }
        if not gone:
            return left


# ---- taints: nobody goes before it must, nor later

LOST, OTHER = tainteviction.UNREACHABLE, "example.com/mine"
tolerated = st.dictionaries(st.sampled_from([LOST, OTHER]), st.one_of(st.none(), st.integers(0, 300)))
tainted = st.dictionaries(st.sampled_from([LOST, OTHER]), st.integers(0, 400), min_size=1)


@given(tolerated, tainted, st.sampled_from([pods.REPLACE, pods.KEEP, pods.FENCE]), st.integers(-50, 50))
def test_who_is_evicted_has_had_its_time(
    tolerates: Mapping[str, int | None], ages: Mapping[str, int], policy: str, given_up_in: int
) -> None:
    one = tolerant(tolerates, policy)

    def planned(later: float) -> tainteviction.Plan:
        taints = [({"key": key, "effect": "NoExecute"}, age + later) for key, age in ages.items()]
        return tainteviction.plan(tainteviction.Facts(one, taints, given_up_in - later), NOW)

    ends = min((left(tolerates, key, age, policy, given_up_in) for key, age in ages.items()))
    found = planned(0)
    gone = [action for action in found.actions if isinstance(action, Delete)]
    assert bool(gone) == (ends <= 0)
    if 0 < ends < FOREVER:
        assert found.again_after == ends
        assert planned(ends).actions
        assert not planned(ends - 0.5).actions
    elif not gone:
        assert (found.actions, found.again_after) == ((), None)


FOREVER = float("inf")


def tolerant(tolerates: Mapping[str, int | None], policy: str) -> Obj:
    tolerations = [
        {"key": key, "operator": "Exists", "effect": "NoExecute"}
        | ({} if seconds is None else {"tolerationSeconds": seconds})
        for key, seconds in tolerates.items()
    ]
    one = pod("p", node="n1", tolerations=tolerations)
    one["metadata"] |= {"uid": "u", "resourceVersion": "1", "annotations": {pods.ON_NODE_LOST: policy}}
    return one


def left(tolerates: Mapping[str, int | None], key: str, age: int, policy: str, given_up_in: int) -> float:
    """The seconds that a pod has for one taint."""
    if key in tolerates and tolerates[key] is None:
        return FOREVER
    own = (tolerates.get(key) or 0) - age
    if key != LOST or policy == pods.REPLACE:
        return own
    return FOREVER if policy == pods.KEEP else max(own, given_up_in)


# ---- pods that ended, or whose node is gone

ended = st.lists(
    st.tuples(
        st.sampled_from(["n1", "gone", "out", ""]),
        st.sampled_from(["Running", "Pending", "Succeeded", "Failed"]),
        st.booleans(),
    ),
    max_size=8,
)


@given(ended, st.integers(0, 4))
def test_no_pod_is_collected_that_lives_where_its_node_is(
    found: Sequence[tuple[str, str, bool]], threshold: int
) -> None:
    mine = {f"p{number}": aged(number, *one) for number, one in enumerate(found)}

    def planned() -> list[Delete]:
        facts = podgc.Facts(tuple(mine.values()), frozenset({"gone"}), frozenset({"out"}), threshold)
        return [one for one in podgc.plan(facts, NOW, None).actions if isinstance(one, Delete)]

    for action in planned():
        one = mine.pop(action.name)
        lost = pods.node_name(one) == "gone"
        going = meta.deleting(one) and pods.node_name(one) in {"", "out"}
        assert lost or going or pods.is_terminal(one)
    assert planned() == []
    staying = [one for one in mine.values() if pods.is_terminal(one) and not meta.deleting(one)]
    assert len(staying) <= threshold
    assert not any(pods.node_name(one) == "gone" for one in mine.values())


def aged(number: int, node: str, phase: str, leaving: bool) -> Obj:
    one = pod(f"p{number}", node=node) | {"status": {"phase": phase}}
    created = format_time(NOW + timedelta(seconds=number))
    one["metadata"] |= {"uid": f"u{number}", "resourceVersion": "1", "creationTimestamp": created}
    if leaving:
        one["metadata"]["deletionTimestamp"] = created
    return one


# ---- finished Jobs


@given(st.integers(0, 100), st.integers(-200, 200))
def test_a_finished_job_goes_when_its_time_is_over_and_not_before(seconds: int, age: int) -> None:
    one = job(ttlSecondsAfterFinished=seconds)
    ended_at = format_time(NOW - timedelta(seconds=age))
    one["metadata"] |= {"uid": "u", "resourceVersion": "1"}
    one["status"] = {"conditions": [{"type": "Complete", "status": "True", "lastTransitionTime": ended_at}]}
    found = ttl.plan(one, NOW)
    assert bool(found.actions) == (max(age, 0) >= seconds)
    assert found.actions or found.again_after == seconds - max(age, 0), (
        "a clock that was set back ends no wait"
    )


# ---- quotas


@given(st.lists(st.tuples(st.integers(0, 3000), st.sampled_from(["Running", "Succeeded"])), max_size=6))
def test_what_a_quota_says_is_the_sum_and_is_said_once(found: Sequence[tuple[int, str]]) -> None:
    mine = []
    for number, (milli, phase) in enumerate(found):
        one = aged(number, "n1", phase, leaving=False)
        one["spec"]["containers"][0]["resources"] = {"requests": {"cpu": f"{milli}m"}}
        mine.append(one)

    def objects(kind: Kind) -> Sequence[Obj]:
        return mine if kind is PODS else []

    quota: Obj = {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "1", "requests.cpu": "1"}}}
    (written,) = resourcequota.plan(quota, objects).actions
    said = written.obj["status"]["used"]  # type: ignore[union-attr]
    running = [milli for milli, phase in found if phase == "Running"]
    assert (int(said["pods"]), quantity.parse(said["requests.cpu"]) * 1000) == (len(running), sum(running))
    assert resourcequota.plan(quota | {"status": written.obj["status"]}, objects).actions == ()  # type: ignore[union-attr]


# ---- storage: no volume has two claims, none is too small, and none is left that somebody waits for

sizes = st.lists(st.integers(1, 4), max_size=4)


@settings(derandomize=DEPTH == 1, max_examples=examples(40))
@given(sizes, sizes, st.lists(st.integers(0, 3), max_size=2), st.sampled_from(["Retain", "Delete"]))
@example([1, 2], [1, 1, 1], [0], "Retain")
def test_each_volume_has_one_claim_that_fits(
    volumes: Sequence[int], wishes: Sequence[int], deleted: Sequence[int], policy: str
) -> None:
    world = World([ClaimBinder, PersistentVolumes])
    try:
        for number, size in enumerate(volumes):
            world.api.create(PERSISTENTVOLUMES, volume(f"v{number}", size, policy))
        for number, size in enumerate(wishes):
            world.api.create(PERSISTENTVOLUMECLAIMS, wish(f"c{number}", size))
        calm(world)
        paired(world)
        for number in deleted:
            if f"c{number}" in world.names(PERSISTENTVOLUMECLAIMS):
                world.api.delete(PERSISTENTVOLUMECLAIMS, NAMESPACE, f"c{number}")
                world.settle()
        calm(world)
        paired(world)
        world.writes()
        for runner in world.runners:
            for obj in (*world.all(PERSISTENTVOLUMECLAIMS), *world.all(PERSISTENTVOLUMES)):
                runner.queue.add(meta.key(obj))
        world.settle()
        assert world.writes() == []
    finally:
        world.close()


def calm(world: World) -> None:
    """Who lost a race for a volume looks again, and may lose the next one."""
    for _ in range(4):
        world.settle()
        world.step(1)


def volume(name: str, size: int, policy: str) -> Obj:
    return {
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": f"{size}Gi"},
            "accessModes": ["ReadWriteOnce"],
            "hostPath": {"path": "/x"},
            "persistentVolumeReclaimPolicy": policy,
        },
    }


def wish(name: str, size: int) -> Obj:
    return {
        "metadata": {"namespace": NAMESPACE, "name": name},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "",
            "resources": {"requests": {"storage": f"{size}Gi"}},
        },
    }


def paired(world: World) -> None:
    found = {meta.name(one): one for one in world.all(PERSISTENTVOLUMES)}
    had: list[str] = []
    waiting: list[int] = []
    for claim in world.all(PERSISTENTVOLUMECLAIMS):
        wanted = int(claim["spec"]["resources"]["requests"]["storage"].removesuffix("Gi"))
        if claim["status"]["phase"] != "Bound":
            assert claim["status"]["phase"] == "Pending", "nobody lost what it had"
            waiting.append(wanted)
            continue
        name = claim["spec"]["volumeName"]
        had.append(name)
        assert size_of(found[name]) >= wanted
        assert found[name]["spec"]["claimRef"]["uid"] == meta.uid(claim)
    assert len(had) == len(set(had))
    free = [size_of(one) for one in found.values() if one["status"]["phase"] == "Available"]
    assert not free or not waiting or max(free) < min(waiting)


def size_of(one: Obj) -> int:
    return int(one["spec"]["capacity"]["storage"].removesuffix("Gi"))
