"""Which container `kubectl logs` means, and how it is refused."""

from __future__ import annotations

import pytest
from fakes.runtime import FakeLog

from mini8s.agent.kubelet.serving.logs import choose, limited
from mini8s.agent.kubelet.view import View
from mini8s.agent.runtime.docker.streams import once_a_line
from mini8s.agent.runtime.records import Container, RunningPod
from mini8s.objects.errors import BadRequest

NOW = "2026-01-01T00:00:00Z"


def one(attempt: int, state: str) -> Container:
    return Container(f"c{attempt}", "c", attempt, "i", "i", state, NOW, NOW, NOW if state == "exited" else "")


def view(*containers: Container, policy: str = "Always", reason: str = "") -> View:
    waiting = [{"name": "c", "state": {"waiting": {"reason": reason}}}] if reason else []
    pod = {
        "metadata": {"namespace": "d", "name": "p"},
        "spec": {"containers": [{"name": "c"}], "restartPolicy": policy},
        "status": {"containerStatuses": waiting},
    }
    return View(pod, RunningPod("d", "p", "u", (), containers))


def test_the_last_attempt_and_the_one_before() -> None:
    both = view(one(1, "running"), one(0, "exited"))
    assert choose(both, "c", previous=False).id == "c1"
    assert choose(both, "c", previous=True).id == "c0"


def test_one_that_is_only_just_made_has_said_nothing_and_the_one_before_it_has() -> None:
    assert choose(view(one(1, "created"), one(0, "exited")), "c", previous=False).id == "c0"


def test_while_it_backs_off_the_last_one_is_the_previous() -> None:
    assert choose(view(one(0, "exited")), "c", previous=True).id == "c0"


@pytest.mark.parametrize(
    ("seen", "name", "previous", "message"),
    [
        (view(), "x", False, "container x is not valid for pod p"),
        (view(), "c", False, 'container "c" in pod "p" is waiting to start: ContainerCreating'),
        (view(reason="PodInitializing"), "c", False, "is waiting to start: PodInitializing"),
        (view(reason="ErrImagePull"), "c", False, "is waiting to start: image can't be pulled"),
        (view(reason="ImagePullBackOff"), "c", False, "start: trying and failing to pull image"),
        (view(one(0, "created")), "c", False, "is waiting to start: ContainerCreating"),
        (view(one(0, "running")), "c", True, 'previous terminated container "c" in pod "p" not found'),
        (view(one(0, "exited"), policy="Never"), "c", True, "previous terminated container"),
    ],
)
def test_refusals(seen: View, name: str, previous: bool, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        choose(seen, name, previous=previous)


def test_a_limit_in_bytes_ends_the_stream() -> None:
    log = FakeLog([b"abc\n", b"def\n"])
    assert b"".join(limited(log, 6)) == b"abc\nde"
    assert log.closed
    assert b"".join(limited(FakeLog([b"abc\n"]), None)) == b"abc\n"
    assert b"".join(limited(FakeLog([b"abc\n"]), 4)) == b"abc\n"


def test_a_long_line_has_one_timestamp() -> None:
    frames = [b"T1 a b", b"T2 c d", b"T3 e\n", b"T4 f\n", b"T5 g"]
    assert [*once_a_line(frames)] == [b"T1 a b", b"c d", b"e\n", b"T4 f\n", b"T5 g"]
