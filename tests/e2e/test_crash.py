"""kill -9 of the server amid writes and watches: what was acknowledged stays, no change is missed."""

from __future__ import annotations

import json
import threading
import time
from http.client import HTTPException
from typing import Any

from hosts import Hosts
from hosts.cluster import MINI8S, Cluster
from hosts.door import Door

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"


class Writer(threading.Thread):
    """Creates ConfigMaps one after another and remembers which were acknowledged."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__()
        self._socket = cluster.hosts[1].data / "server" / "api.sock"
        self.acknowledged: list[str] = []
        self.over = threading.Event()

    def run(self) -> None:
        number = 0
        while not self.over.is_set():
            number += 1
            if self._create(f"crash-{number}"):
                self.acknowledged.append(f"crash-{number}")
            else:
                time.sleep(0.01)

    def _create(self, name: str) -> bool:
        door = Door(self._socket, timeout=5)
        try:
            body = json.dumps({"metadata": {"name": name, "labels": {"by": "crash"}}})
            door.request("POST", CONFIGMAPS, body, {"Content-Type": "application/json"})
            return door.getresponse().status == 201
        except (OSError, HTTPException):
            return False  # not acknowledged: it may be there or not
        finally:
            door.close()


class Watcher(threading.Thread):
    """Watches from the last revision it saw, again after each break."""

    def __init__(self, cluster: Cluster, revision: str) -> None:
        super().__init__()
        self._socket = cluster.hosts[1].data / "server" / "api.sock"
        self._revision = revision
        self.added: list[str] = []
        self.errors: list[str] = []
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.is_set():
            try:
                self._follow()
            except (OSError, HTTPException, ValueError):
                time.sleep(0.01)  # the server was killed: a connection refused, or half a line

    def _follow(self) -> None:
        door = Door(self._socket, timeout=2)
        try:
            query = f"watch=1&labelSelector=by%3Dcrash&timeoutSeconds=1&resourceVersion={self._revision}"
            door.request("GET", f"{CONFIGMAPS}?{query}")
            for line in door.getresponse():
                self._take(json.loads(line))
        finally:
            door.close()

    def _take(self, event: dict[str, Any]) -> None:
        metadata = event["object"]["metadata"]
        if event["type"] == "ADDED":
            self.added.append(metadata["name"])
            self._revision = metadata["resourceVersion"]
        else:
            self.errors.append(json.dumps(event))


def test_what_was_acknowledged_survives_and_watches_go_on(hosts: Hosts) -> None:
    with Cluster(hosts.up(1)) as cluster:
        cluster.server(1)
        cluster.wait_ready("h1")
        watcher = Watcher(cluster, cluster.get("configmaps")["metadata"]["resourceVersion"])
        writer = Writer(cluster)
        for thread in (watcher, writer):
            thread.start()
        try:
            for _ in range(4):
                enough = len(writer.acknowledged) + 50
                cluster.wait_for("writes", lambda enough=enough: len(writer.acknowledged) > enough)  # type: ignore[misc]
                cluster.programs[1].kill()
                cluster.server(1)
                cluster.wait_for("the API", lambda: cluster.api("/readyz") == "ok", pause=0.02)
            writer.over.set()
            writer.join()
            listed = json.loads(cluster.api(f"{CONFIGMAPS}?labelSelector=by%3Dcrash"))["items"]
            stored = [item["metadata"]["name"] for item in listed]
            cluster.wait_for("the watch", lambda: watcher.errors or set(stored) <= set(watcher.added))
        finally:
            for thread in (watcher, writer):
                thread.over.set()
                thread.join()
        assert set(writer.acknowledged) <= set(stored)
        assert watcher.errors == []
        assert sorted(watcher.added) == sorted(stored)


def test_a_second_server_on_the_same_folder_is_refused(hosts: Hosts) -> None:
    with Cluster(hosts.up(1)) as cluster:
        cluster.server(1)
        cluster.wait_ready("h1")
        second = cluster.hosts[1].call(MINI8S, "server", timeout=120)
        assert second.returncode == 1
        assert "another mini8s uses the data folder" in second.stderr
