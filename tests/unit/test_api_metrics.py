"""What /metrics says of requests: upstream's names and labels, by what a request was."""

from __future__ import annotations

import pytest
from fakes.http import FakeServer

from mini8s.api.answer import Pieces, begun
from mini8s.api.metrics import Metrics, Series
from mini8s.api.pump import Pump

POD = "/api/v1/namespaces/default/pods/p"
COMPONENT = 'component="apiserver"'


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


def lines(server: FakeServer, name: str) -> set[str]:
    text = server.ask("GET", "/metrics").body.decode()
    return {line for line in text.splitlines() if line.startswith(name)}


@pytest.mark.parametrize(
    ("line", "media", "labels"),
    [
        (
            "GET /api/v1/pods",
            "",
            'verb="LIST",group="",version="v1",resource="pods",subresource="",scope="cluster"',
        ),
        (
            "GET /api/v1/namespaces/default/pods",
            "",
            'verb="LIST",group="",version="v1",resource="pods",subresource="",scope="namespace"',
        ),
        (
            f"GET {POD}",
            "",
            'verb="GET",group="",version="v1",resource="pods",subresource="",scope="resource"',
        ),
        (
            "PATCH /apis/apps/v1/namespaces/default/deployments/d/status",
            "application/apply-patch+yaml",
            'verb="APPLY",group="apps",version="v1",resource="deployments",subresource="status",scope="resource"',
        ),
        (
            "POST /api/v1/namespaces/default/pods",
            "",
            'verb="POST",group="",version="v1",resource="pods",subresource="",scope="resource"',
        ),
        (
            f"GET {POD}/proxy/x",
            "",
            'verb="CONNECT",group="",version="v1",resource="pods",subresource="proxy",scope="resource"',
        ),
        (
            "GET /version",
            "",
            'verb="GET",group="",version="",resource="",subresource="",scope=""',
        ),
    ],
)
def test_requests(server: FakeServer, line: str, media: str, labels: str) -> None:
    method, path = line.split()
    code = server.ask(method, path, headers={"Content-Type": media}).code
    expected = f'apiserver_request_total{{{labels},{COMPONENT},code="{code}"}} 1'
    assert expected in lines(server, "apiserver_request_total")


def test_objects_are_counted(server: FakeServer) -> None:
    server.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "more"}})
    assert {
        'apiserver_storage_objects{resource="namespaces"} 2',
        'apiserver_storage_objects{resource="deployments.apps"} 0',
    } <= lines(server, "apiserver_storage_objects")


def test_what_is_under_way() -> None:
    metrics, watch = Metrics(Pump(), dict), Series("WATCH", "", "v1", "pods", "", "cluster")
    metrics.opened(watch, 1)
    metrics.inflight(reads=True, more=1)
    said = metrics.text().splitlines()
    assert f"apiserver_longrunning_requests{{{watch.labels}}} 1" in said
    assert 'apiserver_current_inflight_requests{request_kind="readOnly"} 1' in said
    metrics.opened(watch, -1)
    assert f"apiserver_longrunning_requests{{{watch.labels}}} 0" in metrics.text().splitlines()


@pytest.mark.parametrize("pieces", [0, 1, 3])
def test_a_stream_is_open_until_its_last_piece_or_its_clients_end(pieces: int) -> None:
    metrics, log = Metrics(Pump(), dict), Series("CONNECT", "", "v1", "pods", "log", "resource")
    closed = []

    def lines() -> Pieces:
        try:
            yield from (b"1", b"2")
        finally:
            closed.append(True)

    inner = lines()
    next(inner)
    stream = begun(metrics.counted(log, inner))
    assert f"apiserver_longrunning_requests{{{log.labels}}} 1" in metrics.text().splitlines()
    assert len([piece for piece, _ in zip(stream, range(pieces), strict=False)]) == min(pieces, 1)
    stream.close()
    assert f"apiserver_longrunning_requests{{{log.labels}}} 0" in metrics.text().splitlines()
    assert closed


def test_a_watch_has_no_duration() -> None:
    metrics = Metrics(Pump(), dict)
    metrics.observe(Series("WATCH"), 200, 60.0)
    metrics.observe(Series("GET"), 200, 0.002)
    found = [line for line in metrics.text().splitlines() if "_seconds_count" in line]
    assert found == [f"apiserver_request_duration_seconds_count{{{Series('GET').labels}}} 1"]
