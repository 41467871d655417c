"""Jobs on the world of fakes: made as the API would have them, and pods that end as a test says."""

from __future__ import annotations

from typing import Any

from mini8s.objects import meta, pods
from mini8s.objects.kinds import JOBS, PODS, Obj
from mini8s.objects.time import format_time
from tests.fakes.world import NAMESPACE, World

LABELS = {"batch.kubernetes.io/job-name": "j"}


def job(name: str = "j", **spec: Any) -> Obj:
    """With the selector and the defaults that the API adds."""
    pod_spec = {"containers": [{"name": "c", "image": "x"}], "restartPolicy": "Never"}
    given = {"parallelism": 1, "backoffLimit": 6, "completionMode": "NonIndexed", "suspend": False}
    if not {"completions", "parallelism"} & set(spec):
        given["completions"] = 1
    return {
        "apiVersion": JOBS.api_version,
        "kind": JOBS.kind,
        "metadata": {"namespace": NAMESPACE, "name": name},
        "spec": given
        | {
            "selector": {"matchLabels": LABELS},
            "template": {"metadata": {"labels": LABELS}, "spec": pod_spec},
        }
        | spec,
    }


def end(world: World, pod: Obj, *, code: int = 0, condition: str = "") -> None:
    """The pod's container ends now with this code."""
    now = format_time(world.clock.now())
    status: Obj = {
        "phase": "Failed" if code else "Succeeded",
        "containerStatuses": [
            {"name": "c", "state": {"terminated": {"exitCode": code, "finishedAt": now}}, "restartCount": 0}
        ],
    }
    if condition:
        status["conditions"] = [{"type": condition, "status": "True"}]
    world.api.patch_status(PODS, NAMESPACE, meta.name(pod), {"status": status})


def living(world: World) -> list[Obj]:
    return [pod for pod in world.all(PODS) if pods.is_active(pod)]


def end_all(world: World, code: int = 0) -> int:
    """All that run end, and the Job hears of it; how many they were."""
    found = living(world)
    for pod in found:
        end(world, pod, code=code)
    world.settle()
    return len(found)


def status(world: World, name: str = "j") -> Obj:
    found = dict(world.get(JOBS, name).get("status") or {})
    found["conditions"] = {
        item["type"]: (item["status"], item["reason"]) for item in found.get("conditions") or ()
    }
    return found
