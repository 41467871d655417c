"""Jobs, CronJobs and autoscalers with real containers, as their documentation pages tell it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from beginnings import begin, begins_with, begun
from hosts.cluster import Cluster
from space import Obj, Space, container
from workloads import condition, job, named, told, until, workload

BATCH = "apis/batch/v1"


@pytest.fixture(scope="module")
def cluster(one_host: Cluster, request: pytest.FixtureRequest) -> Cluster:
    begin(one_host, request)
    return one_host


@pytest.fixture
def here(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Space]:
    with begun(cluster, request) as made:
        yield made


def of_job(here: Space, name: str) -> list[Obj]:
    return here.all("pods", f"job-name={name}")


def named_job(here: Space, name: str) -> Obj:
    found: Obj = json.loads(here.cluster.api(f"/{BATCH}/namespaces/{here.name}/jobs/{name}"))
    return found


def ended(here: Space, name: str) -> tuple[str, str, str]:
    """How a Job ended: the condition, its reason and its message."""
    here.cluster.wait_for(f"{name} to end", lambda: _ends(named_job(here, name)))
    found = named_job(here, name)
    (kind,) = _ends(found)
    return kind, *condition(found, kind)[1:]


def _ends(found: Obj) -> list[str]:
    return [kind for kind in ("Complete", "Failed") if condition(found, kind)[0] == "True"]


INDEX = 'test "$HOSTNAME" = "indexed-$JOB_COMPLETION_INDEX" && echo part $JOB_COMPLETION_INDEX'


@begins_with(job("indexed", INDEX, completions=3, parallelism=3, completionMode="Indexed"))
def test_each_index_does_its_part(here: Space) -> None:
    """The page "Indexed Job for Parallel Processing with Static Work Assignment"."""
    assert ended(here, "indexed")[0] == "Complete"
    logs = here.kubectl("logs", "--selector=job-name=indexed")
    assert sorted(logs.split("\n")) == ["", "part 0", "part 1", "part 2"]
    assert named_job(here, "indexed")["status"]["completedIndexes"] == "0-2"


RULES = [
    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
    {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}},
]


@begins_with(
    job("bug", "exit 42", podFailurePolicy={"rules": RULES}, backoffLimit=6),
    job("moved", "sleep 1000", podFailurePolicy={"rules": RULES}, backoffLimit=0),
)
def test_what_exit_codes_and_disruptions_mean(here: Space) -> None:
    """The page "Handling retriable and non-retriable pod failures with Pod failure policy"."""
    assert ended(here, "bug")[:2] == ("Failed", "PodFailurePolicy")
    until(here, "job/moved", "jsonpath={.status.ready}=1")
    (pod,) = of_job(here, "moved")
    path = f"/api/v1/namespaces/{here.name}/pods/{pod['metadata']['name']}"
    eviction = f'{{"metadata": {{"name": "{pod["metadata"]["name"]}"}}}}'
    here.cluster.api(f"{path}/eviction", "--json", eviction)
    here.kubectl("wait", "--for=delete", f"pod/{pod['metadata']['name']}", "--timeout=120s")
    status = named_job(here, "moved")["status"]
    assert (status.get("failed"), status.get("conditions")) == (None, None)


@begins_with(
    job("three", "exit 0", completions=3, parallelism=2),
    job("queue", "exit 0", parallelism=2),
    job("never", "exit 1", backoffLimit=0),
    job("retried", "exit 1", backoffLimit=1),
    job("late", "sleep 1000", activeDeadlineSeconds=2),
    job("brief", "exit 0", ttlSecondsAfterFinished=1),
)
def test_how_jobs_end(here: Space) -> None:
    """The pages "Jobs" and "Automatic Cleanup for Finished Jobs"."""
    assert ended(here, "three") == (
        "Complete",
        "CompletionsReached",
        "Reached expected number of succeeded pods",
    )
    assert named_job(here, "three")["status"]["succeeded"] == 3
    assert ended(here, "queue")[0] == "Complete"
    assert named_job(here, "queue")["status"]["succeeded"] == 2, "whoever has begun may end its work"
    too_often = ("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    assert ended(here, "never") == too_often
    assert named_job(here, "never")["status"]["failed"] == 1
    too_late = ("Failed", "DeadlineExceeded", "Job was active longer than specified deadline")
    assert ended(here, "late") == too_late
    assert of_job(here, "late") == []
    here.cluster.wait_for(
        "the brief one to be gone", lambda: not here.all("jobs", "job-name=brief", group=BATCH)
    )
    here.cluster.wait_for("its pod, too", lambda: not of_job(here, "brief"))
    assert ended(here, "retried") == too_often
    first, second = sorted(pod["metadata"]["creationTimestamp"] for pod in of_job(here, "retried"))
    assert second > first


def each(name: str, command: str, **spec: Any) -> Obj:
    return job(name, command, completions=3, parallelism=3, completionMode="Indexed", **spec)


ONLY_1_FAILS = "test $JOB_COMPLETION_INDEX != 1"
LEADER = "test $JOB_COMPLETION_INDEX = 0 || sleep 1000"


@begins_with(
    each("apart", ONLY_1_FAILS, backoffLimitPerIndex=0),
    each("led", LEADER, successPolicy={"rules": [{"succeededIndexes": "0"}]}),
)
def test_indexes_fail_and_succeed_for_themselves(here: Space) -> None:
    """The page's "Backoff limit per index" and "Success policy"."""
    assert ended(here, "apart") == ("Failed", "FailedIndexes", "Job has failed indexes")
    status = named_job(here, "apart")["status"]
    assert (status["completedIndexes"], status["failedIndexes"]) == ("0,2", "1")
    assert ended(here, "led")[:2] == ("Complete", "SuccessPolicy")
    assert named_job(here, "led")["status"]["completedIndexes"] == "0"
    here.cluster.wait_for("the others to be ended", lambda: len(of_job(here, "led")) == 1)


