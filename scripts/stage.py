"""The place where scripts/quickstart works: which data folder and engine, and what it must remember to
remove.

Standard library only: taking everything away works without the virtual environment.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

ROOT = Path(__file__).resolve().parent.parent
T = TypeVar("T")
MINI8S = ROOT / ".venv" / "bin" / "mini8s"


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a quickstart is, from the environment."""

    data: Path
    docker_host: str
    kubeconfig: Path

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Stage:
        """The defaults are the server's own; a data folder elsewhere takes the kubeconfig along."""
        data = environment.get("MINI8S_DATA_DIR", "")
        kubeconfig = f"{data}/kubeconfig.yaml" if data else "/etc/mini8s/mini8s.yaml"
        return cls(
            data=Path(data or "/var/lib/mini8s"),
            docker_host=environment.get("DOCKER_HOST") or "unix:///var/run/docker.sock",
            kubeconfig=Path(environment.get("MINI8S_WRITE_KUBECONFIG") or kubeconfig),
        )

    @property
    def note(self) -> Path:
        """Says that the data folder is quickstart's own; holds the server's process id."""
        return self.data / "quickstart.json"

    @property
    def log(self) -> Path:
        return self.data / "quickstart.log"

    @property
    def socket(self) -> Path:
        return self.data / "server" / "api.sock"

    @property
    def docker_socket(self) -> str:
        return self.docker_host.removeprefix("unix://")

    def remembered(self) -> dict[str, Any]:
        """What the note says; empty when there is none."""
        try:
            found: dict[str, Any] = json.loads(self.note.read_text())
        except FileNotFoundError:
            return {}
        return found

    def server_pid(self) -> int:
        """The process id of the server that quickstart started, 0 when it doesn't run."""
        remembered = self.remembered()
        pid = int(remembered.get("pid", 0))
        return pid if pid and start_of(pid) == remembered.get("start") else 0

    def api(self, path: str) -> dict[str, Any] | None:
        """An object from root's own door; None when there is no such thing or nobody answers yet."""
        address = f"http://mini8s{path}"
        answer = run(
            "curl", "-sf", "--max-time", "5", "--unix-socket", str(self.socket), address, check=False
        )
        return json.loads(answer) if answer.startswith("{") else None


def start_of(pid: int) -> int:
    """When a process started, in ticks, which tells it from a later one with its id; 0 when it has
    ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] in "ZX" else int(fields[19])


def say(text: str) -> None:
    print(f"\033[1m==>\033[0m {text}", flush=True)


def fail(text: str) -> NoReturn:
    sys.exit(f"quickstart: {text}")


def run(*command: str, check: bool = True, env: Mapping[str, str] | None = None) -> str:
    """What a command printed. With `check` its failure ends the script with what it said."""
    result = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **(env or {})}, check=False, timeout=300
    )
    if check and result.returncode:
        fail(f"{' '.join(command)} failed:\n{result.stderr.strip() or result.stdout.strip()}")
    return result.stdout


def wait_for(what: str, look: Callable[[], T], *, seconds: float, pause: float = 0.1) -> T:
    """Look until there is something to see; ends the script after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        if time.monotonic() > deadline:
            fail(f"{what} did not come about within {seconds:.0f} s")
        time.sleep(pause)
    return seen
