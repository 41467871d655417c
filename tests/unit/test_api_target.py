from __future__ import annotations

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.exceptions import HTTPException

from mini8s.api import routes
from mini8s.api.target import Target, parse
from mini8s.objects.kinds import CONFIGMAPS, DEPLOYMENTS, KINDS, NAMESPACES, NODES, PODS

CASES = [
    ("/api/v1/pods", Target(PODS)),
    ("/api/v1/namespaces/a/pods", Target(PODS, "a")),
    ("/api/v1/namespaces/a/pods/x", Target(PODS, "a", "x")),
    ("/api/v1/namespaces/a/pods/x/log", Target(PODS, "a", "x", "log")),
    ("/api/v1/namespaces", Target(NAMESPACES)),
    ("/api/v1/namespaces/a", Target(NAMESPACES, "", "a")),
    ("/api/v1/namespaces/a/status", Target(NAMESPACES, "", "a", "status")),
    ("/api/v1/namespaces/a/finalize", Target(NAMESPACES, "", "a", "finalize")),
    ("/api/v1/nodes/n", Target(NODES, "", "n")),
    ("/apis/apps/v1/deployments", Target(DEPLOYMENTS)),
    ("/apis/apps/v1/namespaces/a/deployments/d/scale", Target(DEPLOYMENTS, "a", "d", "scale")),
    ("/api/v1/namespaces/namespaces/configmaps", Target(CONFIGMAPS, "namespaces")),
    ("/api/v1/watch/pods", Target(PODS, watching=True)),
    ("/api/v1/watch/namespaces/a/pods/x", Target(PODS, "a", "x", watching=True)),
    ("/apis/apps/v1/watch/deployments", Target(DEPLOYMENTS, watching=True)),
]
NOTHING = [
    "/",
    "/api",
    "/api/v1",
    "/apis/apps/v1",
    "/api/v1/unknown",
    "/api/v2/pods",
    "/api/v1/pods/x",  # an object of a namespaced kind needs its namespace
    "/api/v1/namespaces/a/nodes",
    "/api/v1/namespaces//pods",
    "/api/v1/namespaces/a/pods/",
    "/api/v1/namespaces/a/pods/x/nonsense",
    "/api/v1/namespaces/a/pods/x/log/more",
    "/apis/apps/v1/namespaces/a/status",
    "/api/v1/watch",
    "/api/v1/watch/namespaces/a/pods/x/log",
]


@pytest.mark.parametrize(("path", "target"), CASES)
def test_path_becomes_target(path: str, target: Target) -> None:
    assert parse(path) == target


@pytest.mark.parametrize("path", NOTHING)
def test_other_paths_are_no_target(path: str) -> None:
    assert parse(path) is None


def test_every_kind_is_found_at_its_own_path() -> None:
    for kind in KINDS:
        namespace = "a" if kind.namespaced else ""
        for subresource in ("", *kind.subresources):
            assert parse(kind.path("a", "x", subresource)) == Target(kind, namespace, "x", subresource)


SEGMENTS = st.sampled_from(
    ["api", "apis", "v1", "apps", "namespaces", "pods", "nodes", "deployments", "status", "log", "scale", "a"]
)


@given(st.lists(SEGMENTS, min_size=2, max_size=7).map(lambda parts: "/" + "/".join(parts)))
def test_both_ways_see_the_same_resources(path: str) -> None:
    """The short way and Flask's map must never disagree about what is a resource."""
    assert (parse(path) is not None) == _flask_knows(path)


def _map() -> Flask:
    flask = Flask("test", static_folder=None)
    for kind in KINDS:
        for rule in routes.rules(kind):
            flask.add_url_rule(rule, rule, lambda: "", methods=["GET"])
    return flask


MAP = _map().url_map.bind("localhost")


def _flask_knows(path: str) -> bool:
    try:
        MAP.match(path, "GET")
    except HTTPException:
        return False
    return True
