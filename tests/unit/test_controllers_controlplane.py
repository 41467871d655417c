"""The label of the server's own node, which it may not give itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from mini8s.client.cache import Cache
from mini8s.controllers.base import Context
from mini8s.controllers.kinds.controlplane import LABEL, ControlPlane
from mini8s.controllers.settings import ControllerSettings
from mini8s.objects.kinds import Obj


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
