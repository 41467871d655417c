"""Pods' control groups in the kernel: made after a pod's folder and before its first container, removed after
its last container and before its folder, so that whoever finds a folder knows of the group.

With Docker's cgroupfs driver the groups are folders that are made here, with v1 one in each controller's
tree. With the systemd driver Docker makes the pod's slice and systemd owns its limits: it is told by
`systemctl set-property --runtime`, so that a daemon-reload keeps them."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Mapping
from pathlib import Path

from mini8s.agent.kubelet.isolation.pod_cgroup import PodCgroup
from mini8s.agent.kubelet.isolation.policy import Policy

log = logging.getLogger(__name__)

ROOT = Path("/sys/fs/cgroup")
_V1 = ("cpu", "memory", "pids")
_NEEDED = ("cpu", "memory", "pids")
_SYSTEMCTL_SECONDS = 10


class CgroupTree:
    """What can't be made or told is a line in the log: the containers' own limits hold without it."""

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root
        self._told: dict[str, PodCgroup] = {}

    @property
    def _unified(self) -> bool:
        return (self._root / "cgroup.controllers").exists()

    def ensure(self, wanted: PodCgroup, policy: Policy) -> None:
        """Make the group and bring its limits up to date. Free of cost when nothing has changed."""
        if self._told.get(wanted.parent) == wanted:
            return
        try:
            if policy.cgroup_driver == "systemd":
                _tell_systemd(wanted)
            elif self._unified:
                self._write(_enabled(self._root, wanted.parent), wanted.v2())
            else:
                self._make_v1(wanted)
        except (OSError, subprocess.SubprocessError) as error:
            log.warning("limits of the whole pod are not set on %s: %s", wanted.parent, error)
        self._told[wanted.parent] = wanted

    def remove(self, parent: str, policy: Policy) -> None:
        """Take an empty group away; one that isn't there or isn't empty is left."""
        self._told.pop(parent, None)
        if policy.cgroup_driver == "systemd":
            _systemctl("stop", parent)
            return
        for folder in self._folders(parent):
            _rmdir(folder)

    def _make_v1(self, wanted: PodCgroup) -> None:
        files = wanted.v1()
        for controller in _V1:
            folder = self._root / controller / wanted.parent.lstrip("/")
            folder.mkdir(parents=True, exist_ok=True)
            self._write(folder, {name: value for (tree, name), value in files.items() if tree == controller})

    def _write(self, folder: Path, files: Mapping[str, str]) -> None:
        for name, value in files.items():
            path = folder / name
            if path.exists() and path.read_text().strip() != value:
                path.write_text(value)

    def _folders(self, parent: str) -> list[Path]:
        """In v1 also the trees that Docker has made the group in."""
        below = parent.lstrip("/")
        if self._unified:
            return [self._root / below]
        return [tree / below for tree in self._root.iterdir() if tree.is_dir() and not tree.is_symlink()]


def _enabled(root: Path, parent: str) -> Path:
    """The group, made with the controllers enabled all the way down."""
    folder = root
    for part in [part for part in parent.split("/") if part]:
        has = set((folder / "cgroup.subtree_control").read_text().split())
        offers = set((folder / "cgroup.controllers").read_text().split())
        missing = [f"+{name}" for name in _NEEDED if name in offers - has]
        if missing:
            (folder / "cgroup.subtree_control").write_text(" ".join(missing))
        folder = folder / part
        folder.mkdir(exist_ok=True)
    return folder


def _rmdir(folder: Path) -> None:
    """Docker's groups below a pod's are gone when their containers have ended, or in a moment."""
    try:
        if folder.is_dir():
            folder.rmdir()
    except OSError as error:
        log.debug("%s stays: %s", folder, error)


def _tell_systemd(wanted: PodCgroup) -> None:
    _systemctl("start", wanted.parent)
    properties = [f"{name}={value}" for name, value in wanted.systemd().items()]
    _systemctl("set-property", "--runtime", wanted.parent, *properties)


def _systemctl(*words: str) -> None:
    done = subprocess.run(
        ["systemctl", *words], capture_output=True, text=True, timeout=_SYSTEMCTL_SECONDS, check=False
    )
    if done.returncode:
        raise OSError(done.stderr.strip() or f"systemctl {words[0]} failed")
