"""The proxy itself: HAProxy, from a package of the host's, its files and its life.

It is no part of the agent's life: an agent that starts again finds it by its pid file and goes on with it, so
that no connection is lost. A new configuration is a new process, which takes the listening sockets over from
the old one and then tells it to finish what it has (`-x`, `-sf`); there is no master process, which would do
the same and take 7 MB more. Keys lie in memory only (tmpfs), in a folder that is root's alone.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from mini8s.agent.ingress.haproxy import CONFIGURATION, SOCKET, Configuration, Host, occupied, version_of
from mini8s.agent.ingress.plan import Address

PROGRAM = "haproxy"
PATHS = "/usr/local/sbin:/usr/sbin:/sbin"  # where a service's PATH may not lead
START_SECONDS = 20.0  # until a new process answers on its socket: a slow board with many certificates
ANSWER_SECONDS = 5.0
SILENT_ROUNDS = 3
CHECK_SECONDS = 60.0
LOG_BYTES = 64 * 1024  # in memory: the program tells of each endpoint that comes or goes
LOG, NOTE, DRAFT = "log", "pid", "pid.new"
_THREADS = 4  # at most: a small host has other work


class ProxyError(Exception):
    """The proxy can't be had; the message says why."""


class HaProxy:
    """One thread uses it. `folder` is ours alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._child: subprocess.Popen[bytes] | None = None
        self._old: list[subprocess.Popen[bytes]] = []
        self._silent = 0  # rounds in a row in which it did not answer

    def host(self, http_port: int, https_port: int) -> Host:
        """What is so on this host. Raises ProxyError when the program is not there."""
        if _program() is None:
            raise ProxyError("there is no haproxy: install the package haproxy")
        addresses = ("", "::") if Path("/proc/net/if_inet6").exists() else ("",)
        with contextlib.suppress(KeyError):
            return Host(addresses, http_port, https_port, pwd.getpwnam("haproxy").pw_name, _threads())
        return Host(addresses, http_port, https_port, "", _threads())

    @property
    def folder(self) -> Path:
        return self._folder

    @property
    def runs(self) -> bool:
        return self._pid() is not None

    def version(self) -> str:
        """What runs now; empty when nothing does. One that is silent for long is ended: it serves nobody.
        Raises ProxyError while it is only silent."""
        pid = self._pid()
        if pid is None:
            return ""
        self._shorten_log()
        try:
            version = version_of(self._ask("show info"))
        except OSError as error:
            self._silent += 1
            if self._silent < SILENT_ROUNDS:
                raise ProxyError(f"haproxy does not answer: {error}") from error
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            version = ""
        self._silent = 0
        return version

    def occupied(self) -> dict[str, dict[str, Address]]:
        """Which endpoints it sends to. Raises ProxyError."""
        return occupied(self._asked("show servers state"))

    def tell(self, commands: Iterable[str]) -> int:
        """Change what is in slots; how many commands that took. Raises ProxyError."""
        listed = list(commands)
        for start in range(0, len(listed), 100):
            self._asked(";".join(listed[start : start + 100]))
        return len(listed)

    def check_ports(self, host: Host) -> None:
        """Raises ProxyError for a port that somebody else listens on."""
        for port in (host.http_port, host.https_port):
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    sock.bind(("0.0.0.0", port))
                except OSError as error:
                    if error.errno != errno.EADDRINUSE:
                        raise ProxyError(f"port {port}: {error.strerror}") from error
                    raise ProxyError(f"port {port} is in use by another program of this host") from error

    def run(self, wanted: Configuration, host: Host) -> None:
        """Run this version, in the place of what runs. Raises ProxyError; then what ran goes on."""
        self._reap()
        folder = self._write(wanted)
        self._check(folder)
        before, pid = self._pointed(), self._pid()
        if pid is None:
            self.check_ports(host)
        takeover = ["-x", f"{self._folder}/{before}/{SOCKET}", "-sf", str(pid)] if pid is not None else []
        child = self._start(folder, takeover)
        self._draft(wanted.version, child.pid)
        self._wait(child, folder, wanted.version)
        if self._child:
            self._old.append(self._child)
        self._child = child
        self._point()
        self._forget(wanted.version)

    def stop(self) -> None:
        """Let it finish what it has, and be gone."""
        pid = self._pid()
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):  # it was quicker
                os.kill(pid, signal.SIGUSR1)
            self._forget("")
        (self._folder / NOTE).unlink(missing_ok=True)
        self._reap()

    def _forget(self, version: str) -> None:
        """The files, and so the keys, of all versions but one."""
        for path in self._folder.iterdir():
            if path.is_dir() and path.name != version:
                shutil.rmtree(path)

    def _program(self) -> str:
        return _program() or PROGRAM

    def _write(self, wanted: Configuration) -> Path:
        self._mount()
        self._forget(self._pointed())  # what came to nothing
        folder = self._folder / wanted.version
        if folder.exists():
            shutil.rmtree(folder)
        try:
            folder.mkdir(mode=0o700)
            for name, data in wanted.files.items():
                with os.fdopen(
                    os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb"
                ) as file:
                    file.write(data)
        except OSError as error:
            raise ProxyError(f"its files can't be written: {error}") from error
        return folder

    def _mount(self) -> None:
        if self._folder.is_mount():
            return
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        options = "mode=0700,size=64m,nosuid,nodev,noexec"
        command = ["mount", "-t", "tmpfs", "-o", options, "mini8s-ingress", str(self._folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ProxyError(f"no memory for its keys: {done.stderr.strip()}")

    def _check(self, folder: Path) -> None:
        command = [self._program(), "-c", "-f", str(folder / CONFIGURATION)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=CHECK_SECONDS, check=False)
        except subprocess.TimeoutExpired as error:
            raise ProxyError(f"haproxy did not read its configuration within {CHECK_SECONDS:g} s") from error
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if "ALERT" in line]
            raise ProxyError(f"haproxy refuses its configuration: {said[0] if said else done.stderr.strip()}")

    def _start(self, folder: Path, takeover: list[str]) -> subprocess.Popen[bytes]:
        command = [self._program(), "-db", "-f", str(folder / CONFIGURATION), *takeover]
        with (folder / LOG).open("ab") as log:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
            )

    def _wait(self, child: subprocess.Popen[bytes], folder: Path, version: str) -> None:
        """Until it answers on its socket, which it does when it has the listening ones."""
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if child.poll() is not None:
                said = (folder / LOG).read_text(errors="replace").strip().rpartition("\n")[2]
                raise ProxyError(f"haproxy ended at once: {said}")
            with contextlib.suppress(OSError):
                if version_of(_talk(folder / SOCKET, "show info")) == version:
                    return
            time.sleep(0.02)
        child.kill()
        child.wait()
        raise ProxyError(f"haproxy did not answer within {START_SECONDS:g} s")

    def _shorten_log(self) -> None:
        log = self._folder / self._pointed() / LOG
        if log.exists() and log.stat().st_size > LOG_BYTES:
            os.truncate(log, 0)

    def _draft(self, version: str, pid: int) -> None:
        """An agent that ends before the new process answers leaves this: see `_settle`."""
        (self._folder / DRAFT).write_text(f"{pid} {version}\n")

    def _point(self) -> None:
        (self._folder / DRAFT).replace(self._folder / NOTE)

    def _settle(self) -> None:
        """The process that an earlier agent had started and not noted is the one, if it took over."""
        pid, version = self._noted(DRAFT)
        if not pid:
            return
        with contextlib.suppress(OSError):  # it has not come so far, or is gone
            if version_of(_talk(self._folder / version / SOCKET, "show info")) == version:
                self._point()
                return
        if not self._lives(pid):
            (self._folder / DRAFT).unlink()

    def _pointed(self) -> str:
        return self._noted(NOTE)[1]

    def _noted(self, name: str) -> tuple[int, str]:
        try:
            pid, version = (self._folder / name).read_text().split()
        except (OSError, ValueError):
            return 0, ""
        return int(pid), version

    def _pid(self) -> int | None:
        """Its process, if that is alive and is no other's by now."""
        self._reap()
        self._settle()
        pid, _ = self._noted(NOTE)
        return pid if pid and self._lives(pid) else None

    def _lives(self, pid: int) -> bool:
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False
        return os.fsencode(self._folder) in command

    def _reap(self) -> None:
        if self._child and self._child.poll() is not None:
            self._child = None
        self._old = [child for child in self._old if child.poll() is None]

    def _ask(self, command: str) -> str:
        """Raises OSError."""
        return _talk(self._folder / self._pointed() / SOCKET, command)

    def _asked(self, command: str) -> str:
        try:
            return self._ask(command)
        except OSError as error:
            raise ProxyError(f"haproxy does not answer: {error}") from error


def _program() -> str | None:
    return shutil.which(PROGRAM, path=f"{os.environ.get('PATH', '')}:{PATHS}")


def _threads() -> int:
    return min(_THREADS, len(os.sched_getaffinity(0)))


def _talk(path: Path, command: str) -> str:
    """A path in a socket's address is short (unix(7)): it is opened by way of /proc."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(ANSWER_SECONDS)
            sock.connect(f"/proc/self/fd/{folder}/{path.name}")
            sock.sendall(f"{command}\n".encode())
            pieces = []
            while piece := sock.recv(65536):
                pieces.append(piece)
    finally:
        os.close(folder)
    return b"".join(pieces).decode(errors="replace")
