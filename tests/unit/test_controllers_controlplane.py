"""The label of the server's own node, which it may not give itself, and its address, which is the API's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from mini8s.app.first_objects import kubernetes_endpoints, kubernetes_slice
from mini8s.client.cache import Cache
from mini8s.controllers.base import Context
from mini8s.controllers.kinds.api_address import ApiAddress
from mini8s.controllers.kinds.controlplane import LABEL, ControlPlane
from mini8s.controllers.settings import ControllerSettings
from mini8s.objects.kinds import ENDPOINTS, ENDPOINTSLICES, NODES, Obj


def planned(node: Obj, own: str) -> Any:
    cache = Cache()
    cache.put(node)
    context = SimpleNamespace(cache=lambda _kind: cache, settings=ControllerSettings(server_node=own))
    return ControlPlane(cast("Context", context)).plan("n1").actions


@pytest.mark.parametrize(
    ("labels", "own", "acts"),
    [({}, "n1", True), ({LABEL: ""}, "n1", False), ({}, "n2", False), ({}, "", False)],
)
def test_only_the_servers_own_node_gets_it(labels: Obj, own: str, acts: bool) -> None:
    node = {"metadata": {"name": "n1", "uid": "u", "resourceVersion": "1", "labels": labels}}
    actions = planned(node, own)
    assert [action.patch for action in actions] == [{"metadata": {"labels": {LABEL: "true"}}}] * acts


@pytest.mark.parametrize(
    ("own", "address", "acts"), [("n1", "10.0.0.2", 2), ("n1", "10.0.0.1", 0), ("", "10.0.0.2", 0)]
)
def test_the_api_follows_its_node(own: str, address: str, acts: int) -> None:
    caches = {kind: Cache() for kind in (NODES, ENDPOINTS, ENDPOINTSLICES)}
    status = {
        "addresses": [{"type": "Hostname", "address": "n1"}, {"type": "InternalIP", "address": address}]
    }
    caches[NODES].put({"metadata": {"name": "n1"}, "status": status})
    for kind, obj in (
        (ENDPOINTS, kubernetes_endpoints("10.0.0.1", 6443)),
        (ENDPOINTSLICES, kubernetes_slice("10.0.0.1", 6443)),
    ):
        caches[kind].put(obj | {"metadata": obj["metadata"] | {"uid": "u"}})
    context = SimpleNamespace(cache=caches.__getitem__, settings=ControllerSettings(api_node=own))
    actions: Any = ApiAddress(cast("Context", context)).plan("n1").actions
    assert len(actions) == acts
    if acts:
        (subset,), (endpoint,) = actions[0].patch["subsets"], actions[1].patch["endpoints"]
        assert (subset["addresses"], subset["ports"][0]["port"]) == ([{"ip": address}], 6443)
        assert endpoint == {"addresses": [address], "conditions": {"ready": True}}
