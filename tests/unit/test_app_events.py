"""Forgetting old events goes on when the disk refuses it once."""

from __future__ import annotations

import pytest
from fakes.cluster import Cluster
from fakes.store import FakeStore

from mini8s.app.api import forget_old_events
from mini8s.objects.kinds import EVENTS
from mini8s.store.base import Unavailable


def test_a_disk_that_refuses_is_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    store = FakeStore()
    cluster = Cluster(store)
    about = {"involvedObject": {"kind": "Pod", "namespace": "default", "name": "web"}}
    cluster.create(EVENTS, {"metadata": {"name": "old"}, "lastTimestamp": "2000-01-01T00:00:00Z"} | about)
    store.refuse = Unavailable("the disk is full")
    forget_old_events(cluster.machine)
    assert "old events stay for now: the store cannot write: the disk is full" in caplog.text
    store.refuse = None
    forget_old_events(cluster.machine)
    assert not cluster.exists(EVENTS, "old")
