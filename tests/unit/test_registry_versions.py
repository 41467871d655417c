"""One object in several versions: nothing is lost on the way, whoever writes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from fakes.cluster import Cluster, decoded
from hypothesis import given
from hypothesis import strategies as st

from mini8s.objects.errors import BadRequest, Invalid, NotFound
from mini8s.objects.kinds import AUTOSCALERS, AUTOSCALERS_V1, EVENTS, EVENTS_V1, KINDS, Obj
from mini8s.registry.base import ListOptions, WatchEvent
from mini8s.registry.versions import CONVERSIONS, autoscalers

TARGET = {"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"}
MEMORY = {
    "type": "Resource",
    "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}},
}


def scaler(**spec: Any) -> Obj:
    return {"metadata": {"name": "web"}, "spec": {"scaleTargetRef": TARGET, "maxReplicas": 5} | spec}


def cpu(share: int) -> Obj:
    target = {"type": "Utilization", "averageUtilization": share}
    return {"type": "Resource", "resource": {"name": "cpu", "target": target}}


def event(**parts: Any) -> Obj:
    about = {"kind": "Pod", "name": "p", "namespace": "default"}
    return {"metadata": {"name": "e"}, "involvedObject": about, "message": "hello", "count": 2} | parts


def test_every_further_version_has_a_conversion() -> None:
    assert set(CONVERSIONS) == {kind for kind in KINDS if kind.storage}


def test_an_autoscaler_written_in_one_version_is_read_in_the_other() -> None:
    cluster = Cluster()
    made = cluster.create(AUTOSCALERS_V1, scaler(targetCPUUtilizationPercentage=50))
    assert (made["apiVersion"], made["spec"]["targetCPUUtilizationPercentage"]) == ("autoscaling/v1", 50)
    assert made["spec"]["minReplicas"] == 1
    stored = cluster.get(AUTOSCALERS, "web")
    assert (stored["apiVersion"], stored["spec"]["metrics"]) == ("autoscaling/v2", [cpu(50)])
    assert "annotations" not in stored["metadata"]
    assert cluster.names(AUTOSCALERS_V1) == cluster.names(AUTOSCALERS) == ["web"]
    cluster.delete(AUTOSCALERS_V1, "web")
    with pytest.raises(NotFound):
        cluster.get(AUTOSCALERS, "web")


def test_what_v1_cannot_say_is_carried_by_annotations() -> None:
    cluster = Cluster()
    behavior = {"scaleDown": {"stabilizationWindowSeconds": 60}}
    cluster.create(AUTOSCALERS, scaler(metrics=[cpu(70), MEMORY], behavior=behavior))
    before = cluster.get(AUTOSCALERS, "web")
    v1 = cluster.get(AUTOSCALERS_V1, "web")
    assert v1["spec"] == {
        "scaleTargetRef": TARGET,
        "minReplicas": 1,
        "maxReplicas": 5,
        "targetCPUUtilizationPercentage": 70,
    }
    assert '"memory"' in v1["metadata"]["annotations"]["autoscaling.alpha.kubernetes.io/metrics"]
    assert cluster.update(AUTOSCALERS_V1, v1) == v1  # nothing has changed, nothing is written
    assert cluster.get(AUTOSCALERS, "web") == before
    cluster.patch(AUTOSCALERS_V1, "web", {"spec": {"targetCPUUtilizationPercentage": 20}})
    assert cluster.get(AUTOSCALERS, "web")["spec"]["metrics"] == [cpu(20), MEMORY]


def test_annotations_that_are_not_ours_are_refused_or_kept_but_never_break() -> None:
    cluster = Cluster()
    for index, text in enumerate(("{", "5", '"x"', "null")):
        obj = scaler(targetCPUUtilizationPercentage=50)
        key = "autoscaling.alpha.kubernetes.io/metrics"
        obj["metadata"] = {"name": f"web-{index}", "annotations": {key: text}}
        assert cluster.create(AUTOSCALERS_V1, obj)["metadata"]["annotations"] == {key: text}
    obj["metadata"]["annotations"] = {key: "[5]"}
    with pytest.raises(BadRequest, match="cannot unmarshal number"):
        cluster.create(AUTOSCALERS_V1, obj)


METRICS = st.lists(st.sampled_from([MEMORY, {"type": "External", "external": {}}]), max_size=3)


@given(share=st.none() | st.integers(1, 100), others=METRICS, labels=st.dictionaries(st.text(), st.text()))
def test_there_and_back(share: int | None, others: list[Obj], labels: dict[str, str]) -> None:
    metrics = ([cpu(share)] if share else []) + others
    spec = {"maxReplicas": 5} | ({"metrics": metrics} if metrics else {})
    metadata = {"name": "x"} | (
        {"annotations": {f"a{key}": value for key, value in labels.items()}} if labels else {}
    )
    found = {"metadata": metadata, "spec": spec}
    assert autoscalers.store(autoscalers.show(found)) == found


NEW_STYLE = {
    "eventTime": "2026-01-01T00:00:00.000000Z",
    "reportingController": "x.io/y",
    "reportingInstance": "y-1",
    "action": "Look",
    "reason": "Looked",
    "type": "Normal",
}
REGARDING = {"kind": "Pod", "name": "p", "namespace": "default"}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"eventTime": None}, "eventTime: Required value"),
        ({"reportingController": "a b"}, 'reportingController: Invalid value: "a b": '),
        ({"reportingInstance": ""}, "reportingInstance: Required value"),
        ({"action": "x" * 129}, 'action: Invalid value: "": can have at most 128 characters'),
        ({"reason": ""}, "reason: Required value"),
        ({"note": "x" * 1025}, 'message: Invalid value: "": can have at most 1024 characters'),
        ({"type": "Odd"}, 'type: Invalid value: "": has invalid value: Odd'),
        ({"deprecatedCount": 1}, 'count: Invalid value: "": needs to be unset'),
        ({"deprecatedSource": {"host": "h"}}, 'source: Invalid value: "": needs to be unset'),
        (
            {"series": {"count": 1, "lastObservedTime": "2026-01-01T00:00:00Z"}},
            'series.count: Invalid value: "": should be at least 2',
        ),
    ],
)
def test_an_event_of_the_new_group_is_judged_strictly(change: Obj, why: str) -> None:
    with pytest.raises(Invalid) as refused:
        Cluster().create(EVENTS_V1, {"metadata": {"name": "e"}, "regarding": REGARDING} | NEW_STYLE | change)
    assert any(f"{cause.field}: {cause.message}".startswith(why) for cause in refused.value.causes), why


def test_only_the_series_of_an_event_goes_on_in_the_new_group() -> None:
    cluster = Cluster()
    made = cluster.create(EVENTS_V1, {"metadata": {"name": "e"}, "regarding": REGARDING} | NEW_STYLE)
    series = {"count": 2, "lastObservedTime": "2026-01-01T00:00:00.000000Z"}
    assert cluster.update(EVENTS_V1, made | {"series": series})["series"] == series
    with pytest.raises(Invalid, match='reason: Invalid value: "Other": field is immutable'):
        cluster.patch(EVENTS_V1, "e", {"reason": "Other"})
    assert cluster.patch(EVENTS, "e", {"reason": "Other"})["reason"] == "Other"


def test_events_are_one_object_under_two_groups() -> None:
    cluster = Cluster()
    cluster.create(EVENTS, event())
    shown = cluster.get(EVENTS_V1, "e")
    assert (shown["note"], shown["regarding"]["name"], shown["deprecatedCount"]) == ("hello", "p", 2)
    assert "message" not in shown
    other = {
        "metadata": {"name": "f"},
        "regarding": {"kind": "Pod", "name": "q", "namespace": "default"},
        "note": "world",
        "type": "Normal",
    } | NEW_STYLE
    cluster.create(EVENTS_V1, other)
    assert cluster.get(EVENTS, "f")["message"] == "world"
    assert cluster.names(EVENTS_V1, field_selector="regarding.name=q") == ["f"]
    assert cluster.names(EVENTS, field_selector="involvedObject.name=q") == ["f"]
    with pytest.raises(BadRequest, match=r"field label not supported: involvedObject\.name"):
        cluster.names(EVENTS_V1, field_selector="involvedObject.name=q")


def test_a_watch_sees_its_own_version() -> None:
    cluster = Cluster()
    seen: list[WatchEvent] = []

    def deliver(events: Sequence[WatchEvent]) -> None:
        seen.extend(events)

    cluster.create(EVENTS, event())
    cluster.machine.watch(EVENTS_V1, "default", ListOptions(), deliver)
    cluster.patch(EVENTS, "e", {"message": "again"})
    cluster.delete(EVENTS, "e")
    told = [(item.type, decoded(item.value)["note"]) for item in seen]
    assert told == [("ADDED", "hello"), ("MODIFIED", "again"), ("DELETED", "again")]
    assert {decoded(item.value)["apiVersion"] for item in seen} == {"events.k8s.io/v1"}


def test_unknown_fields_are_told_in_the_words_of_the_version_sent() -> None:
    cluster = Cluster()
    ctx = cluster.ctx()
    regarding = {"kind": "Pod", "name": "p", "namespace": "default"}
    said = {"metadata": {"name": "e"}, "regarding": regarding, "message": "an old word"} | NEW_STYLE
    cluster.machine.create(ctx, EVENTS_V1, "default", said)
    assert ctx.warnings == ['unknown field "message"']
