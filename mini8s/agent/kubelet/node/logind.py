"""The host's login manager, which says when the host is about to go down and waits as long as it is asked to.

Sources: systemd's org.freedesktop.login1(5), systemd-inhibit(1), busctl(1). It is spoken to through systemd's
own two programs: a D-Bus library would be needed for nothing else.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

_NAME, _PATH = "org.freedesktop.login1", "/org/freedesktop/login1"
_MANAGER = f"{_NAME}.Manager"
_SIGNAL = f"type='signal',interface='{_MANAGER}',member='PrepareForShutdown'"
_SETTINGS = Path("/etc/systemd/logind.conf.d/99-mini8s.conf")
_SECONDS = 10.0


class NoLogind(Exception):
    """Nobody here says when the host goes down; the message says why not."""


class Inhibitor:
    """Holds a shutdown up until it is released, or until this process has ended."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def release(self) -> None:
        """It holds as long as its input is open. More than once is fine."""
        if self._process.returncode is not None:
            return
        try:
            self._process.communicate(timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


class Announcements:
    """What the login manager announces: True that the host goes down, False that it doesn't after all.
    `close` may be called by another thread and ends the iteration."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def __iter__(self) -> Iterator[bool]:
        while line := self._line():
            said = json.loads(line)
            if said.get("member") == "PrepareForShutdown":
                yield bool(said["payload"]["data"][0])

    def close(self) -> None:
        """More than once is fine."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _line(self) -> bytes:
        try:
            return self._process.stdout.readline() if self._process.stdout is not None else b""
        except ValueError:  # closed meanwhile
            return b""


class Logind:
    def inhibit(self) -> Inhibitor:
        """Raises NoLogind."""
        words = ["--what=shutdown", "--mode=delay", "--who=mini8s", "--why=Pods end before the host does"]
        holder = ("sh", "-c", "echo held; exec cat")
        process = _begin("systemd-inhibit", *words, *holder, errors=subprocess.PIPE)
        if process.stdout is None or process.stdout.readline() != b"held\n":
            _, error = process.communicate(timeout=_SECONDS)
            raise NoLogind(error.decode(errors="replace").strip() or "systemd-inhibit ended")
        return Inhibitor(process)

    def announcements(self) -> Announcements:
        """They end with this process, however it ends. Raises NoLogind."""
        words = ["monitor", "--json=short", f"--match={_SIGNAL}"]
        dying_with_us = ("setpriv", "--pdeathsig", "KILL")
        return Announcements(_begin(*dying_with_us, "busctl", *words, stdin=subprocess.DEVNULL))

    def longest_delay(self) -> float:
        """Seconds that a shutdown can be held up. Raises NoLogind."""
        said = _run("busctl", "get-property", _NAME, _PATH, _MANAGER, "InhibitDelayMaxUSec")
        return int(said.split()[1]) / 1_000_000

    def allow_delay(self, seconds: float) -> None:
        """Have a shutdown wait that long. Raises NoLogind, OSError."""
        _SETTINGS.parent.mkdir(parents=True, exist_ok=True)
        _SETTINGS.write_text(f"[Login]\nInhibitDelayMaxSec={seconds:.0f}\n")
        _run("systemctl", "kill", "--signal=HUP", "systemd-logind.service")


def _begin(
    *command: str, stdin: int = subprocess.PIPE, errors: int = subprocess.DEVNULL
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=errors)
    except FileNotFoundError as error:
        raise NoLogind(f"there is no {command[0]} on this host") from error


def _run(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except FileNotFoundError as error:
        raise NoLogind(f"there is no {command[0]} on this host") from error
    except subprocess.TimeoutExpired as error:
        raise NoLogind(f"{command[0]} doesn't answer") from error
    if done.returncode:
        raise NoLogind(done.stderr.strip() or f"{command[0]} failed")
    return done.stdout
