"""Tests of one file that begin together: what each asks for is made, in its own namespace, before the first
of them runs. So the hosts start all their pods at once, and each test finds its own up.

    @begins_with(deployment("web"))
    def test_it_rolls(here: Space) -> None: ...
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import pytest
from hosts.cluster import Cluster
from space import Obj, Space, make_namespace, name_of

Test = TypeVar("Test", bound=Callable[..., None])
_ASKED = "begins_with"
_FRESH = pytest.StashKey[bool]()


def begins_with(*objects: Obj) -> Callable[[Test], Test]:
    def asked(test: Test) -> Test:
        setattr(test, _ASKED, objects)
        return test

    return asked


def begin(cluster: Cluster, request: pytest.FixtureRequest) -> None:
    """Make the namespaces, and what is in them, of all tests of a file that are to run."""
    tests = [
        test
        for test in request.session.items
        if isinstance(test, pytest.Function) and test.path == request.path
    ]
    namespaces = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name_of(test)}} for test in tests
    ]
    _apply(cluster, [*namespaces, *(obj for test in tests for obj in _asked(test))])
    for test in tests:
        test.stash[_FRESH] = True


@contextmanager
def begun(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Space]:
    """A test's namespace, as it was begun, or made anew when the test is tried once more."""
    test, name = request.node, name_of(request.node)
    if not test.stash[_FRESH]:
        make_namespace(cluster, name)
        _apply(cluster, _asked(test))
    test.stash[_FRESH] = False
    try:
        yield Space(cluster, name)
    finally:
        cluster.kubectl("delete", "namespace", name, "--wait=false")


def _asked(test: pytest.Function) -> list[Obj]:
    """What a test asks for, in its namespace."""
    namespace = {"namespace": name_of(test)}
    return [obj | {"metadata": obj["metadata"] | namespace} for obj in getattr(test.function, _ASKED, ())]


def _apply(cluster: Cluster, objects: Sequence[Obj]) -> None:
    if objects:
        whole = {"apiVersion": "v1", "kind": "List", "items": objects}
        cluster.kubectl("apply", "--filename=-", stdin=json.dumps(whole))
