"""`mini8s upgrade`: what its file may say, what is done on each host and when it stops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fakes.api import FakeApi

from mini8s.cli import upgrade
from mini8s.cli.errors import CommandError
from mini8s.cli.upgrading import BadFile, Host, Step, parse, refusal, steps, to_evict
from mini8s.objects.kinds import LEASES, NODES, PODS, Obj


def node(name: str, *, ready: str = "True", closed: bool = False) -> Obj:
    return {
        "metadata": {"name": name},
        "spec": {"unschedulable": True} if closed else {},
        "status": {
            "conditions": [{"type": "Ready", "status": ready}],
            "nodeInfo": {"kubeletVersion": "v1"},
        },
    }


def pod(name: str, **more: Any) -> Obj:
    return {"metadata": {"name": name, "namespace": "default"}, "spec": {"nodeName": "h1"}} | more


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ([], "it is not a mapping"),
        ({}, "hosts is not a list"),
        ({"hosts": []}, "hosts is not a list with at least one host"),
        ({"hosts": ["h1"]}, r"hosts\[0\] is not a mapping"),
        ({"hosts": [{"name": "h1"}]}, r"hosts\[0\]\.command is missing"),
        ({"hosts": [{"name": "h1", "command": 3}]}, r"hosts\[0\]\.command is missing, or not a text"),
        ({"hosts": [{"name": "h1", "command": "x", "drian": 1}]}, r"hosts\[0\] has drian, which is none of"),
        (
            {"hosts": [{"name": "h1", "command": "x", "drain": "no"}]},
            r"hosts\[0\]\.drain is not true or false",
        ),
        ({"hosts": [{"name": "h1", "command": "x"}] * 2}, "h1 is there twice"),
        ({"hosts": [{"name": "h1", "command": "x"}], "readySeconds": 0}, "readySeconds is not a number of"),
        (
            {"hosts": [{"name": "h1", "command": "x"}], "wait": 1},
            "it has wait, which is none of drainSeconds",
        ),
    ],
)
def test_a_file_that_cant_be_meant(said: Any, wrong: str) -> None:
    with pytest.raises(BadFile, match=wrong):
        parse(said)


def test_the_steps_of_a_host() -> None:
    drained = [Step.CORDON, Step.DRAIN, Step.RUN, Step.WAIT, Step.UNCORDON]
    assert steps(Host("h1", "x"), node("h1")) == drained
    assert steps(Host("h1", "x"), node("h1", closed=True)) == drained[1:-1]  # closed by somebody: stays so
    assert steps(Host("h1", "x", drain=False), node("h1")) == [Step.RUN, Step.WAIT]


def test_nothing_is_begun_with_a_sick_or_unknown_node() -> None:
    plan = parse({"hosts": [{"name": "h1", "command": "x"}]})
    assert refusal(plan, {"h1": node("h1"), "h2": node("h2")}) == ""
    assert refusal(plan, {"h2": node("h2")}) == "there is no node h1"
    assert "node h2 is not Ready" in refusal(plan, {"h1": node("h1"), "h2": node("h2", ready="Unknown")})


def test_what_has_to_leave_a_node() -> None:
    owner = {"kind": "DaemonSet", "name": "d", "uid": "1", "controller": True}
    pods = [
        pod("web"),
        pod("done", status={"phase": "Succeeded"}),
        {**pod("each"), "metadata": {"name": "each", "ownerReferences": [owner]}},
        {
            **pod("static"),
            "metadata": {"name": "static", "annotations": {"kubernetes.io/config.mirror": "x"}},
        },
    ]
    assert [one["metadata"]["name"] for one in to_evict(pods)] == ["web"]


class Renewing(FakeApi):
    """Its leases are renewed at each look."""

    looks = 0

    def get(self, kind: Any, namespace: str, name: str) -> Obj:
        if kind is not LEASES:
            return super().get(kind, namespace, name)
        self.looks += 1
        return {"spec": {"renewTime": f"{self.looks}"}}


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Renewing:
    api = Renewing()
    for name in ("h1", "h2"):
        api.create(NODES, node(name))
    monkeypatch.setattr(upgrade, "connect", lambda *_: api)
    monkeypatch.setattr(upgrade, "POLL_SECONDS", 0)
    return api


def run(folder: Path, verb: str, *commands: str) -> Any:
    hosts = "".join(f"- {{name: h{number}, command: {said}}}\n" for number, said in enumerate(commands, 1))
    (folder / "plan.yaml").write_text(f"hosts:\n{hosts}")
    return CliRunner().invoke(upgrade.command, [verb, str(folder / "plan.yaml")])


def test_host_by_host_and_back(api: Renewing, tmp_path: Path) -> None:
    log = tmp_path / "log"
    done = run(tmp_path, "apply", f"echo one >>{log}", f"echo two >>{log}")
    assert done.exception is None
    assert log.read_text() == "one\ntwo\n"
    closed = [call.body["spec"]["unschedulable"] for call in api.calls if call.verb == "patch"]
    assert closed == [True, None, True, None]
    assert "h2: v1 is now v1" in done.output
    assert api.looks == 4  # of each host's lease until it was renewed since the command


def test_it_stops_at_the_first_failure(api: Renewing, tmp_path: Path) -> None:
    done = run(tmp_path, "apply", "exit 3", "echo two")
    assert isinstance(done.exception, CommandError)
    assert str(done.exception) == "h1: the command failed with 3; the host stays as it is now; not begun: h2"
    assert api.get(NODES, "", "h1")["spec"]["unschedulable"] is True
    assert "unschedulable" not in api.get(NODES, "", "h2")["spec"]


def test_a_plan_changes_nothing(api: Renewing, tmp_path: Path) -> None:
    api.create(PODS, pod("web"))
    api.calls.clear()
    done = run(tmp_path, "plan", "exit 3", "exit 3")
    assert done.output.splitlines()[:6] == [
        "h1 (v1)",
        "  cordon",
        "  drain",
        "  run the command: exit 3",
        "  wait until it is Ready",
        "  uncordon",
    ]
    assert api.calls == []
