"""What volumes are made with, for tests: objects from a table, and the folder of a test for a host's disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fakes.api import FakeApi

from mini8s.agent.kubelet.downward import Placed
from mini8s.agent.kubelet.pod_folder import PodFolder
from mini8s.agent.kubelet.volumes import Setting
from mini8s.agent.kubelet.volumes.tokens import AccountTokens
from mini8s.objects.kinds import SERVICEACCOUNTS, Kind, Obj
from mini8s.util.clock import FakeClock


def pod(*volumes: Obj, **spec: Any) -> Obj:
    return {
        "metadata": {"namespace": "shop", "name": "web-0", "uid": "u", "labels": {"app": "web"}},
        "spec": {
            "containers": [{"name": "c", "resources": {"limits": {"memory": "64Mi"}}}],
            "nodeName": "n1",
            "volumes": list(volumes),
            **spec,
        },
    }


@dataclass
class Host:
    """A host that makes volumes below a folder. `objects` are found by kind and name."""

    folder: Path
    objects: dict[tuple[Kind, str], Obj] = field(default_factory=dict)
    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        self.api = FakeApi(now=self.clock.now)
        for name in ("default", "robot"):
            self.api.create(SERVICEACCOUNTS, {"metadata": {"namespace": "shop", "name": name}})
        self.tokens = AccountTokens(self.api, self.clock, random=lambda: 0.0)

    def setting(self, wanted: Obj) -> Setting:
        pods = PodFolder.of(self.folder, wanted["metadata"]["uid"])
        placed = Placed(wanted, "10.42.0.7", "10.99.0.11", {"cpu": "2", "memory": "1Gi"})
        return Setting(placed, pods, self._lookup, self.tokens, self._disk)

    def _lookup(self, kind: Kind, namespace: str, name: str) -> Obj | None:
        return self.objects.get((kind, name))

    def _disk(self, volume: Obj) -> Path:
        path = self.folder / "storage" / str(volume["metadata"]["name"])
        path.mkdir(parents=True, exist_ok=True)
        return path
