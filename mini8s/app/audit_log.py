"""Where the audit log goes: a file of lines that is set aside when it is full, or standard output.

What is set aside bears the moment in its name, as kube-apiserver's does (audit-2026-01-01T00-00-00.000.log),
and goes when it is too old or when there are too many. A line that can't be written is told once; requests go
on, since a full disk must not stop a cluster.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from mini8s.api.attributes import Attributes
from mini8s.api.audit.policy import BadPolicy, Policy, Verdict, parse
from mini8s.config import ServerSettings
from mini8s.registry.base import User

log = logging.getLogger(__name__)

MEGABYTE = 1024 * 1024
OUTPUT = "-"
_STAMP = "%Y-%m-%dT%H-%M-%S"
_ASIDE = re.compile(r"-(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d)\.\d{3}$")


class CurrentPolicy:
    """The policy of a file, which a reload reads again."""

    def __init__(self, path: str) -> None:
        self._policy = read_policy(path)

    def verdict(self, user: User, what: Attributes) -> Verdict:
        return self._policy.verdict(user, what)

    def reload(self, said: Mapping[str, Any]) -> None:
        """One that can't be used changes nothing, and is told."""
        path = said["audit_policy_file"]
        try:
            self._policy = read_policy(path)
        except BadPolicy as error:
            log.error("--audit-policy-file %s: %s; the one before counts on", path, error)  # noqa: TRY400


class AuditLog:
    """`max_bytes` of a file, `max_days` and `max_files` of those set aside; 0: no limit."""

    def __init__(
        self, path: Path, *, max_bytes: int, max_days: int, max_files: int, now: Callable[[], datetime]
    ) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._max_days = max_days
        self._max_files = max_files
        self._now = now
        self._broken = False
        self._file = -1
        self._size = 0

    def write(self, line: bytes) -> None:
        try:
            if self._file < 0:
                self._open()
            if self._max_bytes and self._size and self._size + len(line) > self._max_bytes:
                self._set_aside()
            os.write(self._file, line)
        except OSError as error:
            if not self._broken:
                log.error("%s can't be written: %s", self._path, error.strerror or error)  # noqa: TRY400
            self._broken = True
            return
        self._size += len(line)
        self._broken = False

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._file).st_size

    def _set_aside(self) -> None:
        now = self._now().astimezone(UTC)
        stamp = f"{now.strftime(_STAMP)}.{now.microsecond // 1000:03d}"
        self._path.rename(self._path.with_name(f"{self._path.stem}-{stamp}{self._path.suffix}"))
        self.close()
        self._open()
        for path in self._too_many(now):
            path.unlink(missing_ok=True)

    def _too_many(self, now: datetime) -> list[Path]:
        """What goes of those set aside, by the moments in their names."""
        found: list[tuple[datetime, str, Path]] = []
        for path in self._path.parent.glob(f"{self._path.stem}-*{self._path.suffix}"):
            if stamp := _ASIDE.search(path.name.removesuffix(self._path.suffix)):
                when = datetime.strptime(stamp[1], _STAMP).replace(tzinfo=UTC)
                found.append((when, path.name, path))
        found.sort(reverse=True)
        kept = found[: self._max_files] if self._max_files else found
        oldest = now - timedelta(days=self._max_days)
        late = [one for one in kept if self._max_days and one[0] < oldest]
        return [path for _, _, path in (*found[len(kept) :], *late)]


def writer(settings: ServerSettings, now: Callable[[], datetime]) -> Callable[[bytes], None]:
    if settings.audit_log_path == OUTPUT:
        return _print
    return AuditLog(
        Path(settings.audit_log_path),
        max_bytes=settings.audit_log_maxsize * MEGABYTE,
        max_days=settings.audit_log_maxage,
        max_files=settings.audit_log_maxbackup,
        now=now,
    ).write


def read_policy(path: str) -> Policy:
    """Raises BadPolicy."""
    try:
        return parse(yaml.safe_load(Path(path).read_text()))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadPolicy(f"it can't be read: {error}") from error


def _print(line: bytes) -> None:
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()