@begins_with(job("held", "exit 0", suspend=True), job("stopped", "sleep 1000", completions=2, parallelism=2))
def test_jobs_that_are_suspended(here: Space) -> None:
    """The page's "Suspending a Job"."""
    until(here, "job/held", "condition=Suspended")
    assert of_job(here, "held") == []
    here.kubectl("patch", "job/held", '--patch={"spec": {"suspend": false}}')
    assert ended(here, "held")[0] == "Complete"
    until(here, "job/stopped", "jsonpath={.status.ready}=2")
    here.kubectl("patch", "job/stopped", '--patch={"spec": {"suspend": true}}')
    until(here, "job/stopped", "condition=Suspended")
    here.cluster.wait_for("its pods to be ended", lambda: not of_job(here, "stopped"))
    here.cluster.wait_for("word of it", lambda: told(here, "Suspended") == ["Job suspended"] * 2)
    assert told(here, "Resumed") == ["Job resumed"]


def slow(name: str, policy: str) -> Obj:
    """One that takes long to end."""
    made = job(name, "sleep 1000", podReplacementPolicy=policy)
    made["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 600
    return made


@begins_with(slow("hurries", "TerminatingOrFailed"), slow("waits", "Failed"))
def test_when_a_pod_that_ends_is_replaced(here: Space) -> None:
    """The page's "Delayed creation of replacement pods"."""
    for name in ("hurries", "waits"):
        until(here, f"job/{name}", "jsonpath={.status.ready}=1")
        here.kubectl("delete", "pod", f"--selector=job-name={name}", "--wait=false")
    until(here, "job/hurries", "jsonpath={.status.terminating}=1")
    until(here, "job/waits", "jsonpath={.status.terminating}=1")
    here.cluster.wait_for("one beside the other", lambda: len(of_job(here, "hurries")) == 2)
    (only,) = of_job(here, "waits")
    here.kubectl("delete", "pod", "--all", "--force", "--grace-period=0", "--wait=false")
    name = only["metadata"]["name"]
    here.cluster.wait_for(
        "another", lambda: [pod["metadata"]["name"] for pod in of_job(here, "waits")] not in ([], [name])
    )


TOKYO = timedelta(hours=9)  # all year


def cron_job(name: str, command: str = "exit 0", schedule: str = "0 0 30 2 *", **spec: Any) -> Obj:
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name},
        "spec": {
            "schedule": schedule,
            "timeZone": "Etc/UTC",
            "jobTemplate": {"spec": job("x", command)["spec"]},
        }
        | spec,
    }


def ago(minutes: int, zone: timedelta = timedelta(0)) -> str:
    """The schedule that fires once a day, last that many minutes ago."""
    when = datetime.now(UTC) - timedelta(minutes=minutes) + zone
    return f"{when.minute} {when.hour} * * *"


