"""Manifests of workloads whose pods only sleep, and looks at what became of them."""

from __future__ import annotations

from typing import Any

from space import Obj, Space, container

SLEEPS = "trap exit TERM; sleep 1000 & wait"  # and ends as soon as it is told to


def workload(kind: str, name: str, template: Obj | None = None, **spec: Any) -> Obj:
    """`template`: what its pods' spec says besides their one container. A grace of none would take a
    StatefulSet's pod out of the API before its host has ended it, as upstream's documentation warns."""
    pod = {"containers": [container(SLEEPS)], "terminationGracePeriodSeconds": 1} | (template or {})
    return {
        "apiVersion": "v1" if kind == "ReplicationController" else "apps/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": pod},
        }
        | spec,
    }


def job(name: str, command: str, **spec: Any) -> Obj:
    inner = {"restartPolicy": "Never", "containers": [container(command)], "terminationGracePeriodSeconds": 0}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"template": {"spec": inner}} | spec,
    }


def claim(name: str, size: str = "16Mi", **spec: Any) -> Obj:
    wish = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": wish | spec,
    }


def rolled_out(here: Space, what: str) -> None:
    here.kubectl("rollout", "status", what, "--timeout=120s")


def until(here: Space, what: str, condition: str) -> None:
    """`kubectl wait --for=CONDITION`, once there is such an object."""
    here.kubectl("wait", f"--for={condition}", what, "--timeout=120s")


def named(here: Space, app: str) -> dict[str, Obj]:
    """The pods of a workload by name."""
    return {pod["metadata"]["name"]: pod for pod in here.all("pods", f"app={app}")}


def told(here: Space, reason: str) -> list[str]:
    """The messages of all events of that reason."""
    return [event["message"] for event in here.all("events") if event["reason"] == reason]


def condition(obj: Obj, kind: str) -> tuple[str, str, str]:
    """Status, reason and message; empty when it has no such condition."""
    found = [one for one in obj.get("status", {}).get("conditions", ()) if one["type"] == kind]
    one = found[0] if found else {}
    return one.get("status", ""), one.get("reason", ""), one.get("message", "")
