"""Bad input, all of it at once, with every controller: nothing that can't be had is asked for in a hot loop.
What is said of each is with each controller's tests, and in tests/integration/test_settled.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from mini8s.controllers.settings import ControllerSettings
from mini8s.objects import errors, meta
from mini8s.objects.kinds import (
    AUTOSCALERS,
    CONFIGMAPS,
    CRONJOBS,
    DAEMONSETS,
    DEPLOYMENTS,
    DISRUPTIONBUDGETS,
    JOBS,
    NAMESPACES,
    NODES,
    PERSISTENTVOLUMECLAIMS,
    PODS,
    REPLICASETS,
    STATEFULSETS,
    Kind,
    Obj,
)
from tests.fakes.jobs import job
from tests.fakes.world import (
    NAMESPACE,
    World,
    daemon_set,
    deployment,
    node,
    pod,
    replica_set,
    stateful_set,
    template,
)

HOUR, STEP = 3600, 10
TRIES = HOUR / 60 + 12  # a minute between two is the longest wait, and the first ones are shorter
WORDS = HOUR / 15 + 1  # claims are told of as often as upstream does


def named(name: str, spec: Obj, **metadata: Any) -> Obj:
    return {"metadata": {"namespace": NAMESPACE, "name": name} | metadata, "spec": spec}


def cron_job(name: str, schedule: str, **spec: Any) -> Obj:
    return named(name, {"schedule": schedule, "jobTemplate": {"spec": job()["spec"]}} | spec)


def claim(name: str, **spec: Any) -> Obj:
    return named(
        name, {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}} | spec
    )


def autoscaler(name: str, target: str) -> Obj:
    ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": target}
    return named(name, {"scaleTargetRef": ref, "maxReplicas": 3})


def selecting(app: str) -> Obj:
    return {"selector": {"matchLabels": {"app": app}}, "template": template(app=app)}


def split(at: int) -> Obj:
    return {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": at and 7}}}


BUDGET = {"minAvailable": 1, "selector": {"matchLabels": {"app": "fight"}}}
ILL: list[tuple[Kind, Obj]] = [
    (REPLICASETS, replica_set("full", **selecting("full"))),
    *((REPLICASETS, replica_set(name, 2, **selecting("fight"))) for name in ("one", "other")),
    *((DEPLOYMENTS, deployment(name, 2, **selecting("fight"))) for name in ("first", "second")),
    (DEPLOYMENTS, deployment("none", 0, **selecting("none"))),
    *((STATEFULSETS, stateful_set(f"part{at}", at, **selecting("part"), **split(at))) for at in (0, 2)),
    (DAEMONSETS, daemon_set("nowhere", template=template() | {"spec": {"nodeSelector": {"no": "where"}}})),
    (JOBS, job("idle", parallelism=0)),
    (CRONJOBS, cron_job("never", "0 0 30 2 *")),
    (CRONJOBS, cron_job("unread", "every day")),
    (CRONJOBS, cron_job("nowhere", "@daily", timeZone="Middle/Earth")),
    *((DISRUPTIONBUDGETS, named(name, BUDGET)) for name in ("keep", "keep-too")),
    (AUTOSCALERS, autoscaler("lost", "nothing")),
    *((AUTOSCALERS, autoscaler(name, "none")) for name in ("mine", "yours")),
    (PERSISTENTVOLUMECLAIMS, claim("any")),
    (PERSISTENTVOLUMECLAIMS, claim("strange", storageClassName="strange")),
    (PERSISTENTVOLUMECLAIMS, claim("one", storageClassName="", volumeName="nothing")),
    (PODS, pod("huge")),
    (CONFIGMAPS, named("stuck", {}, namespace="going", finalizers=["example.com/stuck"])),
]


@pytest.fixture
def world() -> Iterator[World]:
    world = World(settings=ControllerSettings(node_grace_seconds=2.0 * HOUR))
    for name in ("n1", "n2"):
        world.api.create(NODES, node(name))
    world.api.create(NAMESPACES, {"metadata": {"name": "going"}})
    yield world
    world.close()


def test_an_hour_of_bad_input(world: World) -> None:
    refused = fill(world, "full")
    for kind, obj in ILL:
        world.api.create(kind, obj)
    circle(world)
    world.api.delete(NAMESPACES, "", "going")
    for _ in range(6):
        world.settle()
        world.run_pods(only=lambda one: meta.name(one) != "huge")
        world.step(STEP)
    world.writes()
    world.told()
    refused.clear()
    for _ in range(0, HOUR, STEP):
        world.step(STEP)
    assert world.writes() == []
    assert 0 < refused.total() <= TRIES
    words = Counter((name, reason) for name, _, reason, _ in world.events.said)
    assert words["full", "FailedCreate"] == refused.total()
    del words["full", "FailedCreate"]
    assert max(words.values(), default=0) <= WORDS, words.most_common(5)


def fill(world: World, app: str) -> Counter[str]:
    """As a quota does that has no room for pods of that label; how often it was asked."""
    refused: Counter[str] = Counter()
    create = world.api.create

    def limited(kind: Kind, obj: Obj, **options: Any) -> Obj:
        if kind is PODS and meta.labels(obj).get("app") == app:
            refused[app] += 1
            raise errors.Forbidden("exceeded quota: few")
        return create(kind, obj, **options)

    world.api.create = limited  # type: ignore[method-assign]
    return refused


def circle(world: World) -> None:
    """Two that own each other."""
    made = [world.api.create(CONFIGMAPS, named(name, {})) for name in ("egg", "hen")]
    for one, owner in zip(made, reversed(made), strict=True):
        ref = {"apiVersion": "v1", "kind": "ConfigMap", "name": meta.name(owner), "uid": meta.uid(owner)}
        world.api.patch(CONFIGMAPS, NAMESPACE, meta.name(one), {"metadata": {"ownerReferences": [ref]}})
