"""How a controller's runner shares the processor with the others."""

from __future__ import annotations

from fakes.api import FakeApi, FakeEvents

from mini8s.client.informer import Informers
from mini8s.controllers.actions import NOTHING, Plan
from mini8s.controllers.base import Context, Source
from mini8s.controllers.executor import Executor
from mini8s.controllers.runner import REST, Runner
from mini8s.controllers.settings import ControllerSettings
from mini8s.util.clock import FakeClock
from mini8s.util.workers import Stop


class Slow:
    """A controller whose plan of a big key takes a second."""

    name = "slow"
    sources: tuple[Source, ...] = ()

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.planned: list[str] = []

    def plan(self, key: str) -> Plan:
        self.planned.append(key)
        self._clock.step(1.0 if key.startswith("big") else 0.0)
        return NOTHING


def started(clock: FakeClock) -> tuple[Runner, Slow]:
    stop = Stop()
    api, slow = FakeApi(clock.now), Slow(clock)
    context = Context(api, Informers(api, stop), clock, ControllerSettings())
    return Runner(slow, context, Executor(api, FakeEvents()), stop), slow


def test_of_keys_that_never_come_back_nothing_is_kept() -> None:
    clock = FakeClock()
    runner, _ = started(clock)
    for number in range(20):
        runner.queue.add(f"big{number}")
        runner.step(0)
        clock.step(REST)
    assert list(runner._resting) == ["big19"]


def test_a_key_whose_plan_took_long_rests_and_is_not_forgotten() -> None:
    clock = FakeClock()
    runner, slow = started(clock)

    def touched(*keys: str) -> list[str]:
        slow.planned.clear()
        for key in keys:
            runner.queue.add(key)
        while len(runner.queue):
            runner.step(0)
        return slow.planned

    assert touched("big", "small") == ["big", "small"]
    assert touched("big", "small") == ["small"]
    clock.step(REST - 0.5)
    assert touched("small") == ["small"]
    clock.step(0.5)
    assert touched() == ["big"]
