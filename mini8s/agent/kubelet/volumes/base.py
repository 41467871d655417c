"""What volumes are made with, and what is known of them once they are there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mini8s.agent.kubelet.downward import Placed
from mini8s.agent.kubelet.lookup import Lookup
from mini8s.agent.kubelet.pod_folder import PodFolder
from mini8s.objects.kinds import Obj


class MountFailed(Exception):
    """A volume isn't ready; the message is the FailedMount event's."""


class Tokens(Protocol):
    """Who gives pods the tokens that they call the API with."""

    def token(self, pod: Obj, wish: Obj) -> str:
        """The token that a `serviceAccountToken` source wishes for. Raises Missing."""

    def renew_in(self, uid: str) -> float | None:
        """Seconds until the first of a pod's tokens is to be renewed; None when it has none."""

    def forget(self, uid: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Setting:
    """What one pod's volumes are made with. `disk` gives the folder of a PersistentVolume that lies on this
    host, made if need be."""

    placed: Placed
    folder: PodFolder
    lookup: Lookup
    tokens: Tokens
    disk: Callable[[Obj], Path]

    @property
    def pod(self) -> Obj:
        return self.placed.pod

    @property
    def group(self) -> int | None:
        """The group that owns the pod's volumes."""
        group = (self.pod["spec"].get("securityContext") or {}).get("fsGroup")
        return None if group is None else int(group)


@dataclass(frozen=True, slots=True)
class Source:
    """A folder or file of the host that containers mount. `read_only`: so it is, whatever a mount says."""

    path: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Volumes:
    """`sources` by volume name; `stale` tells of volumes that go on showing old files."""

    sources: Mapping[str, Source] = field(default_factory=dict)
    stale: Sequence[str] = ()
