"""Jobs and autoscalers with real containers, as their documentation pages tell it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hosts.cluster import Cluster
from space import Space, container, space

BUSY = "while :; do :; done"


@pytest.fixture(scope="module")
def here(one_host: Cluster) -> Iterator[Space]:
    with space(one_host, "batch") as made:
        yield made


def job(name: str, command: str, **spec: Any) -> dict[str, Any]:
    inner = {"restartPolicy": "Never", "containers": [container(command)], "terminationGracePeriodSeconds": 0}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"template": {"spec": inner}} | spec,
    }


def test_each_index_does_its_part(here: Space) -> None:
    """The page "Indexed Job for Parallel Processing with Static Work Assignment"."""
    command = 'test "$HOSTNAME" = "indexed-$JOB_COMPLETION_INDEX" && echo part $JOB_COMPLETION_INDEX'
    here.apply(job("indexed", command, completions=3, parallelism=3, completionMode="Indexed"))
    here.kubectl("wait", "--for=condition=Complete", "job/indexed", "--timeout=120s")
    logs = here.kubectl("logs", "--selector=job-name=indexed")
    assert sorted(logs.split("\n")) == ["", "part 0", "part 1", "part 2"]
    assert here.get("job", "indexed")["status"]["completedIndexes"] == "0-2"


def test_what_exit_codes_and_disruptions_mean(here: Space) -> None:
    """The page "Handling retriable and non-retriable pod failures with Pod failure policy"."""
    rules = [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}},
    ]
    policy = {"podFailurePolicy": {"rules": rules}, "backoffLimit": 0}
    here.apply(
        job("bug", "exit 42", **policy | {"backoffLimit": 6}),
        job("moved", "sleep 1000", **policy),
    )
    here.kubectl("wait", "--for=condition=Failed", "job/bug", "--timeout=120s")
    assert here.get("job", "bug")["status"]["conditions"][-1]["reason"] == "PodFailurePolicy"
    here.kubectl("wait", "--for=jsonpath={.status.ready}=1", "job/moved", "--timeout=120s")
    (pod,) = here.get("pods", "--selector=job-name=moved")["items"]
    path = f"/api/v1/namespaces/batch/pods/{pod['metadata']['name']}"
    eviction = f'{{"metadata": {{"name": "{pod["metadata"]["name"]}"}}}}'
    here.cluster.api(f"{path}/eviction", "--json", eviction)
    here.kubectl("wait", "--for=delete", f"pod/{pod['metadata']['name']}", "--timeout=120s")
    status = here.get("job", "moved")["status"]
    assert (status.get("failed"), status.get("conditions")) == (None, None)
    here.kubectl("delete", "job", "moved", "--wait=false")


def test_a_busy_deployment_grows(here: Space) -> None:
    """The page "HorizontalPodAutoscaler Walkthrough", as far as up."""
    sized = {"requests": {"cpu": "50m"}, "limits": {"cpu": "300m"}}
    labels = {"app": "busy"}
    inner = {"containers": [container(BUSY, resources=sized)], "terminationGracePeriodSeconds": 0}
    spec = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": inner}}
    here.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "busy"}, "spec": spec})
    here.kubectl("autoscale", "deployment", "busy", "--cpu-percent=50", "--min=1", "--max=2")
    here.kubectl("wait", "--for=jsonpath={.spec.replicas}=2", "deployment/busy", "--timeout=120s")
    (event,) = [one["message"] for one in here.get("events")["items"] if one["reason"] == "SuccessfulRescale"]
    assert event == "New size: 2; reason: cpu resource utilization (percentage of request) above target"
    here.kubectl("delete", "hpa,deployment", "--all", "--wait=false")
