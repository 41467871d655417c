"""What of a host goes into a bundle, beside the API's objects: a file's name, and how to come by its text."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import yaml

from mini8s.app.checking.engine import ask
from mini8s.app.layout import server_files
from mini8s.config import KUBERNETES_VERSION

Source = tuple[str, Callable[[], str]]

_SECONDS = 30
_MOST = 4 << 20  # characters of one file: the newest
_COMMANDS: tuple[tuple[str, Sequence[str]], ...] = (
    ("logs/server.log", ("journalctl", "--no-pager", "-n", "20000", "-u", "mini8s-server")),
    ("logs/agent.log", ("journalctl", "--no-pager", "-n", "20000", "-u", "mini8s-agent")),
    ("logs/docker.log", ("journalctl", "--no-pager", "-n", "2000", "-u", "docker")),
    ("logs/kernel.log", ("dmesg",)),
    ("network/nft.txt", ("nft", "list", "ruleset")),
    ("network/iptables.txt", ("iptables-save",)),
    ("network/links.txt", ("ip", "-details", "-statistics", "link")),
    ("network/addresses.txt", ("ip", "address")),
    ("network/routes.txt", ("ip", "route", "show", "table", "all")),
    ("network/neighbours.txt", ("ip", "neighbour")),
    ("network/sockets.txt", ("ss", "--tcp", "--udp", "--listening", "--numeric", "--processes")),
    ("host/processes.txt", ("ps", "-eo", "pid,ppid,user,rss,pcpu,etime,stat,comm")),
    ("host/disks.txt", ("df", "-h")),
    ("host/mounts.txt", ("cat", "/proc/mounts")),
    ("host/memory.txt", ("cat", "/proc/meminfo")),
    ("host/load.txt", ("cat", "/proc/loadavg", "/proc/uptime")),
    ("host/release.txt", ("cat", "/etc/os-release")),
)
_DOCKER = (
    ("info", "/info"),
    ("version", "/version"),
    ("images", "/images/json"),
    ("containers", "/containers/json?all=1"),
)


def of_host(data_dir: str, docker_host: str, logs: Sequence[str]) -> Iterator[Source]:
    yield "versions.txt", _versions
    yield from ((name, partial(said_by, command)) for name, command in _COMMANDS)
    for path in (Path(data_dir) / "quickstart.log", *map(Path, logs)):
        if path.exists():
            yield f"logs/{path.name}", partial(_log, path)
    socket = docker_host.removeprefix("unix://")
    for name, what in _DOCKER:
        yield f"docker/{name}.json", partial(_docker, socket, what)
    yield "data.txt", partial(_names, Path(data_dir))


def known_secrets(data_dir: str, registries: str) -> Iterator[str]:
    """What this host itself has that must not be in any text. Raises OSError: who may not read it can't keep
    it out."""
    for path in (server_files(data_dir).node_token, Path("/etc/mini8s/join-token")):
        if path.exists():
            yield path.read_text().strip()
            yield path.read_text().strip().rpartition(":")[2]
    if (keys := server_files(data_dir).secret_keys).exists():
        yield from _leaves(_document(keys.read_text(), json.loads))
    if Path(registries).exists():
        said = _document(Path(registries).read_text(), yaml.safe_load)
        configs = said.get("configs") if isinstance(said, dict) else said
        for one in configs.values() if isinstance(configs, dict) else [configs]:
            yield from _leaves(one.get("auth") if isinstance(one, dict) else one)


def _document(text: str, parse: Callable[[str], object]) -> object:
    """All words of a text that can't be parsed: it may be why somebody asks for help, and hides no less."""
    try:
        return parse(text)
    except (ValueError, yaml.YAMLError):
        return [word for word in re.split(r"[\s\"'{},]+", text) if not word.endswith(":")]


def said_by(command: Sequence[str]) -> str:
    """What a command prints. One that is not there says so: that is worth knowing too."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{command[0]}: {error}\n"
    return _newest(done.stdout + done.stderr)


def _newest(text: str) -> str:
    return text if len(text) <= _MOST else f"[the beginning was left out]\n{text[-_MOST:]}"


def _versions() -> str:
    return f"{KUBERNETES_VERSION}\nPython {sys.version}\n{platform.platform()}\n"


def _log(path: Path) -> str:
    return _newest(path.read_text(errors="replace"))


def _docker(socket: str, what: str) -> str:
    return json.dumps(ask(socket, what), indent=1)


def _names(folder: Path) -> str:
    return "\n".join(_tree(folder)) + "\n"


def _tree(folder: Path) -> Iterator[str]:
    """Names, sizes and rights; not below pods' own volumes."""
    for root, folders, names in os.walk(folder):
        if len(Path(root).relative_to(folder).parts) >= 5:
            folders.clear()
        for name in sorted((*folders, *names)):
            path = Path(root) / name
            try:
                found = path.lstat()
            except OSError as error:
                yield f"{path}: {error.strerror}"
                continue
            yield f"{found.st_mode:06o} {found.st_uid:5} {found.st_size:12} {path.relative_to(folder)}"


def _leaves(said: object) -> Iterator[str]:
    """All texts in a document, not the keys."""
    if isinstance(said, dict):
        for value in said.values():
            yield from _leaves(value)
    elif isinstance(said, list):
        for value in said:
            yield from _leaves(value)
    elif isinstance(said, str):
        yield said
