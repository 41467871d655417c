"""What this node gives to pods and what it doesn't, as its settings and its engine say."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mini8s.agent.runtime.records import EngineInfo

_CAP_SYS_RESOURCE = 24  # linux/capability.h


@dataclass(frozen=True, slots=True)
class Policy:
    """`allow_device` and `allowed_unsafe_sysctls` are patterns; `pod_max_pids` 0 is no limit. `may_spare`
    tells whether processes can be kept from the out-of-memory killer, which takes CAP_SYS_RESOURCE."""

    data_dir: Path = Path("/nonexistent")
    allow_device: Sequence[str] = ()
    allowed_unsafe_sysctls: Sequence[str] = ()
    pod_max_pids: int = 0
    log_bytes: int = 10 << 20
    log_files: int = 5
    cgroup_root: str = ""
    cgroup_driver: str = "cgroupfs"
    apparmor: bool = False
    memory_bytes: int = 0
    may_spare: bool = True

    def with_engine(self, engine: EngineInfo) -> Policy:
        """The same on an engine that has answered."""
        return replace(self, cgroup_driver=engine.cgroup_driver, apparmor=engine.apparmor)

    def seccomp_profile(self, name: str) -> str:
        """The text of `DATA/agent/seccomp/NAME`. Raises OSError."""
        return (self.data_dir / "agent" / "seccomp" / name).read_text()


def may_spare() -> bool:
    """Whether this process may lower an `oom_score_adj`; the engine beside it is taken to be alike."""
    lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    effective = next((int(words[1], 16) for words in lines if words[:1] == ["CapEff:"]), 0)
    return bool(effective >> _CAP_SYS_RESOURCE & 1) and os.geteuid() == 0
