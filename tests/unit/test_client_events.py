"""Events: counted when equal, limited per object, never in the way."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import pytest

from mini8s.client import events
from mini8s.client.base import Ask
from mini8s.client.events import Recorder
from mini8s.objects import errors
from mini8s.objects.kinds import EVENTS, Obj
from mini8s.util.clock import FakeClock
from tests.fakes.api import FakeApi

POD: Obj = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"namespace": "a", "name": "p", "uid": "u", "resourceVersion": "7"},
}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def api(clock: FakeClock) -> FakeApi:
    return FakeApi(clock.now)


@pytest.fixture
def recorder(api: FakeApi, clock: FakeClock) -> Iterator[Recorder]:
    recorder = Recorder(api, "kubelet", "n1", clock)
    yield recorder
    assert recorder.flush(60)


def found(api: FakeApi) -> list[Obj]:
    return list(api.list(EVENTS, "").items)


def test_an_event_says_who_saw_what_of_whom(api: FakeApi, recorder: Recorder) -> None:
    recorder.event(POD, "Warning", "BackOff", "Back-off", field_path="spec.containers{c}")
    assert recorder.flush(60)
    (event,) = found(api)
    assert event["metadata"]["namespace"] == "a"
    assert event["metadata"]["name"].startswith("p.")
    assert event["involvedObject"] == {
        "kind": "Pod",
        "apiVersion": "v1",
        "namespace": "a",
        "name": "p",
        "uid": "u",
        "resourceVersion": "7",
        "fieldPath": "spec.containers{c}",
    }
    assert event["source"] == {"component": "kubelet", "host": "n1"}
    assert (event["type"], event["reason"], event["message"], event["count"]) == (
        "Warning", "BackOff", "Back-off", 1,
    )  # fmt: skip
    assert event["firstTimestamp"] == event["lastTimestamp"] == "2026-01-01T00:00:00Z"


def test_equal_events_are_one_with_a_count(api: FakeApi, clock: FakeClock, recorder: Recorder) -> None:
    for _ in range(3):
        recorder.event(POD, "Normal", "Pulled", "image")
        clock.step(60)
    recorder.event(POD, "Normal", "Pulled", "another image")
    assert recorder.flush(60)
    assert [(event["message"], event["count"]) for event in found(api)] == [
        ("image", 3), ("another image", 1)
    ]  # fmt: skip
    assert found(api)[0]["lastTimestamp"] == "2026-01-01T00:02:00Z"


def test_an_event_that_was_deleted_is_made_anew(api: FakeApi, recorder: Recorder) -> None:
    recorder.event(POD, "Normal", "Pulled", "image")
    assert recorder.flush(60)
    api.delete(EVENTS, "a", found(api)[0]["metadata"]["name"])
    recorder.event(POD, "Normal", "Pulled", "image")
    assert recorder.flush(60)
    assert [event["count"] for event in found(api)] == [1]


def test_what_lives_in_no_namespace_is_told_of_in_default(api: FakeApi, recorder: Recorder) -> None:
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1", "uid": "x"}}
    for _ in range(2):
        recorder.event(node, "Normal", "NodeReady", "ready")
    assert recorder.flush(60)
    (event,) = found(api)
    assert (event["metadata"]["namespace"], event["count"]) == ("default", 2)
    assert "namespace" not in event["involvedObject"]


def test_one_object_cannot_flood(api: FakeApi, clock: FakeClock, recorder: Recorder) -> None:
    for number in range(40):
        recorder.event(POD, "Normal", "Pulled", f"image {number}")
    assert recorder.flush(60)
    assert len(found(api)) == events.BURST
    clock.step(events.REFILL_SECONDS)
    recorder.event(POD, "Normal", "Pulled", "later")
    recorder.event(POD, "Normal", "Pulled", "too much")
    assert recorder.flush(60)
    assert len(found(api)) == events.BURST + 1


def test_an_unreachable_server_loses_events_and_says_so(
    api: FakeApi, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    api.fail_next("create", errors.ServiceUnavailable("no server"))
    recorder.event(POD, "Normal", "Pulled", "image")
    assert recorder.flush(60)
    assert "event Pulled for p lost: no server" in caplog.text


def test_what_happens_while_the_server_is_away_is_told_when_it_is_back(
    api: FakeApi, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    pauses: list[float] = []

    def wait(seconds: float) -> bool:
        pauses.append(seconds)
        api.down = len(pauses) < 4
        return False

    recorder = Recorder(api, "kubelet", "n1", clock, wait)
    recorder.event(POD, "Normal", "Pulled", "image")
    assert recorder.flush(60)
    api.down = True
    for message in ("image", "another image"):
        recorder.event(POD, "Normal", "Pulled", message)
    assert recorder.flush(60)
    assert pauses == [0.2, 0.4, 0.8, 1.6]
    assert [(event["message"], event["count"]) for event in found(api)] == [
        ("image", 2), ("another image", 1)
    ]  # fmt: skip
    assert caplog.text == ""


def test_who_stops_does_not_wait_for_a_server(
    api: FakeApi, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    api.down = True
    recorder = Recorder(api, "kubelet", "n1", clock, lambda seconds: True)
    recorder.event(POD, "Normal", "Pulled", "image")
    assert recorder.flush(60)
    assert "event Pulled for p lost" in caplog.text


def test_an_outage_does_not_fill_the_log(
    api: FakeApi, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    def lose(count: int) -> int:
        caplog.clear()
        api.down = True
        for number in range(count):
            recorder.event({**POD, "metadata": {"name": f"p{number}"}}, "Normal", "Pulled", "image")
        assert recorder.flush(60)
        api.down = False
        return len(caplog.records)

    assert lose(100) == 7
    assert "the 64th in a row" in caplog.text
    recorder.event(POD, "Normal", "Pulled", "image")
    assert recorder.flush(60)
    assert lose(1) == 1, "an outage later is told of again"


def test_what_waits_goes_together_and_is_told_as_often_as_it_happened(
    api: FakeApi, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    release, sent = threading.Event(), []
    together = api.together

    def send(asks: Sequence[Ask]) -> Sequence[Obj | errors.ApiError]:
        assert release.wait(30)
        sent.append(len(asks))
        return together(asks)

    api.together = send  # type: ignore[method-assign]
    recorder = Recorder(api, "kubelet", "n1", clock)
    recorder.event(POD, "Normal", "Pulled", "first")
    api.fail_next("create", errors.BadRequest("no"))
    for message in ("lost", "a", "b", "a", "b", "a"):
        recorder.event(POD, "Normal", "Pulled", message)
    release.set()
    assert recorder.flush(5)
    assert sum(sent) == 4
    told = {event["message"]: event["count"] for event in found(api)}
    assert sorted(told.values()) == [1, 2, 3]
    assert caplog.text.count("lost") == 1


def test_a_full_queue_drops_and_says_so(
    api: FakeApi, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    release = threading.Event()
    create = api.create
    api.create = lambda kind, obj, **_: release.wait(60) and create(kind, obj)  # type: ignore
    recorder = Recorder(api, "kubelet", "n1", clock)
    for number in range(events.QUEUE + 10):
        recorder.event(POD, "Normal", "Pulled", f"image {number}")
    release.set()
    assert recorder.flush(60)
    assert "events dropped" in caplog.text
