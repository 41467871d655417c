"""Times, conditions, taints, percentages, metadata and the shared facts of pods."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini8s.objects import conditions, intstr, meta, pods, taints, time
from mini8s.objects.kinds import REPLICASETS

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"), (-1.5, "0s"), (0, "0s"), (119, "119s"), (120, "2m"), (123, "2m3s"), (600, "10m"),
        (10799, "179m"), (10800, "3h"), (11000, "3h3m"), (28800, "8h"), (29100, "8h"), (172799, "47h"),
        (172800, "2d"), (273600, "3d4h"), (8 * 86400, "8d"), (729 * 86400, "729d"), (730 * 86400, "2y"),
        (731 * 86400, "2y1d"), (2920 * 86400, "8y"),
    ],
)  # fmt: skip
def test_human_duration(seconds, text):
    assert time.human_duration(seconds) == text


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1)))  # noqa: DTZ001
def test_times_come_back(naive):
    when = naive.replace(tzinfo=UTC)
    assert time.parse_time(time.format_micro(when)) == when
    assert time.parse_time(time.format_time(when)) == when.replace(microsecond=0)


def test_times_of_others():
    assert time.parse_time("2026-01-01T01:00:00.123456789+01:00") == NOW + timedelta(microseconds=123456)
    assert time.parse_time("2026-01-01T00:00:00.5Z") == NOW + timedelta(seconds=0.5)
    assert time.age("2026-01-01T00:00:00Z", NOW + timedelta(seconds=5)) == "5s"
    assert time.age(None, NOW) == "<unknown>"
    for nonsense in ("", "2026-01-01", "2026-13-01T00:00:00Z", "2026-01-01T00:00:00", "yesterday"):
        with pytest.raises(ValueError, match=r"."):
            time.parse_time(nonsense)


def test_a_condition_remembers_when_its_status_changed():
    first = conditions.set_condition([], "Ready", "False", "Why", "because", NOW)
    later = NOW + timedelta(hours=1)
    same = conditions.set_condition(first, "Ready", "False", "Other", "still", later)
    assert same[0]["lastTransitionTime"] == "2026-01-01T00:00:00Z"
    assert same[0]["reason"] == "Other"
    changed = conditions.set_condition(same, "Ready", "True", "", "", later)
    assert changed[0]["lastTransitionTime"] == "2026-01-01T01:00:00Z"
    assert first[0]["reason"] == "Why"
    obj = {"status": {"conditions": changed}}
    assert conditions.is_true(obj, "Ready")
    assert conditions.get(obj, "Other") is None
    assert not conditions.is_true({}, "Ready")
    assert conditions.remove_condition(changed, "Ready") == []


@pytest.mark.parametrize(
    ("toleration", "covered"),
    [
        ({"operator": "Exists"}, True),
        ({"key": "k", "value": "v"}, True),
        ({"key": "k", "operator": "Equal", "value": "w"}, False),
        ({"key": "k", "operator": "Exists", "effect": "NoSchedule"}, False),
        ({"key": "x", "operator": "Exists"}, False),
        ({"value": "v"}, False),
        ({"key": "k", "operator": "Like", "value": "v"}, False),
    ],
)
def test_tolerations(toleration, covered):
    taint = {"key": "k", "value": "v", "effect": "NoExecute"}
    assert taints.tolerates([toleration], taint) is covered


def test_how_long_a_taint_is_tolerated():
    taint = {"key": "k", "effect": "NoExecute"}
    every = {"operator": "Exists"}
    assert taints.toleration_seconds([], taint) == 0
    assert taints.toleration_seconds([every], taint) is None
    some = [every | {"tolerationSeconds": seconds} for seconds in (300, 20)]
    assert taints.toleration_seconds([every, *some], taint) == 20
    assert taints.toleration_seconds([every | {"tolerationSeconds": 2**62}], taint) == taints.LONGEST_SECONDS
    assert taints.first_untolerated([taint], [], ["NoExecute"]) == taint
    assert taints.first_untolerated([taint], [], ["NoSchedule"]) is None
    assert taints.same(taint, taint | {"value": "x"})


def test_int_or_percent():
    assert intstr.resolve(3, 10, round_up=True) == 3
    assert intstr.resolve("25%", 10, round_up=True) == 3
    assert intstr.resolve("25%", 10, round_up=False) == 2
    with pytest.raises(ValueError, match="not a percentage"):
        intstr.resolve("25", 10, round_up=True)


def test_metadata():
    owner = {"metadata": {"name": "a", "namespace": "n", "uid": "u"}}
    ref = meta.new_controller_ref(owner, REPLICASETS)
    owned = {"metadata": {"ownerReferences": [{"uid": "x"}, ref], "resourceVersion": "7"}}
    assert meta.controller_ref(owned) == ref
    assert ref["apiVersion"] == "apps/v1"
    assert meta.revision(owned) == 7
    assert meta.key(owner) == "n/a"
    assert meta.split_key("n/a") == ("n", "a")
    assert meta.split_key("a") == ("", "a")
    assert not meta.deleting({})


def _container(cpu: str, **more: object) -> dict[str, object]:
    return {"name": "c", "resources": {"requests": {"cpu": cpu, "memory": "1Mi"}}, **more}


def test_requests_count_sidecars_and_the_hungriest_init_container():
    spec = {
        "initContainers": [_container("100m", restartPolicy="Always"), _container("1")],
        "containers": [_container("200m"), _container("300m")],
        "overhead": {"cpu": "10m"},
    }
    assert pods.requests(spec) == (1110, 3 << 20)
    spec["initContainers"][1] = _container("1m")
    assert pods.requests(spec) == (610, 3 << 20)
    assert pods.requests({"containers": [{"name": "c"}]}) == (0, 0)


def test_quality_of_service():
    def spec(**resources):
        return {"containers": [{"resources": resources}]}

    full = {"cpu": "1", "memory": "1Gi"}
    assert pods.qos_class(spec()) == "BestEffort"
    assert pods.qos_class(spec(limits=full)) == "Guaranteed"
    assert pods.qos_class(spec(limits=full, requests=full)) == "Guaranteed"
    assert pods.qos_class(spec(limits=full, requests={"cpu": "1"})) == "Burstable"
    assert pods.qos_class(spec(requests={"cpu": "1"})) == "Burstable"


def test_availability():
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    pod = {"status": {"phase": "Running", "conditions": [ready]}}
    assert pods.is_available(pod, 0, NOW)
    assert not pods.is_available(pod, 10, NOW)
    assert pods.is_available(pod, 10, NOW + timedelta(seconds=10))
    assert not pods.is_available({}, 0, NOW)
    assert pods.is_terminal({"status": {"phase": "Failed"}})
    assert not pods.is_active({"metadata": {"deletionTimestamp": "x"}})
