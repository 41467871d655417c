"""Node pressure: settings under the kubelet's names, when something has to go, who goes, and what is said."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini8s.agent.kubelet.images import garbage as image_gc
from mini8s.agent.kubelet.node import eviction
from mini8s.agent.kubelet.node.eviction import Candidate, Judgement, Observed, State, Used
from mini8s.agent.kubelet.settings import (
    DEFAULTS,
    NAMES,
    Amount,
    BadArgument,
    KubeletSettings,
    Threshold,
    parse,
)
from mini8s.agent.kubelet.usage.disk_usage import Space
from mini8s.agent.runtime.records import Image
from mini8s.objects.kinds import Obj

GIB = 1 << 30
HARD = Threshold("memory.available", Amount("100Mi", 100 << 20))
SOFT = Threshold("memory.available", Amount("1Gi", GIB), grace_seconds=90)
NOTHING = State()
DISK = Threshold("nodefs.available", Amount("10%", share=0.1))


def test_the_defaults_are_the_kubelets() -> None:
    assert [f"{one.signal}<{one.least.text}" for one in parse(()).eviction] == [
        "memory.available<100Mi",
        "nodefs.available<10%",
        "nodefs.inodesFree<5%",
        "imagefs.available<15%",
        "imagefs.inodesFree<5%",
    ]
    assert (DEFAULTS.image_gc_high, DEFAULTS.image_gc_low, DEFAULTS.image_least_age_seconds) == (85, 80, 120)
    assert (DEFAULTS.max_pods, DEFAULTS.most_images) == (110, 50)
    assert (DEFAULTS.pressure_transition_seconds, DEFAULTS.shutdown_seconds) == (300, 0)


def test_what_is_given_takes_the_place_of_the_defaults() -> None:
    found = parse(
        (
            "eviction-hard=memory.available<5%,imagefs.available<0%",
            "eviction-soft=nodefs.available<20Gi",
            "eviction-soft-grace-period=nodefs.available=1m30s",
            "eviction-minimum-reclaim=nodefs.available=1Gi",
            "eviction-pressure-transition-period=30s",
            "eviction-max-pod-grace-period=20",
            "kube-reserved=cpu=100m,memory=1Gi",
            "max-pods=20",
            "container-log-max-size=64Ki",
            "container-log-max-files=2",
            "shutdown-grace-period=1m",
            "shutdown-grace-period-critical-pods=10s",
        )
    )
    assert found.eviction == (
        Threshold("memory.available", Amount("5%", share=0.05)),
        Threshold("nodefs.available", Amount("20Gi", 20 * GIB), 90, Amount("1Gi", GIB)),
    )
    assert (found.pressure_transition_seconds, found.most_grace_seconds) == (30, 20)
    assert (found.log_bytes, found.log_files) == (65536, 2)
    assert found.kube_reserved == {"cpu": "100m", "memory": "1Gi"}
    assert (found.max_pods, found.shutdown_seconds, found.shutdown_critical_seconds) == (20, 60, 10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense=1"], f"--kubelet-arg 'nonsense=1': 'nonsense' is none of {', '.join(NAMES)}"),
        (["max-pods"], "--kubelet-arg 'max-pods' is not NAME=VALUE"),
        (["max-pods=many"], "--kubelet-arg max-pods=many: not a number above 0"),
        (["eviction-hard=memory<1Gi"], "--kubelet-arg eviction-hard=memory<1Gi: 'memory' is none of"),
        (["eviction-hard=memory.available"], "'memory.available' is not SIGNAL<QUANTITY"),
        (["eviction-hard=memory.available<much"], "quantities must match"),
        (["eviction-hard=memory.available<120%"], "'120%' is not between 0% and 100%"),
        (["eviction-hard=memory.available<x%"], "'x%' is no percentage"),
        (
            ["eviction-soft=memory.available<1Gi"],
            "eviction-soft-grace-period says nothing of memory.available",
        ),
        (["eviction-pressure-transition-period=long"], "'long' is no duration such as 1m30s"),
        (["image-gc-low-threshold=90"], "is not below image-gc-high-threshold=85"),
        (["image-gc-high-threshold=101"], "not a number from 0 to 100"),
        (["container-log-max-files=1"], "container-log-max-files=1: not a number above 1"),
        (["container-log-max-size=0"], "'0' is not more than nothing"),
        (["kube-reserved=gpu=1"], "'gpu' is none of cpu, memory"),
        (["kube-reserved=cpu"], "'cpu' is not KEY=VALUE"),
        (["shutdown-grace-period-critical-pods=1s"], "is longer than shutdown-grace-period"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(arguments: list[str], message: str) -> None:
    with pytest.raises(BadArgument) as refused:
        parse(arguments)
    assert message in str(refused.value)


def judged(
    available: int, state: State = NOTHING, now: float = 0, *thresholds: Threshold, **more: Any
) -> Judgement:
    settings = replace(KubeletSettings(eviction=thresholds or (HARD, SOFT)), **more)
    return eviction.judge(settings, {"memory.available": Observed(available, 4 * GIB)}, state, now)


def test_a_hard_threshold_counts_at_once_and_a_soft_one_when_it_lasted() -> None:
    assert judged(GIB) == Judgement(State())
    low = judged(GIB - 1, now=5)
    assert (low.conditions, low.due) == ({"MemoryPressure"}, ())
    assert judged(GIB - 1, low.state, 94.9).due == ()
    assert judged(GIB - 1, low.state, 95).due == (SOFT,)
    assert judged(100, NOTHING, 0).due == (HARD,)
    back = judged(2 * GIB, low.state, 50)
    assert judged(GIB - 1, back.state, 100).due == ()  # it begins anew


def test_a_condition_stays_for_the_transition_period() -> None:
    state = judged(0).state
    for now, holds in ((10.0, True), (299.9, True), (300.0, False)):
        assert bool(judged(4 * GIB, state, now).conditions) is holds
    assert not judged(4 * GIB, state, 10, pressure_transition_seconds=5.0).conditions


def test_it_is_over_when_the_minimum_is_reclaimed() -> None:
    one = replace(HARD, reclaim=Amount("50Mi", 50 << 20))
    state = judged(99 << 20, NOTHING, 0, one).state
    assert judged(149 << 20, state, 10, one).due == (one,)
    assert judged(150 << 20, state, 10, one).due == ()
    assert judged(149 << 20, NOTHING, 10, one).due == ()


def test_memory_is_seen_to_first_and_unknown_signals_say_nothing() -> None:
    settings = KubeletSettings(eviction=(DISK, SOFT, HARD, Threshold("pid.available", Amount("5", 5))))
    seen = {"memory.available": Observed(0, 1), "nodefs.available": Observed(9, 100)}
    found = eviction.judge(settings, seen, State({SOFT: -100}), 0)
    assert found.due == (HARD, SOFT, DISK)
    assert found.conditions == {"MemoryPressure", "DiskPressure"}


def pod(name: str = "p", *, priority: int = 0, requests: Obj | None = None, **spec: Any) -> Obj:
    containers = [{"name": "c", "resources": {"requests": requests or {}}}]
    return {"metadata": {"name": name}, "spec": {"containers": containers, "priority": priority, **spec}}


def names(found: Iterable[Candidate]) -> list[str]:
    return [one.pod["metadata"]["name"] for one in found]


def test_who_goes_first_when_memory_is_short() -> None:
    found = eviction.ranked(
        [
            Candidate(pod("guaranteed", requests={"memory": "1Gi"}), memory=GIB // 2),
            Candidate(pod("important", priority=10), memory=3 * GIB),
            Candidate(pod("small"), memory=10),
            Candidate(pod("big", requests={"memory": "1Gi"}), memory=GIB + 20),
            Candidate(pod("critical", priority=2_000_001_000), memory=9 * GIB),
        ],
        "memory.available",
    )
    assert names(found) == ["big", "small", "important", "guaranteed"]


def test_who_goes_first_when_the_disk_or_processes_are_short() -> None:
    some = [
        Candidate(pod("many"), disk=10, inodes=500, processes=3),
        Candidate(pod("large"), disk=5000, inodes=5, processes=300),
        Candidate(pod("asked", requests={"ephemeral-storage": "1Gi"}), disk=9000, inodes=7),
        Candidate(pod("dear", priority=5), disk=90000, inodes=9000, processes=900),
    ]
    assert names(eviction.ranked(some, "nodefs.available")) == ["large", "many", "dear", "asked"]
    assert names(eviction.ranked(some, "imagefs.inodesFree")) == ["many", "asked", "large", "dear"]
    assert names(eviction.ranked(some, "pid.available")) == ["large", "many", "asked", "dear"]


amounts = st.integers(0, 1000)


@given(st.lists(st.tuples(amounts, amounts, st.integers(-5, 5)), max_size=12), st.randoms())
def test_the_order_of_eviction_is_one_whoever_counts(rows: list[tuple[int, int, int]], random: Any) -> None:
    some = [
        Candidate(pod(str(n), priority=priority, requests={"memory": str(asked)}), memory=used)
        for n, (used, asked, priority) in enumerate(rows)
    ]
    first = eviction.ranked(some, "memory.available")
    mixed = list(some)
    random.shuffle(mixed)
    again = eviction.ranked(mixed, "memory.available")

    def shown(one: Candidate) -> tuple[bool, int, int]:
        over = one.memory - int(one.pod["spec"]["containers"][0]["resources"]["requests"]["memory"])
        return over > 0, one.pod["spec"]["priority"], over

    assert [shown(one) for one in first] == [shown(one) for one in again]
    inside = [over for over, _, _ in map(shown, first)]
    assert inside == sorted(inside, reverse=True)  # who keeps to its request goes last


def test_what_an_evicted_pod_is_told() -> None:
    used = Candidate(pod(requests={"memory": "64Mi"}), (Used("c", memory=80 << 20),), memory=80 << 20)
    assert eviction.message(HARD, Observed(76 << 20, GIB), used) == (
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 76Mi. "
        "Container c was using 80Mi, request is 64Mi, has larger consumption of memory. "
    )
    disk = Candidate(pod(), (Used("c", disk=4096),))
    assert eviction.message(DISK, Observed(1024, 102400), disk) == (
        "The node was low on resource: ephemeral-storage. Threshold quantity: 10Ki, available: 1Ki. "
        "Container c was using 4Ki, request is 0, has larger consumption of ephemeral-storage. "
    )
    short = Threshold("nodefs.inodesFree", Amount("5%", share=0.05))
    assert eviction.message(short, Observed(3, 100), disk) == (
        "The node was low on resource: inodes. Threshold quantity: 5, available: 3. "
    )


def limited(limit: str = "", size: str = "", **used: Any) -> str:
    container = {"name": "c", "resources": {"limits": {"ephemeral-storage": limit} if limit else {}}}
    other = {"name": "d", "resources": {"limits": {"ephemeral-storage": "1Mi"}}}
    volumes = [{"name": "v", "emptyDir": {"sizeLimit": size} if size else {}}, {"name": "w", "hostPath": {}}]
    made = {"metadata": {"name": "p"}, "spec": {"containers": [container, other], "volumes": volumes}}
    return eviction.beyond_limits(Candidate(made, **used))


def test_pods_that_keep_more_on_the_disk_than_they_may() -> None:
    assert limited(size="1Ki", volumes={"v": 1024}) == ""
    assert (
        limited(size="1Ki", volumes={"v": 1025}) == 'Usage of EmptyDir volume "v" exceeds the limit "1Ki". '
    )
    assert limited(volumes={"v": 1 << 40}) == ""
    assert limited(limit="1Ki", containers=(Used("c", disk=1025),)) == (
        'Container c exceeded its local ephemeral storage limit "1Ki". '
    )
    assert limited(limit="1Mi", disk=(2 << 20) + 1) == (
        "Pod ephemeral local storage usage exceeds the total limit of containers 2Mi. "
    )
    assert limited(limit="1Mi", containers=(Used("c", disk=1024),), disk=2 << 20) == ""


def test_whose_disk_has_to_be_counted() -> None:
    assert not eviction.is_limited(
        pod(volumes=[{"name": "v", "emptyDir": {}}, {"name": "w", "hostPath": {}}])
    )
    assert eviction.is_limited(pod(volumes=[{"name": "v", "emptyDir": {"sizeLimit": "1Ki"}}]))
    assert eviction.is_limited(
        {"spec": {"containers": [{"resources": {"limits": {"ephemeral-storage": "1Gi"}}}]}}
    )


@pytest.mark.parametrize(
    ("conditions", "refused", "wanted"),
    [
        ((), "", pod()),
        (("MemoryPressure",), "The node had condition: [MemoryPressure]. ", pod()),
        (("MemoryPressure",), "", pod(requests={"memory": "1"})),
        (("MemoryPressure",), "", pod(tolerations=[{"operator": "Exists"}])),
        (("DiskPressure",), "The node had condition: [DiskPressure]. ", pod(requests={"memory": "1"})),
        (("PIDPressure", "MemoryPressure"), "The node had condition: [MemoryPressure, PIDPressure]. ", pod()),
        (("DiskPressure",), "", pod(priority=2_000_000_000)),
    ],
)
def test_whom_a_host_under_pressure_takes(conditions: tuple[str, ...], refused: str, wanted: Obj) -> None:
    assert eviction.refused(wanted, frozenset(conditions)) == refused


def image(name: str, size: int = 10, **more: Any) -> Image:
    return Image(f"id-{name}", [f"{name}:1"], size, **more)


def test_images_go_by_when_they_were_used_last() -> None:
    a, b, c, d, e = (image(name, pinned=name == "e") for name in "abcde")
    known = image_gc.look(image_gc.Known(), [a, b, c, d, e], ["id-a", "id-b"], 10)
    known = image_gc.look(known, [a, b, c, d, e], ["id-a"], 20)
    known = image_gc.look(known, [a, b, c, d, e, young := image("young")], ["id-d"], 130)
    free = image_gc.collectable(
        known, [a, b, c, d, e, young], ["c:1", "other"], now=130, least_age_seconds=120
    )
    assert free == [b, a]  # c came as a file, d is in use, e is needed, the last is young
    assert image_gc.enough(free, 10) == [b]
    assert image_gc.enough(free, 11) == [b, a]
    assert image_gc.enough(free, 100) == [b, a]
    assert image_gc.look(known, [a], [], 140).images.keys() == {"id-a"}


@pytest.mark.parametrize(("available", "wanted"), [(16, 0), (15, 5), (1, 19)])
def test_how_much_room_is_wanted(available: int, wanted: int) -> None:
    assert image_gc.to_free(Space(100, available, 0, 0, 0), DEFAULTS) == wanted
    assert image_gc.to_free(Space(0, 0, 0, 0, 0), DEFAULTS) == 0
