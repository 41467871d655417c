"""What is found where."""

from __future__ import annotations

from fakes.http import FakeServer


def test_the_root_names_paths_that_are_there() -> None:
    server = FakeServer()
    paths = server.ask("GET", "/").json["paths"]
    assert {"/api/v1", "/apis/apps/v1", "/readyz/store", "/openapi/v3/apis/apps/v1", "/metrics"} <= set(paths)
    assert {server.ask("GET", path).code for path in paths} == {200}
