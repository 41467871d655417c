"""What a Docker engine says of itself, asked without its library: before anything is installed there may be
neither."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import socket
from collections.abc import Iterator, Mapping
from typing import Any

from mini8s.app.checking.base import Finding, fail, ok, warn

_OLDEST = (20, 10)  # what is tested, and what Debian 11 and newer have
STORAGE = "Docker's storage"
_SECONDS = 10.0
_START = "install docker.io (or docker-ce) and start it: systemctl enable --now docker"


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("docker", timeout=_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def look(address: str) -> Iterator[Finding]:
    scheme, _, path = address.partition("://")
    if scheme != "unix":
        yield fail("Docker", f"{address} is not a unix:// address", "give --docker-host unix:///…")
        return
    try:
        said = ask(path, "/info")
    except (OSError, ValueError, http.client.HTTPException) as error:
        installed = shutil.which("dockerd", path="/usr/bin:/usr/sbin:/usr/local/bin")
        why = "" if installed else ", and dockerd is not installed"
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        yield fail("Docker", f"no engine answers at {path} ({reason}){why}", _START)
        return
    yield from judge(said)


def ask(path: str, what: str) -> Any:
    """Raises OSError, ValueError, HTTPException."""
    connection = _Connection(path)
    try:
        connection.request("GET", what)
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise ValueError(f"it answers with {answer.status}")
    return json.loads(body)


def judge(said: Mapping[str, Any]) -> Iterator[Finding]:
    """PURE: of what GET /info says."""
    version = str(said.get("ServerVersion") or "of unknown version")
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    driver, storage = said.get("CgroupDriver") or "cgroupfs", str(said.get("Driver") or "unknown")
    options = {option.partition(",")[0] for option in said.get("SecurityOptions") or ()}
    if "name=rootless" in options:
        yield fail(
            "Docker", f"{version} is rootless", "let root run it: pods need links and mounts of the host"
        )
    elif numbers and numbers < _OLDEST:
        yield fail("Docker", f"{version} is older than 20.10", "upgrade it")
    else:
        yield ok("Docker", f"{version}, control groups by {driver}")
    if driver == "none":
        yield fail(
            "Docker's control groups", "off: nothing limits pods", "see `docker info` for its warnings"
        )
    if storage == "vfs":
        yield warn(STORAGE, "vfs: each layer is a copy of all below it", "load overlay, and restart it")
    else:
        yield ok(STORAGE, f"{storage}, in {said.get('DockerRootDir')}")
    if "name=userns" in options:
        yield warn(
            "Docker's users", "remapped, and volumes belong to others", "take userns-remap out of daemon.json"
        )
    logging = said.get("LoggingDriver")
    if logging != "json-file":
        yield warn(
            "Docker's logs",
            f"the driver {logging} is the default",
            "nothing: pods have json-file all the same",
        )
