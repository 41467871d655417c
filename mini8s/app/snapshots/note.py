"""What became of the last snapshot, and how the server that runs takes them: told through two small files,
since a snapshot is made by whatever process was asked for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from mini8s.app.layout import ServerFiles, write_private
from mini8s.config import VERSION, ServerSettings, known

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Last:
    """The last try (seconds since 1970), and the last that went well. `error` is empty when that is the
    same."""

    tried: float = 0.0
    taken: float = 0.0
    size: int = 0
    name: str = ""
    error: str = ""

    @property
    def tried_at(self) -> datetime | None:
        return datetime.fromtimestamp(self.tried, UTC) if self.tried else None


@dataclass(frozen=True, slots=True)
class Practice:
    """The settings that `mini8s snapshot` goes by when it is told nothing else."""

    mini8s: str = ""
    node: str = ""
    folder: str = ""
    schedule: str = ""
    retention: int = 0
    max_age: int = 0
    command: str = ""
    encrypt_with: str = ""

    @classmethod
    def of(cls, settings: ServerSettings, files: ServerFiles) -> Practice:
        return cls(
            mini8s=VERSION,
            node=settings.node_name,
            folder=settings.snapshot_dir or str(files.snapshots),
            schedule=settings.snapshot_schedule,
            retention=settings.snapshot_retention,
            max_age=settings.snapshot_max_age,
            command=settings.snapshot_command,
            encrypt_with=settings.snapshot_encrypt_with,
        )


def last(files: ServerFiles) -> Last:
    return _read(files.last_snapshot, Last)


def practice(files: ServerFiles) -> Practice:
    return _read(files.snapshot_practice, Practice)


def write_last(files: ServerFiles, said: Last) -> None:
    write_private(files.last_snapshot, json.dumps(asdict(said)).encode())


def write_practice(files: ServerFiles, said: Practice) -> None:
    write_private(files.snapshot_practice, json.dumps(asdict(said)).encode())


def figures(files: ServerFiles) -> dict[str, float]:
    """For /metrics."""
    said = last(files)
    return {
        "snapshot_taken_seconds": said.taken,
        "snapshot_bytes": said.size,
        "snapshot_failed": float(bool(said.error)),
    }


def _read(path: Path, cls: Callable[..., T]) -> T:
    """What is missing or of another release counts as its default."""
    try:
        return known(cls, json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError, AttributeError):
        return cls()
