"""A data folder from a snapshot, on the host it was taken on or on another.

The restored store goes on far above every revision that the lost one can have given after the snapshot, and
knows nothing of its past: whoever watches from a revision of the lost cluster is told so and lists again,
and no cache takes an old object for a newer one (`etcdutl snapshot restore --bump-revision --mark-compacted`
is the model). That holds for a second restore of the same snapshot too, as the step grows with the time
since it was taken, faster than a store can write.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mini8s.app.layout import AgentFiles, ServerFiles
from mini8s.app.snapshots import archive
from mini8s.app.snapshots.base import DATABASE, BadSnapshot, Manifest, SnapshotError
from mini8s.store.base import StoreError
from mini8s.store.sqlite import offline
from mini8s.util.durable import sync_folder
from mini8s.wire import pem

STEP = 1_000_000_000  # revisions; what etcd's documentation tells Kubernetes' operators to skip
STEP_A_SECOND = 20_000  # more than a store writes in one


@dataclass(frozen=True, slots=True)
class Restored:
    manifest: Manifest
    revision: int
    set_aside: Path | None


def restore(files: ServerFiles, agent: AgentFiles, source: Path, secret: bytes, now: datetime) -> Restored:
    """Make the server's folder what the snapshot has; what is there is set aside whole. The caller holds the
    data folder's lock. Raises BadSnapshot, SnapshotError."""
    draft = files.root.with_name("server.restoring")
    try:
        _remove(draft)
        draft.mkdir(parents=True, mode=0o700)
        manifest = unpack(source, draft, secret)
        _refuse_foreign(files, agent, draft, manifest, source)
        revision = go_on(draft / DATABASE, manifest, now)
        aside = _swap(files.root, draft, now)
    except OSError as error:
        raise SnapshotError(
            f"nothing was restored: {error.filename or draft}: {error.strerror}; all is as it was"
        ) from error
    finally:
        _remove(draft)
    return Restored(manifest, revision, aside)


def unpack(source: Path, folder: Path, secret: bytes) -> Manifest:
    """The whole snapshot, checked, in a folder. Raises BadSnapshot, OSError."""
    manifest = archive.extract(source, folder, secret)
    if manifest.schema > offline.SCHEMA:
        raise BadSnapshot(
            f"{source} was taken by a newer mini8s ({manifest.mini8s}, schema {manifest.schema}; this one "
            f"knows up to {offline.SCHEMA}): restore it with that version"
        )
    if DATABASE not in {one.name for one in manifest.members}:
        raise BadSnapshot(f"{source} has no database in it")
    try:
        offline.check(str(folder / DATABASE))
    except StoreError as error:
        raise BadSnapshot(f"the database in {source} can't be used: {error}") from error
    return manifest


def go_on(database: Path, manifest: Manifest, now: datetime) -> int:
    """Let the database begin above what may have been given since. Raises SnapshotError."""
    elapsed = max(0, int((now - manifest.taken).total_seconds()))
    revision = manifest.revision + STEP + STEP_A_SECOND * elapsed
    try:
        offline.begin_above(str(database), revision)
    except StoreError as error:
        raise SnapshotError(f"nothing was restored: {error}") from error
    return revision


def _refuse_foreign(
    files: ServerFiles, agent: AgentFiles, draft: Path, manifest: Manifest, source: Path
) -> None:
    """A folder of another cluster is not replaced by mistake, and this host's agent must believe the server
    that comes."""
    here = files.cluster_id.read_text().strip() if files.cluster_id.exists() else ""
    if here and manifest.cluster and here != manifest.cluster:
        raise BadSnapshot(
            f"{source} is a snapshot of another cluster than the one in {files.root}: move that folder away "
            "first, or restore into another --data-dir"
        )
    ca = draft / files.ca.relative_to(files.root)
    known, theirs = (
        set(pem.certificates(path.read_bytes())) if path.exists() else set() for path in (agent.ca, ca)
    )
    if known and theirs and not here and not known & theirs:
        raise BadSnapshot(
            f"this host is a node of another cluster than {source} is of: remove {agent.root} first"
        )


def _swap(root: Path, draft: Path, now: datetime) -> Path | None:
    """Put the new folder in the place of the old one; snapshots stay where they are looked for."""
    aside = None
    if root.exists() and {one.name for one in root.iterdir()} <= {"lock"}:
        shutil.rmtree(root)
    elif root.exists():
        if (root / "snapshots").exists():
            _link_tree(root / "snapshots", draft / "snapshots")
        aside = root.with_name(f"server.before-{now:%Y%m%dT%H%M%SZ}")
        root.rename(aside)
    try:
        draft.rename(root)
    except OSError:
        if aside:
            aside.rename(root)
        raise
    sync_folder(root.parent)
    return aside


def _link_tree(source: Path, target: Path) -> None:
    """The same files in two folders: no space is needed, and neither folder misses one if this fails."""
    shutil.copytree(source, target, copy_function=os.link, ignore=shutil.ignore_patterns(".*"))


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