def missed(here: Space, names: Iterable[str], schedule: str, since: int) -> None:
    """As if they had last run that many minutes ago, and nobody had looked since."""
    last = (datetime.now(UTC) - timedelta(minutes=since)).strftime("%Y-%m-%dT%H:%M:%SZ")
    change = ("patch", "cronjob", *names, "--type=merge")
    here.kubectl(*change, "--subresource=status", f'--patch={{"status": {{"lastScheduleTime": "{last}"}}}}')
    here.kubectl(*change, f'--patch={{"spec": {{"schedule": "{schedule}"}}}}')


def made(here: Space) -> list[str]:
    """The CronJob of each Job that is there and not on its way out."""
    found = [one["metadata"] for one in here.all("jobs", group=BATCH)]
    return sorted(one["ownerReferences"][0]["name"] for one in found if "deletionTimestamp" not in one)


POLICIES = ("allow", "forbid", "replace")


@begins_with(
    cron_job("never"),
    cron_job("late", startingDeadlineSeconds=60),
    cron_job("far", timeZone="Asia/Tokyo"),
    cron_job("kept", successfulJobsHistoryLimit=1),
    *(cron_job(policy, "sleep 1000", concurrencyPolicy=policy.title()) for policy in POLICIES),
)
def test_cron_jobs(here: Space) -> None:
    """The pages "CronJob" and "Running Automated Tasks with a CronJob", without waiting for the hour."""
    missed(here, ["late", *POLICIES], ago(5), since=10)
    missed(here, ["far"], ago(5, TOKYO), since=10)
    cluster, wanted = here.cluster, ["allow", "far", "forbid", "replace"]
    cluster.wait_for("what was missed to run once", lambda: made(here) == wanted)
    for number in (1, 2):
        here.kubectl("create", "job", f"by-hand-{number}", "--from=cronjob/kept")
        newest = [f"by-hand-{number}"]
        cluster.wait_for("the newest alone", lambda: kept(here) == newest)  # noqa: B023

    replaced = jobs_of(here, "replace")
    missed(here, POLICIES, ago(2), since=4)
    cluster.wait_for("two side by side", lambda: made(here).count("allow") == 2)
    cluster.wait_for("another", lambda: len(jobs_of(here, "replace") - replaced) == 1)
    cluster.wait_for("the first to go", lambda: not jobs_of(here, "replace") & replaced)
    why = "Not starting job because prior execution is running and concurrency policy is Forbid"
    cluster.wait_for("word of it", lambda: told(here, "JobAlreadyActive") == [why])
    assert made(here).count("forbid") == 1
    assert "late" not in made(here)
    never = "invalid schedule: 0 0 30 2 * : time difference between two schedules is less than 1 second"
    cluster.wait_for("word of it", lambda: never in told(here, "InvalidSchedule"))


def jobs_of(here: Space, name: str) -> set[str]:
    found = [one["metadata"] for one in here.all("jobs", group=BATCH)]
    return {one["name"] for one in found if one["ownerReferences"][0]["name"] == name}


def kept(here: Space) -> list[str]:
    """Those of `kept` that are complete and stay."""
    found = [one for one in here.all("jobs", group=BATCH) if one["metadata"]["name"].startswith("by-hand")]
    return [
        one["metadata"]["name"] for one in found if _ends(one) and "deletionTimestamp" not in one["metadata"]
    ]


# Burns until it sees a second pod of its Service, so that the load goes when there are enough to carry it.
BURNS = """
until [ "$(nslookup busy.$SPACE.svc.cluster.local. 2>/dev/null | grep -c ^Address)" -ge 3 ]; do
  n=0; while [ $n -lt 20000 ]; do n=$((n + 1)); done
done
sleep 1000"""
MEANT = [{"name": "SPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}]
SIZED = {"requests": {"cpu": "50m"}, "limits": {"cpu": "300m"}}


@begins_with(
    workload("Deployment", "busy", {"containers": [container(BURNS, env=MEANT, resources=SIZED)]}),
    {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "busy"},
        "spec": {"clusterIP": "None", "selector": {"app": "busy"}, "ports": [{"port": 80}]},
    },
    {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "busy"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "busy"},
            "maxReplicas": 2,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
                }
            ],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
        },
    },
)
def test_a_busy_deployment_grows_and_shrinks(here: Space) -> None:
    """The page "HorizontalPodAutoscaler Walkthrough"."""
    sizes = [
        "New size: 2; reason: cpu resource utilization (percentage of request) above target",
        "New size: 1; reason: All metrics below target",
    ]
    here.cluster.wait_for(
        "both sizes", lambda: sorted(told(here, "SuccessfulRescale")) == sorted(sizes), seconds=180
    )
    here.cluster.wait_for("one to go", lambda: len(named(here, "busy")) == 1)
