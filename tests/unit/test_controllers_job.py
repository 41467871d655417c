"""Jobs: who is created, who is counted, when it is over and why; nothing is lost or counted twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fakes.jobs import end, end_all, job, living, status
from hypothesis import given, settings
from hypothesis import strategies as st

from mini8s.controllers.kinds.job import failures, indexes
from mini8s.controllers.kinds.job.controller import Jobs
from mini8s.controllers.kinds.podgc import PodGc
from mini8s.controllers.kinds.ttl import TtlAfterFinished
from mini8s.objects import errors, meta, pods
from mini8s.objects.kinds import JOBS, PODS, Obj
from tests.fakes.world import NAMESPACE, World

FINALIZER = "batch.kubernetes.io/job-tracking"
COMPLETE = {
    "SuccessCriteriaMet": ("True", "CompletionsReached"),
    "Complete": ("True", "CompletionsReached"),
}


@pytest.fixture
def world() -> Iterator[World]:
    world = World([Jobs, TtlAfterFinished])
    yield world
    world.close()


def start(world: World, **spec: Any) -> Obj:
    made = world.api.create(JOBS, job(**spec))
    world.settle()
    return made


def at(pod: Obj) -> int:
    return int(meta.annotations(pod)[indexes.INDEX])


def failed_as(reason: str) -> Obj:
    return {"FailureTarget": ("True", reason), "Failed": ("True", reason)}


def test_runs_side_by_side_until_enough_have_succeeded(world: World) -> None:
    start(world, completions=5, parallelism=2)
    assert status(world) | {"startTime": ""} == {
        "active": 2,
        "ready": 0,
        "terminating": 0,
        "startTime": "",
        "uncountedTerminatedPods": {},
        "conditions": {},
    }
    assert [meta.finalizers(pod) for pod in living(world)] == [[FINALIZER]] * 2
    assert [end_all(world) for _ in range(4)] == [2, 2, 1, 0]
    said = status(world)
    assert (said["succeeded"], said.get("active"), said["conditions"]) == (5, None, COMPLETE)
    assert said["completionTime"] == said["startTime"]
    assert not any(meta.finalizers(pod) for pod in world.all(PODS))
    assert world.told()[-1] == "Completed: Job completed"


def test_a_settled_one_writes_nothing(world: World) -> None:
    start(world, completions=2, parallelism=2)
    world.writes()
    for _ in range(3):
        world.runners[0].queue.add("default/j")
        world.step(60)
    assert world.writes() == []
    end_all(world)
    world.writes()
    world.runners[0].queue.add("default/j")
    world.step(60)
    assert world.writes() == []


def test_without_completions_one_success_ends_it_and_the_others_finish(world: World) -> None:
    start(world, parallelism=3)
    first, *others = living(world)
    end(world, first)
    world.settle()
    assert (len(living(world)), status(world)["conditions"]) == (2, {})
    for pod in others:
        end(world, pod, code=1)
    world.settle()
    said = status(world)
    assert (said["succeeded"], said["failed"], said["conditions"]) == (1, 2, COMPLETE)


def test_waits_longer_after_each_failure_and_gives_up_at_the_limit(world: World) -> None:
    start(world, backoffLimit=3)
    for wait in (10, 20, 40):
        end_all(world, code=1)
        world.step(wait - 1)
        assert living(world) == []
        world.step(1)
        assert len(living(world)) == 1
    end_all(world, code=1)
    said = status(world)
    assert (said["failed"], said["conditions"]) == (4, failed_as("BackoffLimitExceeded"))
    assert world.told()[-1] == "BackoffLimitExceeded: Job has reached the specified backoff limit"


def test_the_wait_is_six_minutes_at_most_and_survives_clocks_that_jump(world: World) -> None:
    start(world, backoffLimit=20)
    for _ in range(8):
        end_all(world, code=1)
        world.step(360)
        assert len(living(world)) == 1
    end_all(world, code=1)
    world.clock._now = world.clock._now.replace(year=2020)  # somebody set the clock back
    world.runners[0].queue.add("default/j")
    world.settle()
    assert living(world) == []
    world.step(360)
    world.runners[0].queue.add("default/j")
    world.step(3600 * 24 * 365 * 7)
    assert len(living(world)) == 1


def test_those_who_still_run_go_when_a_job_fails_and_it_ends_after_them(world: World) -> None:
    start(world, parallelism=2, completions=2, backoffLimit=0)
    world.run_pods()
    world.settle()
    assert status(world)["ready"] == 2
    end(world, living(world)[0], code=1)
    world.settle()
    said = status(world)
    assert (said["terminating"], said["conditions"]) == (
        1,
        {"FailureTarget": ("True", "BackoffLimitExceeded")},
    )
    world.run_pods(only=meta.deleting)
    world.settle()
    said = status(world)
    assert (said["terminating"], said["failed"]) == (0, 2)
    assert said["conditions"] == failed_as("BackoffLimitExceeded")


def test_restarts_in_place_count_against_the_limit(world: World) -> None:
    template = job()["spec"]["template"]
    template["spec"] |= {"restartPolicy": "OnFailure"}
    start(world, template=template, backoffLimit=2)
    (pod,) = living(world)
    change = {"status": {"phase": "Running", "containerStatuses": [{"name": "c", "restartCount": 2}]}}
    world.api.patch_status(PODS, NAMESPACE, meta.name(pod), change)
    world.settle()
    assert "FailureTarget" in status(world)["conditions"]


def test_a_deadline_ends_it(world: World) -> None:
    start(world, activeDeadlineSeconds=30)
    world.step(29)
    assert status(world)["conditions"] == {}
    world.step(1)
    assert status(world)["conditions"] == failed_as("DeadlineExceeded")
    assert "DeadlineExceeded: Job was active longer than specified deadline" in world.told()


def test_suspending_stops_and_resuming_starts_anew(world: World) -> None:
    start(world, suspend=True, activeDeadlineSeconds=30)
    assert (living(world), "startTime" in status(world)) == ([], False)
    assert world.told() == ["Suspended: Job suspended"]
    for suspend, count in ((False, 1), (True, 0), (False, 1)):
        world.step(20)
        world.api.patch(JOBS, NAMESPACE, "j", {"spec": {"suspend": suspend}})
        world.settle()
        assert len(living(world)) == count
    said = status(world)
    assert (said["conditions"], said.get("failed")) == ({"Suspended": ("False", "JobResumed")}, None)
    assert "Resumed: Job resumed" in world.told()
    world.step(30)
    assert "Failed" in status(world)["conditions"]


def test_one_that_is_suspended_when_all_have_succeeded_is_complete(world: World) -> None:
    start(world, completions=2, parallelism=2)
    for pod in living(world):
        end(world, pod)
    world.api.patch(JOBS, NAMESPACE, "j", {"spec": {"suspend": True}})
    world.settle()
    assert (status(world)["succeeded"], status(world)["conditions"]) == (2, COMPLETE)


def test_each_index_once(world: World) -> None:
    start(world, completionMode="Indexed", completions=4, parallelism=3)
    found = sorted(living(world), key=at)
    assert [at(pod) for pod in found] == [0, 1, 2]
    first = found[0]
    assert first["spec"]["hostname"] == "j-0"
    assert meta.labels(first)[indexes.INDEX] == "0"
    assert first["metadata"]["generateName"] == "j-0-"
    env = {item["name"]: item["valueFrom"]["fieldRef"] for item in first["spec"]["containers"][0]["env"]}
    assert env == {"JOB_COMPLETION_INDEX": {"fieldPath": f"metadata.labels['{indexes.INDEX}']"}}
    end(world, found[2])
    end(world, found[1], code=1)
    world.settle()
    world.step(10)
    assert sorted(map(at, living(world))) == [0, 1, 3]
    assert (status(world)["completedIndexes"], status(world)["failed"]) == ("2", 1)
    end_all(world)
    assert (status(world)["completedIndexes"], status(world)["conditions"]) == ("0-3", COMPLETE)


def test_a_second_pod_of_an_index_goes(world: World) -> None:
    start(world, completionMode="Indexed", completions=2, parallelism=2)
    twin = {key: value for key, value in living(world)[0].items() if key != "status"}
    twin["metadata"] = {
        key: value
        for key, value in twin["metadata"].items()
        if key in {"namespace", "labels", "annotations", "finalizers", "ownerReferences", "generateName"}
    }
    world.api.create(PODS, twin)
    world.settle()
    assert sorted(map(at, living(world))) == [0, 1]
    assert status(world).get("failed") is None


def test_an_elastic_one_grows_and_shrinks(world: World) -> None:
    start(world, completionMode="Indexed", completions=4, parallelism=4)
    for count in (2, 5):
        world.api.patch(JOBS, NAMESPACE, "j", {"spec": {"completions": count, "parallelism": count}})
        world.settle()
        assert sorted(map(at, living(world))) == list(range(count))
    end(world, sorted(living(world), key=at)[4])
    world.settle()
    world.api.patch(JOBS, NAMESPACE, "j", {"spec": {"completions": 2, "parallelism": 2}})
    world.settle()
    assert status(world).get("completedIndexes", "") == ""
    end_all(world)
    assert (status(world)["succeeded"], status(world)["conditions"]) == (2, COMPLETE)


def test_each_index_has_failures_of_its_own(world: World) -> None:
    limits = {"backoffLimitPerIndex": 1, "backoffLimit": 2**31 - 1}
    start(world, completionMode="Indexed", completions=2, parallelism=2, **limits)
    counts = []
    for wait in (10, 20):
        bad = next(pod for pod in living(world) if at(pod) == 1)
        counts.append(meta.annotations(bad)["batch.kubernetes.io/job-index-failure-count"])
        end(world, bad, code=1)
        world.settle()
        world.step(wait)
    assert counts == ["0", "1"]
    assert (status(world)["failedIndexes"], list(map(at, living(world)))) == ("1", [0])
    end_all(world)
    said = status(world)
    assert (said["failed"], said["succeeded"]) == (2, 1)
    assert said["conditions"] == failed_as("FailedIndexes")
    assert not any(meta.finalizers(pod) for pod in world.all(PODS))


def test_too_many_failed_indexes_end_it(world: World) -> None:
    limits = {"backoffLimitPerIndex": 0, "maxFailedIndexes": 1, "backoffLimit": 2**31 - 1}
    start(world, completionMode="Indexed", completions=5, parallelism=2, **limits)
    end_all(world, code=1)
    said = status(world)
    assert said["conditions"] == failed_as("MaxFailedIndexesExceeded")
    assert said["failedIndexes"] == "0,1"


CODES = {"operator": "In", "values": [42]}
DISRUPTED = [{"type": "DisruptionTarget", "status": "True"}]


def rules(*found: Obj) -> Obj:
    return {"podFailurePolicy": {"rules": list(found)}, "podReplacementPolicy": "Failed"}


@pytest.mark.parametrize(
    ("rule", "code", "condition", "action", "message"),
    [
        ({"action": "FailJob", "onExitCodes": CODES}, 42, "", "FailJob",
         "Container c for pod default/p failed with exit code 42 matching FailJob rule at index 0"),
        ({"action": "FailJob", "onExitCodes": CODES}, 1, "", "", ""),
        ({"action": "Count", "onExitCodes": CODES | {"operator": "NotIn"}}, 1, "", "Count", ""),
        ({"action": "Ignore", "onExitCodes": CODES | {"containerName": "other"}}, 42, "", "", ""),
        ({"action": "Ignore", "onPodConditions": DISRUPTED}, 137, "DisruptionTarget", "Ignore", ""),
        ({"action": "FailJob", "onPodConditions": DISRUPTED}, 137, "DisruptionTarget", "FailJob",
         "Pod default/p has condition DisruptionTarget matching FailJob rule at index 0"),
        ({"action": "FailIndex", "onPodConditions": DISRUPTED}, 137, "Ready", "", ""),
    ],
)  # fmt: skip
def test_what_a_rule_matches(rule: Obj, code: int, condition: str, action: str, message: str) -> None:
    status: Obj = {
        "containerStatuses": [{"name": "c", "state": {"terminated": {"exitCode": code}}}],
        "conditions": [{"type": condition, "status": "True"}],
    }
    pod: Obj = {"metadata": {"namespace": "default", "name": "p"}, "status": status}
    assert failures.match({"rules": [rule]}, pod) == failures.Match(action, message)


def test_a_policy_fails_the_job_at_once(world: World) -> None:
    start(world, **rules({"action": "FailJob", "onExitCodes": CODES}))
    (pod,) = living(world)
    end_all(world, code=42)
    assert status(world)["conditions"] == failed_as("PodFailurePolicy")
    why = f"Container c for pod default/{meta.name(pod)} failed with exit code 42"
    assert world.told()[-1] == f"PodFailurePolicy: {why} matching FailJob rule at index 0"


def test_a_policy_does_not_count_disruptions(world: World) -> None:
    start(world, backoffLimit=0, **rules({"action": "Ignore", "onPodConditions": DISRUPTED}))
    for _ in range(3):
        end(world, living(world)[0], code=137, condition="DisruptionTarget")
        world.settle()
        world.step(360)
    assert (status(world).get("failed"), len(living(world))) == (None, 1)


def test_a_policy_gives_up_an_index(world: World) -> None:
    policy = rules({"action": "FailIndex", "onExitCodes": CODES})
    limits = {"backoffLimitPerIndex": 5, "backoffLimit": 2**31 - 1}
    start(world, completionMode="Indexed", completions=2, parallelism=2, **limits, **policy)
    end(world, next(pod for pod in living(world) if at(pod) == 0), code=42)
    world.settle()
    assert (status(world)["failedIndexes"], list(map(at, living(world)))) == ("0", [1])


def test_the_leader_s_success_is_enough(world: World) -> None:
    policy = {"rules": [{"succeededIndexes": "1-3", "succeededCount": 2}, {"succeededIndexes": "0"}]}
    start(world, completionMode="Indexed", completions=5, parallelism=5, successPolicy=policy)
    world.run_pods()
    world.settle()
    end(world, next(pod for pod in living(world) if at(pod) == 0))
    world.settle()
    assert status(world)["conditions"] == {"SuccessCriteriaMet": ("True", "SuccessPolicy")}
    world.run_pods(only=meta.deleting)
    world.settle()
    said = status(world)
    assert said["conditions"]["Complete"] == ("True", "SuccessPolicy")
    assert (said["succeeded"], said.get("failed"), living(world)) == (1, None, [])
    condition = next(
        item for item in world.get(JOBS, "j")["status"]["conditions"] if item["type"] == "Complete"
    )
    assert condition["message"] == "Matched rules at index 1"


def test_a_policy_may_name_more_indexes_than_memory_holds(world: World) -> None:
    most = 2**31 - 1
    policy = {"rules": [{"succeededIndexes": f"0,2-{most - 1}", "succeededCount": 2}]}
    start(world, completionMode="Indexed", completions=most, parallelism=3, successPolicy=policy)
    for index, met in ((0, False), (1, False), (2, True)):
        end(world, next(pod for pod in living(world) if at(pod) == index))
        world.settle()
        assert ("SuccessCriteriaMet" in status(world)["conditions"]) == met


@pytest.mark.parametrize(("policy", "at_once"), [("Failed", 0), ("TerminatingOrFailed", 1)])
def test_when_a_leaving_pod_is_replaced(world: World, policy: str, at_once: int) -> None:
    start(world, podReplacementPolicy=policy)
    world.run_pods()
    world.settle()
    world.api.delete(PODS, NAMESPACE, meta.name(living(world)[0]))
    world.settle()
    world.step(10)
    assert len(living(world)) == at_once
    (leaving,) = [pod for pod in world.all(PODS) if meta.deleting(pod)]
    end(world, leaving, code=137)
    world.run_pods(only=meta.deleting)
    world.settle()
    world.step(10)
    assert (len(living(world)), status(world)["failed"], len(world.all(PODS))) == (1, 1, 1)


def test_fewer_side_by_side_are_sent_away_and_count_as_nothing(world: World) -> None:
    start(world, completions=10, parallelism=5)
    world.run_pods()
    world.api.patch(JOBS, NAMESPACE, "j", {"spec": {"parallelism": 2}})
    world.settle()
    assert (len(living(world)), status(world)["terminating"]) == (2, 3)
    world.run_pods(only=meta.deleting)
    world.settle()
    assert (len(world.all(PODS)), status(world).get("failed")) == (2, None)


def test_what_is_finished_is_counted_although_nothing_may_be_created(world: World) -> None:
    start(world, completions=4, parallelism=1)
    end(world, living(world)[0])
    for _ in range(3):
        world.api.fail_next("create", errors.Forbidden("exceeded quota"), plural="pods")
    world.observe()
    for _ in range(3):
        world.runners[0].queue.add("default/j")
        world.runners[0].step(0)
        world.observe()
    assert status(world)["succeeded"] == 1
    assert "FailedCreate: Error creating: exceeded quota" in world.told()
    world.step(1)
    assert len(living(world)) == 1


@pytest.mark.parametrize(("code", "count"), [(0, "succeeded"), (1, "failed")])
def test_a_controller_that_dies_in_between_counts_no_pod_twice(world: World, code: int, count: str) -> None:
    start(world, completions=3, parallelism=3)
    for pod in living(world):
        end(world, pod, code=code)
    for _ in range(2):
        world.api.fail_next("patch", errors.ServiceUnavailable("away"), plural="pods")
    world.settle()
    assert status(world)["uncountedTerminatedPods"] != {}
    again = World([Jobs], after=world)
    again.settle()
    assert (status(again)[count], status(again)["uncountedTerminatedPods"]) == (3, {})
    again.close()


def test_pods_without_their_job_are_let_go(world: World) -> None:
    start(world)
    world.run_pods()
    world.api.delete(JOBS, NAMESPACE, "j")
    world.settle()
    (pod,) = world.all(PODS)
    assert meta.finalizers(pod) == []
    stray = {"metadata": {"namespace": NAMESPACE, "name": "stray", "finalizers": [FINALIZER]}, "spec": {}}
    world.api.create(PODS, stray)
    world.settle()
    assert meta.finalizers(world.get(PODS, "stray")) == []


def test_a_pod_that_never_had_a_node_ends_too() -> None:
    world = World([Jobs, PodGc])
    start(world, podReplacementPolicy="Failed")
    world.api.delete(PODS, NAMESPACE, meta.name(living(world)[0]))
    world.settle()
    world.step(10)
    assert (len(world.all(PODS)), len(living(world)), status(world)["failed"]) == (1, 1, 1)
    world.close()


def test_one_that_somebody_else_manages_is_left_alone(world: World) -> None:
    start(world, managedBy="example.com/queue")
    assert (world.all(PODS), world.get(JOBS, "j").get("status")) == ([], None)


def test_a_finished_one_goes_after_its_time(world: World) -> None:
    start(world, ttlSecondsAfterFinished=100)
    end_all(world)
    world.step(99)
    assert world.names(JOBS) == ["j"]
    world.step(1)
    assert meta.deleting(world.get(JOBS, "j"))
    assert meta.finalizers(world.get(JOBS, "j")) == ["foregroundDeletion"]


def test_a_thousand_at_once_come_in_rounds(world: World) -> None:
    world.api.create(JOBS, job(parallelism=1200, completions=1200))
    world.observe()
    world.runners[0].step(0)
    assert len(living(world)) == 500
    world.settle()
    assert (len(living(world)), status(world)["active"]) == (1200, 1200)


@given(st.frozensets(st.integers(0, 30)))
def test_indexes_are_read_as_they_are_shown(found: indexes.Indexes) -> None:
    assert indexes.parse(indexes.show(found), 31) == found


@given(st.frozensets(st.integers(0, 30)), st.frozensets(st.integers(0, 30)), st.integers(1, 31))
def test_what_lies_in_spans_is_what_they_hold(
    found: indexes.Indexes, wanted: indexes.Indexes, completions: int
) -> None:
    text = indexes.show(wanted)
    assert indexes.within(found, indexes.spans(text, completions)) == found & indexes.parse(text, completions)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 5), st.integers(0, 4), st.booleans(), st.lists(st.sampled_from("sfdw"), max_size=25))
def test_counts_are_exact_whatever_happens(count: int, side: int, indexed: bool, story: list[str]) -> None:
    """Never more active than allowed, each index at most once, every end counted exactly once."""
    world = World([Jobs])
    mode = "Indexed" if indexed else "NonIndexed"
    start(world, completions=count, parallelism=side, backoffLimit=100, completionMode=mode)
    ended = {"s": 0, "f": 0}
    for step in story:
        found = living(world)
        if step == "w":
            world.step(360)
        elif found and step == "d":
            world.api.delete(PODS, NAMESPACE, meta.name(found[0]))
            ended["f"] += 1
        elif found:
            end(world, found[0], code=int(step == "f"))
            ended[step] += 1
        world.settle()
        assert len(living(world)) <= min(side, count)
        if indexed:
            places = list(map(at, living(world)))
            assert len(places) == len(set(places))
    said = status(world)
    assert (said.get("succeeded", 0), said.get("failed", 0)) == (ended["s"], ended["f"])
    assert ("Complete" in said["conditions"]) == (ended["s"] == count)
    world.writes()
    world.runners[0].queue.add("default/j")
    world.settle()
    assert world.writes() == []
    assert all(pods.is_terminal(pod) != bool(meta.finalizers(pod)) for pod in world.all(PODS))
    world.close()
