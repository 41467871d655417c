"""What a server does for its data before it touches them: a snapshot before a newer release changes
anything, and what is to be done when the database turns out to be damaged."""

from __future__ import annotations

import logging
import uuid
from datetime import datetime

from mini8s.app.host import HostError
from mini8s.app.layout import ServerFiles, server_files, write_private
from mini8s.app.snapshots import note, repair, run
from mini8s.app.snapshots.base import UPGRADE, SnapshotError
from mini8s.config import VERSION, ServerSettings
from mini8s.store.base import Damaged, StoreError
from mini8s.store.sqlite import offline

log = logging.getLogger(__name__)


def prepare(settings: ServerSettings, now: datetime) -> None:
    """Before the first child starts, under the data folder's lock. Raises HostError, OSError."""
    files = server_files(settings.data_dir)
    before, practice = note.practice(files), note.Practice.of(settings, files)
    if files.database.exists():
        _keep_what_was(files, before.mini8s, practice, now)
    note.write_practice(files, practice)  # says which mini8s was here: not before that is kept
    if not files.cluster_id.exists():
        write_private(files.cluster_id, f"{uuid.uuid4()}\n".encode())
    repaired(settings, files, None, now)


def _keep_what_was(files: ServerFiles, version: str, practice: note.Practice, now: datetime) -> None:
    """A snapshot before an upgrade. Without one no migration is begun: it can't be undone."""
    try:
        schema = offline.facts(str(files.database)).schema
    except Damaged:
        return  # the API process finds it too, and does what can be done
    except StoreError as error:
        raise HostError(str(error)) from error
    if schema == offline.SCHEMA and version in {"", VERSION}:
        return
    try:
        taken = run.noted(files, run.wish_of(practice, UPGRADE), now)
    except SnapshotError as error:
        if schema < offline.SCHEMA:
            raise HostError(f"the data folder is not upgraded without a snapshot: {error}") from error
        log.warning("upgraded without a snapshot: %s", error)
    else:
        log.info("before the upgrade from %s: %s", version or "an older mini8s", run.sentence(taken))


def repaired(settings: ServerSettings, files: ServerFiles, damage: Damaged | None, now: datetime) -> None:
    """Let a snapshot take the place of a database that is damaged, or was at an earlier start. Raises
    HostError with what the operator is to do, SnapshotError, OSError."""
    aside = repair.set_aside(files, now) if damage else repair.broken(files)
    if aside is None:
        return
    practice = note.practice(files)
    secret = b""
    if practice.encrypt_with:
        from mini8s.app.snapshots.seal import passphrase

        secret = passphrase(practice.encrypt_with)
    folder = run.wish_of(practice, UPGRADE).folder
    good = repair.newest_good(folder, secret)
    if good is None or not settings.restore_broken:
        raise HostError(repair.advice(aside, good, folder))
    revision = repair.put_back(files, good, secret, now)
    log.error(
        "the database is damaged (%s) and was set aside as %s; the snapshot %s took its place, at revision "
        "%d: what was changed after %s is lost",
        damage or "found at an earlier start",
        aside,
        good.path,
        revision,
        f"{good.manifest.taken:%Y-%m-%d %H:%M:%S} UTC",
    )
