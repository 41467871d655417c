"""What waits for an hour of the day is done when somebody sets the clock past it."""

from __future__ import annotations

from mini8s.client.informer import Informers
from mini8s.controllers.manager import LOOK_SECONDS, Manager
from mini8s.objects.kinds import CRONJOBS, JOBS
from mini8s.util.clock import Drift, FakeClock
from mini8s.util.workers import Stop
from tests.fakes.api import FakeApi, FakeEvents


def test_a_clock_that_is_set_is_noticed_once() -> None:
    clock = FakeClock()
    drift = Drift(clock)
    clock.step(3600.0)
    assert not drift.grew(1.0)
    clock.set_wall(-5.0)
    assert (drift.grew(1.0), drift.grew(1.0)) == (True, False)


def test_a_cron_job_runs_when_its_hour_is_skipped_to() -> None:
    clock = FakeClock()
    api = FakeApi(clock.now, endless=False)
    informers = Informers(api, Stop())
    manager = Manager(api, informers, clock=clock, stop=Stop(), recorder=FakeEvents())
    container = {"name": "c", "image": "i"}
    job = {"template": {"spec": {"containers": [container], "restartPolicy": "Never"}}}
    spec = {"schedule": "0 5 * * *", "jobTemplate": {"spec": job}, "timeZone": "UTC"}
    api.create(CRONJOBS, {"metadata": {"namespace": "default", "name": "dawn"}, "spec": spec})
    for informer in informers._informers.values():
        informer.step()
    runner = next(one for one in manager.runners if one.name == "cronjob")
    runner.step(0)
    clock.step(LOOK_SECONDS)
    clock.set_wall(6 * 3600.0)
    runner.step(0)
    assert not api.list(JOBS).items
    manager.look_at_clock()
    runner.step(0)
    assert len(api.list(JOBS).items) == 1
