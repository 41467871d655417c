"""CronJobs: which run is due, what is made up for, who may run beside whom, what is kept; by a clock that the
test sets."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fakes.jobs import job
from hypothesis import given, settings
from hypothesis import strategies as st

from mini8s.controllers.kinds.cronjob.controller import CronJobs
from mini8s.objects import errors, meta
from mini8s.objects.kinds import CRONJOBS, JOBS, Obj
from mini8s.objects.time import format_time
from tests.fakes.world import NAMESPACE, World

SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"


@pytest.fixture
def world() -> Iterator[World]:
    world = World([CronJobs])
    yield world
    world.close()


def start(world: World, schedule: str = "*/10 * * * *", **spec: Any) -> Obj:
    given = {"concurrencyPolicy": "Allow", "suspend": False, "successfulJobsHistoryLimit": 3}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"template": job()["spec"]["template"]}}
    spec = given | {"failedJobsHistoryLimit": 1, "schedule": schedule, "jobTemplate": template} | spec
    metadata = {"namespace": NAMESPACE, "name": "c"}
    made = world.api.create(CRONJOBS, {"metadata": metadata, "spec": spec})
    world.settle()
    return made


def end(world: World, name: str, condition: str = "Complete") -> None:
    now = format_time(world.clock.now())
    status: Obj = {"startTime": now, "conditions": [{"type": condition, "status": "True"}]}
    if condition == "Complete":
        status["completionTime"] = now
    world.api.patch_status(JOBS, NAMESPACE, name, {"status": status})
    world.settle()


def status(world: World) -> Obj:
    return dict(world.get(CRONJOBS, "c").get("status") or {})


def minutes(world: World) -> list[int]:
    """When the runs of the Jobs were due, in minutes since the start."""
    zero = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) // 60
    return [int(name.rpartition("-")[2]) - zero for name in world.names(JOBS)]


def test_a_job_at_its_time_and_in_between_nothing(world: World) -> None:
    made = start(world)
    world.writes()
    world.step(599)
    assert (world.names(JOBS), world.writes()) == ([], [])
    world.step(2)
    assert minutes(world) == [10]
    (found,) = world.all(JOBS)
    assert found["metadata"]["ownerReferences"] == [meta.new_controller_ref(made, CRONJOBS)]
    assert meta.annotations(found) == {SCHEDULED: "2026-01-01T00:10:00Z"}
    assert meta.labels(found) == {"a": "b"}
    said = status(world)
    assert said["lastScheduleTime"] == "2026-01-01T00:10:00Z"
    assert [(ref["kind"], ref["name"], ref["uid"]) for ref in said["active"]] == [
        ("Job", meta.name(found), meta.uid(found))
    ]
    assert world.told() == [f"SuccessfulCreate: Created job {meta.name(found)}"]
    world.step(10)
    end(world, meta.name(found))
    assert status(world) == {
        "lastScheduleTime": "2026-01-01T00:10:00Z",
        "lastSuccessfulTime": "2026-01-01T00:10:11Z",
    }
    assert world.told() == [f"SawCompletedJob: Saw completed job: {meta.name(found)}, condition: Complete"]
    world.writes()
    world.step(500)
    assert world.writes() == []


def test_of_what_was_missed_the_newest_is_made_up_for(world: World) -> None:
    start(world)
    world.step(3600 * 5)
    assert minutes(world) == [300]
    assert [said.partition(":")[0] for said in world.told()] == ["SuccessfulCreate"]
    world.step(3600 * 24 * 3)
    assert minutes(world)[-1] == 300 + 3 * 1440
    assert "TooManyMissedTimes" in [said.partition(":")[0] for said in world.told()]


@pytest.mark.parametrize(("deadline", "late", "runs"), [(60, 61, 0), (60, 59, 1), (None, 300, 1)])
def test_too_late_is_not_at_all(world: World, deadline: int | None, late: int, runs: int) -> None:
    start(world, **({} if deadline is None else {"startingDeadlineSeconds": deadline}))
    world.step(600 + late)
    assert len(world.names(JOBS)) == runs
    world.step(600 - late + 1)
    assert minutes(world)[-1] == 20


@pytest.mark.parametrize(("policy", "then"), [("Allow", [10, 20]), ("Forbid", [10]), ("Replace", [20])])
def test_who_runs_beside_whom(world: World, policy: str, then: list[int]) -> None:
    start(world, concurrencyPolicy=policy)
    world.step(601)
    world.told()
    world.step(600)
    assert minutes(world) == then
    assert len(status(world)["active"]) == len(then)
    if policy == "Forbid":
        why = "Not starting job because prior execution is running and concurrency policy is Forbid"
        assert f"JobAlreadyActive: {why}" in world.told()
        end(world, world.names(JOBS)[0])
        assert minutes(world) == [10, 20]


def test_a_suspended_one_rests_and_makes_up_afterwards(world: World) -> None:
    start(world, suspend=True)
    world.step(3600)
    assert world.names(JOBS) == []
    world.api.patch(CRONJOBS, NAMESPACE, "c", {"spec": {"suspend": False}})
    world.settle()
    assert minutes(world) == [60]


def test_only_the_last_ones_are_kept(world: World) -> None:
    start(world, "* * * * *")
    world.step(1)
    for number in range(8):
        world.step(60)
        end(world, world.names(JOBS)[-1], "Failed" if number % 2 else "Complete")
    assert minutes(world) == [3, 5, 7, 8]
    assert "SuccessfulDelete: Deleted job c-29453761" in world.told()


def test_hours_are_those_of_the_place(world: World) -> None:
    start(world, "0 9 * * *", timeZone="Asia/Kolkata")
    world.step(3600 * 3.5 + 1)
    (found,) = world.all(JOBS)
    assert meta.annotations(found)[SCHEDULED] == "2026-01-01T09:00:00+05:30"
    assert status(world)["lastScheduleTime"] == "2026-01-01T03:30:00Z"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"schedule": "0 0 30 2 *"}, "InvalidSchedule: invalid schedule: 0 0 30 2 * : time difference"),
        ({"schedule": "x"}, 'UnparseableSchedule: unparseable schedule: "x" : expected exactly 5 fields'),
        ({"timeZone": "Nowhere/City"}, 'UnknownTimeZone: invalid timeZone: "Nowhere/City": '),
    ],
)
def test_what_never_comes_is_told_once(world: World, spec: Obj, said: str) -> None:
    start(world, **spec)
    world.step(3600 * 24 * 400)
    (told,) = world.told()
    assert told.startswith(said)
    assert (world.names(JOBS), [call for call in world.writes() if "status" in call]) == ([], [])


@pytest.mark.parametrize("policy", ["Forbid", "Replace"])
def test_a_job_that_a_person_made_of_it_runs_beside(world: World, policy: str) -> None:
    made = start(world, concurrencyPolicy=policy)
    manual = job("by-hand")
    manual["metadata"]["ownerReferences"] = [meta.new_controller_ref(made, CRONJOBS)]
    world.api.create(JOBS, manual)
    world.settle()
    assert world.told() == ["UnexpectedJob: Saw a job that the controller did not create or forgot: by-hand"]
    assert status(world) == {}
    world.step(601)
    assert world.names(JOBS) == ["by-hand", "c-29453770"]
    assert [ref["name"] for ref in status(world)["active"]] == ["c-29453770"]


def test_what_a_quota_refuses_is_told_and_tried_again(world: World) -> None:
    start(world)
    world.api.fail_next("create", errors.Forbidden("exceeded quota"), plural="jobs")
    world.clock.step(601)
    world.runners[0].step(0)
    assert world.told() == ["FailedCreate: Error creating job: exceeded quota"]
    world.step(1)
    assert minutes(world) == [10]


def test_a_name_that_somebody_has_is_left_to_him(world: World) -> None:
    start(world)
    world.api.create(JOBS, job("c-29453770"))
    world.step(601)
    world.step(60)
    assert world.names(JOBS) == ["c-29453770"]
    assert status(world) == {"lastScheduleTime": "2026-01-01T00:10:00Z"}


def test_a_start_in_mid_run_makes_no_second_job(world: World) -> None:
    start(world)
    world.clock.step(601)
    world.api.fail_next("update", errors.ServiceUnavailable("away"), plural="cronjobs")
    world.runners[0].step(0)
    assert status(world) == {}
    world.step(1)
    assert (minutes(world), status(world)["lastScheduleTime"]) == ([10], "2026-01-01T00:10:00Z")
    assert [call for call in world.writes() if call.startswith("create jobs")] == ["create jobs c-29453770"]


def test_a_clock_that_was_set_back_goes_on_from_there(world: World) -> None:
    start(world)
    world.step(601)
    world.clock._now -= timedelta(days=3650)
    for wait, runs in ((300, 1), (301, 2), (300, 2)):
        world.clock.step(wait)
        world.runners[0].queue.add("default/c")
        world.settle()
        assert len(world.names(JOBS)) == runs
    assert status(world)["lastScheduleTime"] == "2016-01-04T00:20:00Z"


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.integers(1, 4000), max_size=8), st.sampled_from(["*/7 * * * *", "@every 11m", "3 * * * *"])
)
def test_a_second_look_does_nothing(steps: list[int], schedule: str) -> None:
    world = World([CronJobs])
    start(world, schedule)
    for seconds in steps:
        world.step(seconds)
    for _ in range(2):
        world.writes()
        world.runners[0].queue.add("default/c")
        world.settle()
    assert world.writes() == []
    assert len(set(minutes(world))) == len(minutes(world)) <= len(steps) + 1
    world.close()
