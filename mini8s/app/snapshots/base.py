"""What a snapshot tells of itself, and how one can fail."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

FORMAT = 1  # rises when an older mini8s could not restore it
SUFFIX = ".tar.gz"
SEALED_SUFFIX = ".tar.gz.sealed"
DATABASE = "db/state.db"
RESTORING = ".restoring"  # where one is unpacked that is to mend the folder
ON_DEMAND, SCHEDULED, UPGRADE = "on-demand", "scheduled", "upgrade"
_NAME = re.compile(r"(?P<why>[a-z0-9][a-z0-9-]*?)-(?P<node>[a-z0-9.-]+)-(?P<when>[0-9]{8}T[0-9]{6}Z)")
_WHEN = "%Y%m%dT%H%M%SZ"
_HASH = re.compile(r"[0-9a-f]{64}")


class SnapshotError(Exception):
    """One sentence for the operator."""


class NotTaken(SnapshotError):
    """No snapshot could be made; nothing of it was left behind."""


class BadSnapshot(SnapshotError):
    """The file can't be restored."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file of the server's folder."""

    name: str
    sha256: str
    size: int
    mode: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """The first thing in the file. `cluster` is the cluster's id, `revision` above all that were given."""

    mini8s: str
    schema: int
    taken: datetime
    node: str
    revision: int
    cluster: str
    members: tuple[Member, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "mini8s": self.mini8s,
            "schema": self.schema,
            "taken": self.taken.isoformat(timespec="seconds"),
            "node": self.node,
            "revision": self.revision,
            "cluster": self.cluster,
            "members": {
                one.name: {"sha256": one.sha256, "size": one.size, "mode": f"{one.mode:o}"}
                for one in self.members
            },
        }


def parse_manifest(said: Any, where: str) -> Manifest:
    """Raises BadSnapshot."""
    try:
        if said["format"] > FORMAT:
            raise BadSnapshot(
                f"{where} is of a newer format ({said['format']}, this mini8s knows up to {FORMAT}): "
                f"restore it with mini8s {said['mini8s']} or newer"
            )
        return Manifest(
            mini8s=str(said["mini8s"]),
            schema=int(said["schema"]),
            taken=datetime.fromisoformat(said["taken"]).astimezone(UTC),
            node=str(said["node"]),
            revision=int(said["revision"]),
            cluster=str(said["cluster"]),
            members=tuple(_member(name, one) for name, one in said["members"].items()),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadSnapshot(f"{where} is not a snapshot of mini8s") from error


def _member(name: str, said: Mapping[str, Any]) -> Member:
    """Raises ValueError for what could lead out of the folder."""
    parts = name.split("/")
    if not all(parts) or {".", ".."} & set(parts) or not _HASH.fullmatch(said["sha256"]):
        raise ValueError(name)
    return Member(name, said["sha256"], int(said["size"]), int(said["mode"], 8) & 0o777)


def file_name(why: str, node: str, when: datetime, *, sealed: bool) -> str:
    """Names sort by their time within a reason."""
    return f"{why}-{node}-{when.astimezone(UTC).strftime(_WHEN)}" + (SEALED_SUFFIX if sealed else SUFFIX)


@dataclass(frozen=True, slots=True)
class Named:
    """What a file's name says: why and when it was taken."""

    name: str
    why: str
    when: datetime


def parse_name(name: str) -> Named | None:
    """None for what is no snapshot of ours by its name."""
    stem = name.removesuffix(SEALED_SUFFIX).removesuffix(SUFFIX)
    found = _NAME.fullmatch(stem)
    if stem == name or not found:
        return None
    why = next((one for one in (ON_DEMAND, SCHEDULED, UPGRADE) if stem.startswith(f"{one}-")), found["why"])
    return Named(name, why, datetime.strptime(found["when"], _WHEN).replace(tzinfo=UTC))
