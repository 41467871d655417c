"""The scheduler as it runs, against the real server: who minds others goes when and where they let it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from mini8s.client.informer import Informers
from mini8s.client.rest import Endpoint, Rest
from mini8s.objects import conditions, pods
from mini8s.objects.kinds import PODS, Obj
from mini8s.util.workers import Stop
from tests.integration import hollow

SECONDS = 90.0
TERM = {"labelSelector": {"matchLabels": {"app": "db"}}, "topologyKey": "kubernetes.io/hostname"}
SPEC: Obj = {
    "terminationGracePeriodSeconds": 0,
    "containers": [{"name": "c", "image": "i"}],
    "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [TERM]}},
}


def test_the_third_waits_until_one_of_two_goes(tmp_path: Path) -> None:
    with hollow.running(tmp_path) as api:
        rest, stop, news = (
            Rest(Endpoint(unix_socket=api.socket_path), user_agent="test"),
            Stop(),
            threading.Condition(),
        )
        informers = Informers(rest, stop)
        seen = informers.of(PODS)

        def changed(old: Obj | None, new: Obj | None) -> None:
            with news:
                news.notify_all()

        def wait(true: Callable[[], bool]) -> None:
            with news:
                assert news.wait_for(true, SECONDS), seen.cache.list()

        def pod(name: str) -> Obj:
            return seen.cache.get("default", name) or {}

        seen.subscribe(changed)
        informers.start()
        try:
            for name in ("p1", "p2"):
                rest.create(
                    PODS,
                    {
                        "metadata": {"namespace": "default", "name": name, "labels": {"app": "db"}},
                        "spec": SPEC,
                    },
                )
            wait(lambda: {pods.node_name(pod(name)) for name in ("p1", "p2")} == set(hollow.NAMES))
            rest.create(
                PODS,
                {"metadata": {"namespace": "default", "name": "p3", "labels": {"app": "db"}}, "spec": SPEC},
            )
            wait(lambda: conditions.get(pod("p3"), "PodScheduled") is not None)
            said = (conditions.get(pod("p3"), "PodScheduled") or {})["message"]
            assert said == (
                "0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules. "
                "preemption: 0/2 nodes are available: 2 No preemption victims found for incoming pod."
            )
            freed = pods.node_name(pod("p1"))
            rest.delete(PODS, "default", "p1")
            wait(lambda: pods.node_name(pod("p3")) == freed)
        finally:
            stop.set()
            assert informers.close(SECONDS)
            rest.close()
