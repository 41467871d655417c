from __future__ import annotations

import json

import pytest

from mini8s.api import pump as pumps
from mini8s.api.encodings import PlainEncoding
from mini8s.api.pump import Feed, Pump, Schedule, chunk
from mini8s.registry.base import WatchEvent
from tests.fakes.connection import FakeStream

FOREVER = Schedule(1e6)


class Counting(PlainEncoding):
    """Counts how often it was asked."""

    made: list[str] = []  # noqa: RUF012

    def event(self, type: str, value: bytes, *, first: bool) -> bytes:
        self.made.append(type)
        return super().event(type, value, first=first)


def event(revision: int, size: int = 2) -> WatchEvent:
    return WatchEvent("MODIFIED", revision, b'{"n":%d,"s":"%s"}' % (revision, b"x" * size))


def opened(pump: Pump, stream: FakeStream) -> Feed:
    """A feed that runs on a stream, as if its greenlet slept."""
    feed = pump.open(PlainEncoding(), "pods")
    feed.attach(stream)
    return feed


def lines(stream: FakeStream) -> list[dict[str, object]]:
    """The events of a chunked answer."""
    head, _, rest = stream.written.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK")
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        body, rest = body + rest[:length], rest[length + 2 :]
    return [json.loads(line) for line in body.splitlines()]


def test_headers_leave_before_any_event() -> None:
    stream = FakeStream()
    opened(Pump(), stream)
    assert stream.written.endswith(b"\r\n\r\n")


def test_initial_state_then_changes_in_order() -> None:
    pump, stream = Pump(), FakeStream()
    feed = pump.open(PlainEncoding(), "pods")
    feed.deliver([WatchEvent("ADDED", 5, b'{"n":1}'), WatchEvent("ADDED", 5, b'{"n":2}')])
    stream.on_wait = lambda: feed.deliver([event(6), event(7)])
    feed.run(stream, FOREVER)
    assert [line["type"] for line in lines(stream)] == ["ADDED", "ADDED", "MODIFIED", "MODIFIED"]


def test_an_event_is_framed_once_for_all() -> None:
    Counting.made.clear()
    pump = Pump()
    streams = [FakeStream() for _ in range(3)]
    change = event(9)
    for stream in streams:
        feed = pump.open(Counting(key="counting"), "pods")
        feed.deliver([event(1)])  # each has its own first event
        feed.attach(stream)
        feed.deliver([change])
    assert Counting.made == ["MODIFIED"] * 3 + ["MODIFIED"]
    assert len({stream.written for stream in streams}) == 1


def test_another_value_at_the_same_revision_is_not_mixed_up() -> None:
    frames = pumps.Frames()
    one, other = WatchEvent("ADDED", 5, b'{"n":1}'), WatchEvent("ADDED", 5, b'{"n":2}')
    encoding = PlainEncoding()
    assert frames.line(encoding, one) != frames.line(encoding, other)


@pytest.mark.parametrize("room", [0, 1, 7, 100, 150, 151])
def test_a_full_socket_gets_the_rest_later_unchanged(room: int) -> None:
    stream = FakeStream(room)
    feed = opened(Pump(), stream)
    for revision in range(1, 20):
        feed.deliver([event(revision)])
    while b'"n":19' not in stream.written:
        stream.give_room(room or 3)
    stream.give_room(None)
    assert [line["object"]["n"] for line in lines(stream)] == list(range(1, 20))  # type: ignore[index]


def test_who_falls_behind_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pumps, "MAX_BACKLOG", 10_000)
    stream = FakeStream(1000)
    feed = opened(Pump(), stream)
    for revision in range(10):
        feed.deliver([event(revision, 500)])
    assert not stream.closed
    for revision in range(10, 30):
        feed.deliver([event(revision, 500)])
    assert stream.closed
    assert feed.cut_off


def test_a_large_initial_state_is_no_reason_to_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pumps, "MAX_BACKLOG", 1_000)
    pump, stream = Pump(), FakeStream(100, hold=1)
    feed = pump.open(PlainEncoding(), "pods")
    feed.deliver([event(revision, 500) for revision in range(20)])
    seen: list[bool] = []

    def while_waiting() -> None:
        feed.deliver([event(21)])
        seen.append(stream.closed)
        stream.give_room(None)

    stream.on_wait = while_waiting
    feed.run(stream, FOREVER)
    assert seen[0] is False


def test_a_client_that_hangs_up_ends_the_watch() -> None:
    stream = FakeStream()
    feed = opened(Pump(), stream)
    stream.hang_up()
    assert stream.closed
    feed.deliver([event(1)])  # what comes later is dropped
    assert b"MODIFIED" not in stream.written


def test_time_is_over() -> None:
    stream = FakeStream(hold=1)
    Pump().open(PlainEncoding(), "pods").run(stream, Schedule(0.0))
    assert stream.written.endswith(b"0\r\n\r\n")
    assert stream.closed


def test_bookmarks_while_nothing_happens() -> None:
    stream = FakeStream(hold=2)
    feed = Pump().open(PlainEncoding(), "pods")
    feed.run(stream, Schedule(1e6, lambda: ("BOOKMARK", b'{"n":0}')))
    assert [line["type"] for line in lines(stream)] == ["BOOKMARK", "BOOKMARK"]
    assert stream.waits[0] == pumps.BOOKMARK_SECONDS


def test_closing_the_pump_ends_all_watches() -> None:
    pump, streams = Pump(), [FakeStream(hold=3) for _ in range(2)]
    for stream in streams:
        stream.on_wait = pump.close
        pump.run(pump.open(PlainEncoding(), "pods"), stream, FOREVER)
    seen = [stream.written.count(b"0\r\n\r\n") for stream in streams]
    assert seen == [1, 1]


class Broken(PlainEncoding):
    def event(self, type: str, value: bytes, *, first: bool) -> bytes:
        raise KeyError("spec")


def test_an_event_that_cannot_be_shown_ends_only_its_own_watch(caplog: pytest.LogCaptureFixture) -> None:
    for attached_first in (True, False):
        stream, feed = FakeStream(), Pump().open(Broken(key="broken"), "pods")
        if attached_first:
            feed.attach(stream)
        feed.deliver([event(1)])
        if not attached_first:
            feed.attach(stream)
        assert stream.closed
    assert "a watch of pods ended" in caplog.text


def test_nothing_to_say_is_no_chunk() -> None:
    """An empty chunk would tell the client that the watch is over."""
    assert chunk(b"") == b""
    assert chunk(b"abc") == b"3\r\nabc\r\n"
