"""The kubectls that this machine has: other people's client is the oracle, and each version is one more.

Debian 12's own is 1.20. What a version can't do yet is left out by version, never by whether it failed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

# where Google's packages put kubectl.1.27 and its sisters
FOLDERS = (*os.environ.get("PATH", "").split(":"), "/usr/lib/google-cloud-sdk/bin")


@dataclass(frozen=True, slots=True, order=True)
class Kubectl:
    """One program, of version 1.`minor`."""

    minor: int
    program: str

    def __str__(self) -> str:
        return f"1.{self.minor}"


@cache
def installed(since: int = 0) -> tuple[Kubectl, ...]:
    """One of each version from 1.`since` on, oldest first."""
    by_minor = {found.minor: found for found in _programs()}
    return tuple(sorted(found for found in by_minor.values() if found.minor >= since))


def _programs() -> Iterator[Kubectl]:
    for folder in filter(None, FOLDERS):
        for path in sorted(Path(folder).glob("kubectl*")):
            named = re.fullmatch(r"kubectl(?:\.1\.(\d+))?", path.name)
            if named:
                yield Kubectl(int(named[1]) if named[1] else _asked(str(path)), str(path))


@cache
def _asked(program: str) -> int:
    said = subprocess.run(
        [program, "version", "--client", "--output=json"], capture_output=True, check=True, timeout=30
    ).stdout
    minor: str = json.loads(said)["clientVersion"]["minor"]
    return int(minor.rstrip("+"))
