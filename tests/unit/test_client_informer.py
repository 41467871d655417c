"""Informers: list, watch, resume, list again; handlers never miss a change."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from mini8s.client.informer import Informer, Informers
from mini8s.objects import errors, meta
from mini8s.objects.kinds import CONFIGMAPS, Obj
from mini8s.util.workers import Stop
from tests.fakes.api import FakeApi


class Heard:
    """A handler that keeps what it was told and lets a test wait for it."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, str, str]] = []
        self._news = threading.Condition()

    def __call__(self, old: Obj | None, new: Obj | None) -> None:
        name = meta.name(new or old or {})
        with self._news:
            self.changes.append((name, value(old), value(new)))
            self._news.notify_all()

    def wait_for(self, *changes: tuple[str, str, str]) -> None:
        with self._news:
            assert self._news.wait_for(lambda: self.changes == list(changes), 5), self.changes


def value(obj: Obj | None) -> str:
    return obj["data"]["v"] if obj else ""


def config(name: str, v: str) -> Obj:
    return {"metadata": {"namespace": "a", "name": name}, "data": {"v": v}}


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def informers(api: FakeApi) -> Iterator[Informers]:
    stop = Stop()
    informers = Informers(api, stop)
    yield informers
    stop.set()
    assert informers.close(5)


def follow(informers: Informers) -> tuple[Informer, Heard]:
    informer, heard = informers.of(CONFIGMAPS), Heard()
    informer.subscribe(heard)
    informers.start()
    assert informers.wait_synced(5)
    return informer, heard


def test_tells_what_is_there_and_what_comes(api: FakeApi, informers: Informers) -> None:
    api.create(CONFIGMAPS, config("x", "1"))
    informer, heard = follow(informers)
    api.patch(CONFIGMAPS, "a", "x", {"data": {"v": "2"}})
    api.create(CONFIGMAPS, config("y", "1"))
    api.delete(CONFIGMAPS, "a", "x")
    heard.wait_for(("x", "", "1"), ("x", "1", "2"), ("y", "", "1"), ("x", "2", ""))
    assert [meta.name(obj) for obj in informer.cache.list()] == ["y"]


def test_one_selection_is_one_informer(informers: Informers) -> None:
    assert informers.of(CONFIGMAPS) is informers.of(CONFIGMAPS)
    assert informers.of(CONFIGMAPS) is not informers.of(CONFIGMAPS, namespace="a")


def test_a_handler_that_joins_late_hears_what_is_there(api: FakeApi, informers: Informers) -> None:
    api.create(CONFIGMAPS, config("x", "1"))
    informer, _ = follow(informers)
    late = Heard()
    informer.subscribe(late)
    assert late.changes == [("x", "", "1")]


def test_a_failing_handler_does_not_take_changes_from_others(
    api: FakeApi, informers: Informers, caplog: pytest.LogCaptureFixture
) -> None:
    informers.of(CONFIGMAPS).subscribe(lambda old, new: 1 / 0)  # type: ignore[arg-type, return-value]
    _, heard = follow(informers)
    api.create(CONFIGMAPS, config("x", "1"))
    heard.wait_for(("x", "", "1"))
    assert "ZeroDivisionError" in caplog.text


def test_a_cut_watch_resumes_without_a_gap_and_without_a_list(api: FakeApi) -> None:
    informer, heard = stepped(api)
    api.create(CONFIGMAPS, config("x", "1"))
    api.cut_watches()
    api.create(CONFIGMAPS, config("y", "1"))
    api.fail_next("list", AssertionError("listed again"))  # type: ignore[arg-type]
    follow_once(api, informer)
    follow_once(api, informer)
    heard.wait_for(("x", "", "1"), ("y", "", "1"))


def test_a_forgotten_revision_means_a_new_list_and_the_difference(api: FakeApi) -> None:
    for name in ("gone", "changed", "same"):
        api.create(CONFIGMAPS, config(name, "1"))
    informer, heard = stepped(api)
    heard.changes.clear()
    api.delete(CONFIGMAPS, "a", "gone")
    api.patch(CONFIGMAPS, "a", "changed", {"data": {"v": "2"}})
    api.create(CONFIGMAPS, config("new", "1"))
    api.compact()
    assert informer.step() > 0
    assert informer.step() == 0
    assert heard.changes == [("gone", "1", ""), ("changed", "1", "2"), ("new", "", "1")]


def test_an_absent_server_is_asked_with_growing_pauses(
    api: FakeApi, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    informer = Informer(api, CONFIGMAPS, Stop(), random=lambda: 0.5)
    api.down = True
    assert [round(informer.step(), 1) for _ in range(7)] == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert len([line for line in caplog.messages if "cannot reach" in line]) == 1
    api.down = False
    assert informer.step() == 0
    api.fail_next("watch", errors.ServiceUnavailable("no"))
    assert round(informer.step(), 1) == 0.2


def test_watches_that_end_at_once_are_not_asked_for_in_a_tight_loop(api: FakeApi) -> None:
    stop = Stop()
    informer = Informer(api, CONFIGMAPS, stop)
    informer.step()
    stop.set()  # closes each watch as soon as it is open
    assert informer.step() > 0


def stepped(api: FakeApi) -> tuple[Informer, Heard]:
    """An informer that has listed, driven by hand."""
    informer, heard = Informer(api, CONFIGMAPS, Stop()), Heard()
    informer.subscribe(heard)
    informer.step()
    return informer, heard


def follow_once(api: FakeApi, informer: Informer) -> None:
    """One watch that is cut as soon as what has happened was read."""
    watch = api.watch

    def cut(*args: object, **keywords: object) -> object:
        opened = watch(*args, **keywords)  # type: ignore[arg-type]
        opened.put("cut")
        return opened

    api.watch = cut  # type: ignore[method-assign, assignment]
    try:
        informer.step()
    finally:
        api.watch = watch  # type: ignore[method-assign]


def test_the_version_is_that_of_the_newest_change_when_a_handler_is_told(
    api: FakeApi, informers: Informers
) -> None:
    versions: list[tuple[int, int]] = []
    informer = informers.of(CONFIGMAPS)
    informer.subscribe(lambda old, new: versions.append((informer.version, meta.revision(new or old or {}))))
    api.create(CONFIGMAPS, config("x", "1"))
    _, heard = follow(informers)
    api.create(CONFIGMAPS, config("y", "1"))
    heard.wait_for(("x", "", "1"), ("y", "", "1"))
    assert all(seen >= changed for seen, changed in versions)


def test_only_a_part_of_each_object_may_be_kept(api: FakeApi) -> None:
    informer = Informer(api, CONFIGMAPS, Stop(), keep=lambda obj: {"metadata": obj["metadata"]})
    api.create(CONFIGMAPS, config("x", "1"))
    informer.step()
    assert [list(obj) for obj in informer.cache.list()] == [["metadata"]]


def test_an_informer_that_keeps_all_serves_those_that_need_less(informers: Informers) -> None:
    def less(obj: Obj) -> Obj:
        return {"metadata": obj["metadata"]}

    assert informers.of(CONFIGMAPS) is informers.of(CONFIGMAPS, keep=less)
    assert informers.of(CONFIGMAPS, namespace="a", keep=less) is not informers.of(CONFIGMAPS, namespace="a")
