"""Where a pod's files lie on its host: one folder a pod, which goes when the pod goes."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from mini8s.agent.kubelet import mounting


@dataclass(frozen=True, slots=True)
class PodFolder:
    path: Path

    @classmethod
    def of(cls, data_dir: Path, uid: str) -> PodFolder:
        return cls(data_dir / "agent" / "pods" / uid)

    @property
    def exists(self) -> bool:
        return self.path.exists()

    def volume(self, name: str) -> Path:
        return self.path / "volumes" / name

    def part_of_volume(self, container: str, place: int) -> Path:
        """Where the subPath of a container's mount is held fast."""
        return self.path / "volume-subpaths" / container / str(place)

    def etc(self, name: str) -> Path:
        return self.path / "etc" / name

    def last_words(self, container: str, attempt: int) -> Path:
        """The file mounted at a container's terminationMessagePath."""
        return self.path / "containers" / container / str(attempt)

    @property
    def marks(self) -> Path:
        return self.path / "life.json"

    def make(self) -> None:
        """Only root may look into the folder of all pods."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path.mkdir(exist_ok=True)

    def remove(self) -> None:
        """Never follows a link or a mount out of the folder."""
        mounting.unmount_below(self.path)
        shutil.rmtree(self.path)


def all_uids(data_dir: Path) -> list[str]:
    pods = data_dir / "agent" / "pods"
    return [entry.name for entry in pods.iterdir()] if pods.is_dir() else []
