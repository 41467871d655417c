"""What the plan says for a pod in a given state, as a table, and that a second plan has nothing to add."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini8s.agent.kubelet import notes
from mini8s.agent.kubelet.actions import (
    Action,
    BeginEnd,
    CreateSandbox,
    Ending,
    Hook,
    HookKey,
    HookState,
    Kill,
    Plan,
    Remembered,
    RemoveContainer,
    RemoveSandbox,
    RunHook,
    StartContainer,
    Terminate,
)
from mini8s.agent.kubelet.plan import plan
from mini8s.agent.kubelet.view import Doom, Verdict, View
from mini8s.agent.runtime.records import Container, RunningPod, Sandbox
from mini8s.objects.kinds import Obj
from mini8s.objects.time import format_micro

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EXEC = {"exec": {"command": ["x"]}}
SIDE = {"restartPolicy": "Always"}


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


@dataclass
class Case:
    """A pod and what runs of it. `state` by container name: run, a code that it ended with, or `created`."""

    mains: dict[str, Obj] = field(default_factory=lambda: {"c": {}})
    inits: dict[str, Obj] = field(default_factory=dict)
    debug: dict[str, Obj] = field(default_factory=dict)
    state: dict[str, str | int] = field(default_factory=dict)
    spec: Obj = field(default_factory=dict)
    deleted: int | None = None
    wanted: bool = True
    box: bool = True
    endings: dict[str, Ending] = field(default_factory=dict)
    hooks: dict[HookKey, HookState] = field(default_factory=dict)
    hooked: dict[str, str] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    doom: Doom | None = None

    @property
    def pod(self) -> Obj:
        lists = {"containers": self.mains, "initContainers": self.inits, "ephemeralContainers": self.debug}
        spec = {
            word: [{"name": name, **more} for name, more in found.items()] for word, found in lists.items()
        }
        metadata: Obj = {"namespace": "default", "name": "web", "uid": "u"}
        if self.deleted is not None:
            metadata |= {
                "deletionTimestamp": "2026-01-01T00:00:30Z",
                "deletionGracePeriodSeconds": self.deleted,
            }
        return {"metadata": metadata, "spec": {**spec, **self.spec}}

    @property
    def running(self) -> RunningPod:
        boxes = [Sandbox("box", 1, 0, True, format_micro(ago(100)))] if self.box else []
        return RunningPod("default", "web", "u", boxes, [self._container(name) for name in self.state])

    def _container(self, name: str) -> Container:
        spec = {**self.mains, **self.inits, **self.debug}.get(name, {})
        state, labels = self.state[name], {notes.SPEC_HASH: notes.spec_hash({"name": name, **spec})}
        if hook := (spec.get("lifecycle") or {}).get("preStop"):
            labels[notes.PRE_STOP] = json.dumps(hook)
        if spec.get("restartPolicy"):
            labels[notes.SIDECAR] = str(list(self.inits).index(name))
        one = Container(
            name, name, 0, "i", "i", "running", format_micro(ago(90)), sandbox_id="box", labels=labels
        )
        if state == "created":
            return replace(one, state="created")
        one = replace(one, started_at=format_micro(ago(90)))
        if state == "run":
            return one
        return replace(one, state="exited", exit_code=int(state), finished_at=format_micro(ago(1)))

    def plan(self) -> Plan:
        running = self.running
        view = View(self.pod, running, self.verdicts, self.hooked, self.doom) if self.wanted else None
        return plan(view, running, Remembered(self.endings, self.hooks), NOW)


def words(actions: Sequence[Action]) -> list[str]:
    return [_word(action) for action in actions]


def _word(action: Action) -> str:
    match action:
        case StartContainer(wanted, _, _, target):
            return f"start {wanted.name}" + (f" beside {target}" if target else "")
        case BeginEnd(container, _):
            return f"end {container.name}"
        case RunHook(container, hook, _, _):
            return f"{hook} {container.name}"
        case Terminate(container):
            return f"term {container.name}"
        case Kill(container):
            return f"kill {container.name}"
        case RemoveContainer(container):
            return f"remove {container.name}"
        case CreateSandbox(attempt, first):
            return f"sandbox {attempt}" + (f" while {first.wanted.name} is made" if first else "")
        case RemoveSandbox():
            return "remove sandbox"
    return "clean up"


def hook(which: str, handler: Obj = EXEC) -> Obj:
    return {"lifecycle": {which: handler}}


BEGUN, OVER = HookState(False), HookState(True)
PRE, POST = Hook.PRE_STOP, Hook.POST_START

CASES: dict[str, tuple[Case, list[str]]] = {
    "a new pod": (Case(box=False), ["sandbox 0 while c is made", "start c"]),
    "a new pod of two": (
        Case({"a": {}, "b": {}}, box=False),
        ["sandbox 0 while a is made", "start a", "start b"],
    ),
    "a new pod with init containers": (
        Case(inits={"i": {}, "j": {}}, box=False),
        ["sandbox 0 while i is made", "start i"],
    ),
    "a new pod whose hook holds up the next": (
        Case({"a": hook("postStart"), "b": {}}, box=False),
        ["sandbox 0 while a is made", "start a"],
    ),
    "a pod that lost its sandbox": (Case(box=False, state={"c": 137}), ["sandbox 0"]),
    "its container": (Case(), ["start c"]),
    "it runs": (Case(state={"c": "run"}), []),
    "made and not started": (Case(state={"c": "created"}), ["remove c", "start c"]),
    "ended, Always": (Case(state={"c": 0}), ["start c"]),
    "ended well, OnFailure": (Case(state={"c": 0}, spec={"restartPolicy": "OnFailure"}), ["remove sandbox"]),
    "ended ill, OnFailure": (Case(state={"c": 1}, spec={"restartPolicy": "OnFailure"}), ["start c"]),
    "one of two ended, Never": (
        Case({"a": {}, "b": {}}, state={"a": 1, "b": "run"}, spec={"restartPolicy": "Never"}),
        [],
    ),
    # init containers and sidecars
    "the first init container": (Case(inits={"i": {}, "j": {}}), ["start i"]),
    "the second": (Case(inits={"i": {}, "j": {}}, state={"i": 0}), ["start j"]),
    "a sidecar first": (Case(inits={"s": SIDE, "j": {}}), ["start s"]),
    "after the sidecar": (Case(inits={"s": SIDE, "j": {}}, state={"s": "run"}), ["start j"]),
    "a sidecar that has not started": (
        Case(inits={"s": SIDE}, state={"s": "run"}, verdicts={"s": Verdict(started=False)}),
        [],
    ),
    "a sidecar that ended in the init phase": (
        Case(inits={"s": SIDE, "j": {}}, state={"s": 1, "j": "run"}),
        ["start s"],
    ),
    "a sidecar that ended later": (Case(inits={"s": SIDE}, state={"s": 0, "c": "run"}), ["start s"]),
    "nobody left to serve": (
        Case(
            inits={"s": SIDE, "t": SIDE},
            state={"s": "run", "t": "run", "c": 0},
            spec={"restartPolicy": "Never"},
        ),
        ["end s", "end t", "term t"],
    ),
    "a failed init container, Never": (
        Case(inits={"i": {}}, state={"i": 1}, spec={"restartPolicy": "Never"}),
        ["remove sandbox"],
    ),
    "a failed init container beside a sidecar, Never": (
        Case(inits={"s": SIDE, "i": {}}, state={"s": "run", "i": 1}, spec={"restartPolicy": "Never"}),
        ["end s", "term s"],
    ),
    # postStart
    "a hook holds up the next": (Case({"a": hook("postStart"), "b": {}}), ["start a"]),
    "it is run": (Case({"a": hook("postStart"), "b": {}}, state={"a": "run"}), ["postStart a"]),
    "it is waited for": (
        Case({"a": hook("postStart"), "b": {}}, state={"a": "run"}, hooks={("a", POST): BEGUN}),
        [],
    ),
    "it is over": (
        Case({"a": hook("postStart"), "b": {}}, state={"a": "run"}, hooked={"a": ""}),
        ["start b"],
    ),
    "it failed": (
        Case({"a": hook("postStart")}, state={"a": "run"}, hooked={"a": "no such file"}),
        ["end a", "term a"],
    ),
    "it failed and the container went": (
        Case({"a": hook("postStart")}, state={"a": 137}, hooked={"a": "no such file"}),
        ["start a"],
    ),
    "a sidecar's hook": (Case(inits={"s": SIDE | hook("postStart")}, state={"s": "run"}), ["postStart s"]),
    # ends
    "deleted": (Case(state={"c": "run"}, deleted=30), ["end c", "term c"]),
    "asked to end": (
        Case(state={"c": "run"}, deleted=30, endings={"c": Ending(ago(5), ago(5))}),
        [],
    ),
    "time is up": (
        Case(state={"c": "run"}, deleted=30, endings={"c": Ending(ago(30), ago(30))}),
        ["kill c"],
    ),
    "no grace is two seconds": (
        Case(state={"c": "run"}, deleted=0, endings={"c": Ending(ago(1), ago(1))}),
        [],
    ),
    "and no more": (Case(state={"c": "run"}, deleted=0, endings={"c": Ending(ago(2), ago(2))}), ["kill c"]),
    "preStop first": (
        Case({"c": hook("preStop")}, state={"c": "run"}, deleted=30),
        ["end c", "preStop c"],
    ),
    "preStop again after the agent died": (
        Case({"c": hook("preStop")}, state={"c": "run"}, deleted=30, endings={"c": Ending(ago(5))}),
        ["preStop c"],
    ),
    "preStop runs": (
        Case(
            {"c": hook("preStop")},
            state={"c": "run"},
            deleted=30,
            endings={"c": Ending(ago(5))},
            hooks={("c", PRE): BEGUN},
        ),
        [],
    ),
    "preStop is over": (
        Case(
            {"c": hook("preStop")},
            state={"c": "run"},
            deleted=30,
            endings={"c": Ending(ago(5))},
            hooks={("c", PRE): OVER},
        ),
        ["term c"],
    ),
    "preStop took all the grace": (
        Case(
            {"c": hook("preStop")},
            state={"c": "run"},
            deleted=30,
            endings={"c": Ending(ago(30))},
            hooks={("c", PRE): BEGUN},
        ),
        ["term c"],
    ),
    "and two seconds more": (
        Case(
            {"c": hook("preStop")},
            state={"c": "run"},
            deleted=30,
            endings={"c": Ending(ago(32), ago(2))},
            hooks={("c", PRE): BEGUN},
        ),
        ["kill c"],
    ),
    "no grace, no preStop": (
        Case({"c": hook("preStop")}, state={"c": "run"}, deleted=0),
        ["end c", "term c"],
    ),
    "sidecars' hooks begin with all": (
        Case(inits={"s": SIDE | hook("preStop")}, state={"s": "run", "c": "run"}, deleted=30),
        ["end s", "preStop s", "end c", "term c"],
    ),
    "sidecars wait, and go last first": (
        Case(inits={"s": SIDE, "t": SIDE}, state={"s": "run", "t": "run", "c": "run"}, deleted=30),
        ["end s", "end t", "end c", "term c"],
    ),
    "sidecars wait no longer than the grace": (
        Case(
            inits={"s": SIDE},
            state={"s": "run", "c": "run"},
            deleted=10,
            endings={"s": Ending(ago(10)), "c": Ending(ago(10), ago(10))},
        ),
        ["term s", "kill c"],
    ),
    "an orphan runs its preStop too": (
        Case({"c": hook("preStop")}, state={"c": "run"}, wanted=False),
        ["end c", "preStop c"],
    ),
    "an orphan's records": (Case(state={"c": 0}, wanted=False), ["remove sandbox", "remove c"]),
    "liveness": (
        Case(state={"c": "run"}, verdicts={"c": Verdict(failed="liveness")}),
        ["end c", "term c"],
    ),
    "liveness, with a hook": (
        Case({"c": hook("preStop")}, state={"c": "run"}, verdicts={"c": Verdict(failed="liveness")}),
        ["end c", "preStop c"],
    ),
    "liveness with a grace of its own": (
        Case(
            {"c": {"livenessProbe": {"terminationGracePeriodSeconds": 4}}},
            state={"c": "run"},
            verdicts={"c": Verdict(failed="liveness")},
            endings={"c": Ending(ago(4), ago(4))},
        ),
        ["kill c"],
    ),
    "a doomed pod": (Case(state={"c": "run"}, doom=Doom("DeadlineExceeded", "")), ["end c", "term c"]),
    "and at its end": (Case(state={"c": 143}, doom=Doom("DeadlineExceeded", "")), ["remove sandbox"]),
    # ephemeral containers
    "an ephemeral container": (
        Case(debug={"d": {"targetContainerName": "c"}}, state={"c": "run"}),
        ["start d beside c"],
    ),
    "also before the init containers": (Case(inits={"i": {}}, debug={"d": {}}), ["start d", "start i"]),
    "never again": (Case(debug={"d": {}}, state={"c": "run", "d": 1}), []),
    "it ends with its pod": (
        Case(debug={"d": {}}, state={"c": "run", "d": "run"}, deleted=30),
        ["end c", "term c", "end d", "term d"],
    ),
    "it keeps no pod": (
        Case(debug={"d": {}}, state={"c": 0, "d": "run"}, spec={"restartPolicy": "Never"}),
        ["end d", "term d"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_plan(name: str) -> None:
    case, expected = CASES[name]
    assert words(case.plan().actions) == expected


@pytest.mark.parametrize("name", CASES)
def test_a_second_plan_is_empty(name: str) -> None:
    """Its actions done, and no time gone by: nothing but waiting is left, in a few rounds at most."""
    case, _ = CASES[name]
    for _ in range(8):
        done = case.plan()
        if not done.actions:
            break
        case = after(case, done.actions)
    assert done.actions == ()
    if any(state == "run" for state in case.state.values()) and (case.endings or case.deleted is not None):
        assert done.wake_seconds is not None


def after(case: Case, actions: Sequence[Action]) -> Case:
    """The case once its actions are done: what is started runs, what is killed has ended."""
    new = replace(case, state=dict(case.state), endings=dict(case.endings), hooks=dict(case.hooks))
    for action in actions:
        match action:
            case StartContainer(wanted):
                new = _fresh(new, wanted.name)
            case BeginEnd(container):
                new.endings[container.id] = Ending(NOW)
            case RunHook(container, which):
                new.hooks[container.id, which] = BEGUN
            case Terminate(container):
                new.endings[container.id] = Ending(new.endings[container.id].since, NOW)
            case Kill(container):
                new.state[container.name] = 137
            case RemoveContainer(container):
                new.state.pop(container.name)
            case CreateSandbox() | RemoveSandbox():
                new.box = isinstance(action, CreateSandbox)
    return new


def _fresh(case: Case, name: str) -> Case:
    """A new attempt of a container, of which nothing is known."""
    known = {part: {key: one for key, one in getattr(case, part).items() if name not in {key, key[0]}}
             for part in ("endings", "hooks", "hooked", "verdicts")}  # fmt: skip
    return replace(case, **known, state={**case.state, name: "run"})


def test_waiting_has_an_end() -> None:
    sleeping = {("c", PRE): HookState(False, NOW + timedelta(seconds=3))}
    case = Case(
        {"c": hook("preStop")}, state={"c": "run"}, deleted=30, endings={"c": Ending(NOW)}, hooks=sleeping
    )
    assert case.plan().wake_seconds == 3
    case.hooks = {("c", PRE): BEGUN}
    assert case.plan().wake_seconds == 30
    case.endings = {"c": Ending(ago(20), ago(20))}
    assert case.plan().wake_seconds == 10


STATES: list[Any] = ["run", "created", 0, 1]


@given(
    states=st.dictionaries(st.sampled_from(["s", "i", "t", "a", "b", "d"]), st.sampled_from(STATES)),
    policy=st.sampled_from(["Always", "OnFailure", "Never"]),
    deleted=st.sampled_from([None, 0, 1, 30]),
    wanted=st.booleans(),
    hooks=st.booleans(),
)
def test_whatever_the_state_time_brings_every_end(
    states: dict[str, str | int], policy: str, deleted: int | None, wanted: bool, hooks: bool
) -> None:
    """A pod that is to go is gone after its grace and two seconds, with hooks that never end and containers
    that hear nothing; one that stays comes to rest."""
    more = hook("preStop") if hooks else {}
    case = Case(
        {"a": more, "b": {}},
        {"s": SIDE, "i": {}, "t": SIDE | more},
        {"d": {}},
        dict(states),
        {"restartPolicy": policy},
        deleted=deleted,
        wanted=wanted,
    )
    for _ in range(30):
        done = case.plan()
        if not done.actions:
            if done.wake_seconds is None or not case.endings:
                break
            case = older(case, done.wake_seconds)
        case = after(case, done.actions)
    assert done.actions == ()
    if deleted is not None or not wanted:
        assert done.ended
        assert "run" not in case.state.values()
        assert not case.box


def older(case: Case, seconds: float) -> Case:
    """So much later: `now` stays, and all that was is longer ago."""
    delta = timedelta(seconds=seconds)
    endings = {
        key: Ending(one.since - delta, one.asked - delta if one.asked else None)
        for key, one in case.endings.items()
    }
    return replace(case, endings=endings)


def test_a_failed_init_container_ends_the_pod_though_a_sidecar_has_ended_before() -> None:
    state: dict[str, str | int] = {"s": 137, "i": 1}
    case = Case({"a": {}}, {"s": SIDE, "i": {}}, state=state, spec={"restartPolicy": "Never"})
    done = case.plan()
    assert done.ended
    assert not any(isinstance(action, StartContainer) for action in done.actions)
