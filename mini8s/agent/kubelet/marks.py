"""What must be known of a pod's containers after the agent was killed, and isn't told by the engine: which
are on their way out and since when, and which postStart hooks are over. It lies in the pod's folder, is
written when it changes, and goes with the pod.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mini8s.agent.kubelet.actions import Ending
from mini8s.objects.kinds import Obj
from mini8s.objects.time import format_micro, parse_time
from mini8s.util.clock import SteadyTime

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Marks:
    """By container id; `hooked` is "" or how the hook failed. Times are steady, and wall time on disk."""

    path: Path
    time: SteadyTime
    endings: dict[str, Ending] = field(default_factory=dict)
    hooked: dict[str, str] = field(default_factory=dict)
    _changed: bool = False

    @classmethod
    def read(cls, path: Path, time: SteadyTime) -> Marks:
        """What an agent before this one left; nothing, when it left nothing that can be read."""
        try:
            said = json.loads(path.read_bytes())
            endings = {key: _ending(one, time) for key, one in said["endings"].items()}
            return cls(path, time, endings, {key: str(one) for key, one in said["hooked"].items()})
        except FileNotFoundError:
            return cls(path, time)
        except (OSError, ValueError, LookupError, AttributeError) as error:
            log.warning("%s can't be read, hooks run again: %s", path, error)
            return cls(path, time)

    def began(self, container_id: str) -> None:
        self.endings[container_id] = Ending(self.time.now())
        self._changed = True

    def asked(self, container_id: str) -> None:
        """Asked to end now."""
        now = self.time.now()
        self.endings[container_id] = Ending(self.endings.get(container_id, Ending(now)).since, now)
        self._changed = True

    def hooks_over(self, posted: Mapping[str, str]) -> None:
        self._changed |= bool(posted.items() - self.hooked.items())
        self.hooked |= posted

    def keep(self, present: Collection[str]) -> None:
        """Forget containers that are gone. Not worth a write of its own."""
        self.endings = {key: one for key, one in self.endings.items() if key in present}
        self.hooked = {key: one for key, one in self.hooked.items() if key in present}

    def write(self) -> None:
        """If something changed, and the pod's folder is there. A disk that refuses is no reason to stop."""
        if not self._changed or not self.path.parent.exists():
            return
        said = {
            "endings": {key: _written(one, self.time) for key, one in self.endings.items()},
            "hooked": self.hooked,
        }
        draft = self.path.with_suffix(".new")
        try:
            draft.write_text(json.dumps(said))
            draft.replace(self.path)
        except OSError as error:
            log.warning("%s can't be written: %s", self.path, error)
            return
        self._changed = False


def _ending(said: Mapping[str, Any], time: SteadyTime) -> Ending:
    since, asked = (time.of_wall(parse_time(said[key])) if said[key] else None for key in ("since", "asked"))
    return Ending(since or time.now(), asked)


def _written(ending: Ending, time: SteadyTime) -> Obj:
    asked = format_micro(time.to_wall(ending.asked)) if ending.asked else ""
    return {"since": format_micro(time.to_wall(ending.since)), "asked": asked}
