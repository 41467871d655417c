"""SIGHUP, `systemctl reload`: settings are read again, and what may change while all runs is taken over.

Which these are is said where settings are described (`config.py`). The rest stays as it is until a restart,
and is named. A file that is wrong changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Generic, TypeVar

from mini8s.app.settings import SettingsError
from mini8s.config import CONTROL, LIVE, NodeSettings
from mini8s.util import log as logs

S = TypeVar("S", bound=NodeSettings)
log = logging.getLogger(__name__)

FILES = frozenset({"private_registry", "audit_policy_file"})  # they are read again, whatever their names


@dataclass(frozen=True, slots=True)
class Changes:
    """By name: `told` with values, which processes are told; names of those for which the process of
    controllers starts again; and of those that wait for a restart. What is in files that settings name may
    have changed though the name has not, so those are told always."""

    told: Mapping[str, Any]
    live: Sequence[str] = ()
    control: Sequence[str] = ()
    waiting: Sequence[str] = ()

    @property
    def sentence(self) -> str:
        def named(names: Sequence[str]) -> str:
            return ", ".join(name.replace("_", "-") for name in names)

        taken = named([*self.live, *self.control])
        parts = [f"reloaded: {taken}" if taken else "reloaded: no setting changed that can be taken over"]
        if self.waiting:
            parts.append(f"a restart is needed for {named(self.waiting)}")
        return "; ".join(parts)


def compare(before: NodeSettings, after: NodeSettings) -> Changes:
    """PURE: what became of each setting that differs."""
    differs = {
        item.name: item.metadata["reloaded"]
        for item in fields(before)
        if getattr(before, item.name) != getattr(after, item.name)
    }
    named = {item.name for item in fields(before)}
    live, control = ([name for name, how in differs.items() if how == wanted] for wanted in (LIVE, CONTROL))
    return Changes(
        {name: getattr(after, name) for name in {*(FILES & named), *live}},
        live,
        control,
        [name for name, how in differs.items() if not how],
    )


class Reload(Generic[S]):
    """`read` gives the settings anew, `said` are those of the start, `running` the same with what the host
    says filled in."""

    def __init__(self, read: Callable[[], S], said: S, running: S) -> None:
        self._read = read
        self._said = said
        self.running = running

    def __call__(self) -> Changes | None:
        """What to tell and to start again; None when the new settings can't be used, which is logged."""
        try:
            said = self._read()
        except SettingsError as error:
            log.error("not reloaded, everything stays as it was: %s", error)  # noqa: TRY400
            return None
        changes = compare(self._said, said)
        taken = {name: getattr(said, name) for name in (*changes.live, *changes.control)}
        self._said, self.running = replace(self._said, **taken), replace(self.running, **taken)
        logs.set_level(self.running.log_level)
        log.info("%s", changes.sentence)
        return changes
