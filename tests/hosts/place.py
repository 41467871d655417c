"""Where a set of hosts lives: every name and path follows from its prefix, so that any process finds the
set again and several sets live side by side."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

NETWORK = "10.99.0"
GATEWAY = f"{NETWORK}.1"
MOST_HOSTS = 9
NAMESPACES = Path("/run/netns")
MARK = ".mini8s-hosts"  # in a folder that is a set's own


@dataclass(frozen=True, slots=True)
class Place:
    """A set's names. The folder is short because a socket's path has at most 107 characters."""

    prefix: str
    folder: Path

    @classmethod
    def of(cls, prefix: str = "") -> Place:
        name = prefix or os.environ.get("MINI8S_HOSTS_PREFIX", "m8")
        if not name.isalnum() or len(name) > 6:
            raise ValueError(f"a prefix of hosts is at most six letters and digits, not {name!r}")
        return cls(name, Path("/tmp") / name)

    @property
    def switch(self) -> str:
        """The namespace with the bridge."""
        return f"{self.prefix}sw"

    def host(self, number: int) -> str:
        """The namespace of a host, also the name of its control group."""
        return f"{self.prefix}h{number}"

    @property
    def is_others(self) -> bool:
        """Whether the folder was made by somebody else, and must be left alone."""
        return self.folder.exists() and not (self.folder / MARK).exists()

    def make(self) -> None:
        self.folder.mkdir(mode=0o700, exist_ok=True)
        (self.folder / MARK).touch()

    def remove(self) -> None:
        if self.folder.exists() and not self.is_others:
            shutil.rmtree(self.folder)

    def numbers(self) -> list[int]:
        """The hosts that exist, whole or in part."""
        named = [
            path.name.removeprefix(f"{self.prefix}h") for path in NAMESPACES.glob(f"{self.prefix}h[1-9]")
        ]
        kept = [] if self.is_others else [path.name for path in self.folder.glob("[1-9]")]
        return sorted({int(number) for number in named + kept})


def address(number: int) -> str:
    return f"{NETWORK}.{10 + number}"
