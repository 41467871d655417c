"""PersistentVolumes that this host makes of its own disk: a folder each, and a size that the kernel keeps.

A volume is an ext4 file system in a sparse file, mounted through a loop device: it takes the room of what is
in it, and nobody can write more than its size into it, on any file system below. (Project quotas would cost
less, but need a mount option of the file system that the data folder is on, and a kernel built for them.)
Where there are no loop devices or no mkfs.ext4 it is a plain folder, and `enforced` says so.

Once a volume is made it stays what it is. It stays mounted as long as there is such a PersistentVolume here.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import subprocess
import threading
import time
from collections.abc import Collection
from pathlib import Path

from mini8s.agent.kubelet import mounting

log = logging.getLogger(__name__)

ANYBODY = 0o777
_OPTIONS = "loop,noatime,discard,noinit_itable"  # room that is given up goes back; no writes at leisure
_SECONDS = 120.0
LET_GO_SECONDS = 10.0  # that a volume which shall grow waits for its last user


def folder(data_dir: Path) -> Path:
    """Where a host keeps them."""
    return data_dir.absolute() / "storage"


class DiskError(Exception):
    """A program refused; the message is its own."""


class LocalDisks:
    """`root` holds a folder for each volume, by the volume's name, and beside it the file that it is in."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock = threading.Lock()  # one volume is made at a time: two pods may ask for the same

    def make(self, name: str, size_bytes: int) -> Path:
        """The volume's folder, ready to be used. Raises OSError, DiskError."""
        folder = self.root / name
        with self._lock:
            if folder.is_mount():
                self._keep(name)
            elif self._image(name).exists():
                self._mount_again(name, folder)
            elif not folder.exists() or self._draft(name).exists():
                self._make_new(name, size_bytes)
        return folder

    def enforced(self, name: str) -> bool:
        return self._image(name).exists()

    def size(self, name: str) -> int:
        """Bytes the volume was made for; 0 where nothing keeps it to a size."""
        image = self._image(name)
        return image.stat().st_size if image.exists() else 0

    def grow(self, name: str, size_bytes: int) -> bool:
        """Make a volume bigger while it is used; False when that must wait until it is mounted again. Raises
        OSError, DiskError."""
        with self._lock:
            if self.enforced(name) and self.size(name) < size_bytes:
                self._growing(name).touch()
                with self._image(name).open("r+b") as file:
                    file.truncate(size_bytes)
                self._grow_mounted(name)
            return not self._growing(name).exists()

    def unmount(self, name: str) -> None:
        """Let go of a volume, and keep what is in it. Raises OSError."""
        with self._lock:
            self._unmount(name)

    def remove(self, name: str) -> None:
        """Take a volume away with all that is in it. Raises OSError."""
        with self._lock:
            self._unmount(name)
            for file in (self._image(name), self._draft(name), self._growing(name)):
                file.unlink(missing_ok=True)
            if (self.root / name).exists():
                shutil.rmtree(self.root / name)

    def _mount_again(self, name: str, folder: Path) -> None:
        if self._growing(name).exists() and self._is_let_go(name):
            _run("e2fsck", "-f", "-p", str(self._image(name)), fine=(0, 1))  # 1: it found and cured something
            _run("resize2fs", str(self._image(name)))
            self._growing(name).unlink()
        folder.mkdir(exist_ok=True)
        _run("mount", "-o", _OPTIONS, str(self._image(name)), str(folder))

    def _is_let_go(self, name: str) -> bool:
        """Whether nobody has the file system mounted any more. Another mount namespace may, as that of a
        container which just starts does for a moment (clone(2) copies all mounts). To mend or resize it
        beneath that one would destroy it; to mount it once more is harmless: mount(8) takes the loop device
        that is there."""
        deadline = time.monotonic() + LET_GO_SECONDS
        while _is_attached(self._image(name)):
            if time.monotonic() > deadline:
                log.warning("volume %s grows later: it is still mounted elsewhere", name)
                return False
            time.sleep(0.05)
        return True

    def _grow_mounted(self, name: str) -> None:
        """The kernel may refuse that: it asks for CAP_SYS_RESOURCE (fs/ext4/ioctl.c)."""
        device = mounting.sources().get(str((self.root / name).resolve()))
        if device is None:
            return
        try:
            _run("losetup", "--set-capacity", device)
            _run("resize2fs", device)
        except DiskError as error:
            log.warning("volume %s grows when it is mounted again: %s", name, error)
        else:
            self._growing(name).unlink()

    def _make_new(self, name: str, size_bytes: int) -> None:
        folder, draft = self.root / name, self._draft(name)
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not _has_programs():
            log.warning("the size of volume %s is not enforced: no loop devices or no mkfs.ext4", name)
        elif self._mount_new(folder, draft, size_bytes):
            (folder / "lost+found").rmdir()  # databases want an empty folder; fsck makes it when it needs it
            folder.chmod(ANYBODY)
            self._keep(name)
            return
        folder.mkdir(exist_ok=True)
        folder.chmod(ANYBODY)
        draft.unlink(missing_ok=True)

    def _mount_new(self, folder: Path, draft: Path, size_bytes: int) -> bool:
        """Whether the kernel takes a file system in a file here."""
        with draft.open("wb") as file:
            file.truncate(size_bytes)
        try:
            _run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=1,nodiscard", str(draft))
        except DiskError:
            draft.unlink()
            raise
        folder.mkdir(exist_ok=True)
        try:
            _run("mount", "-o", _OPTIONS, str(draft), str(folder))
        except DiskError as error:
            log.warning("the size of volume %s is not enforced: %s", folder.name, error)
            return False
        return True

    def _keep(self, name: str) -> None:
        """From now on it is this file and no other that the volume is in."""
        if self._draft(name).exists():
            self._draft(name).rename(self._image(name))

    def _unmount(self, name: str) -> None:
        if (self.root / name).is_mount():
            mounting.unmount(self.root / name)

    def _image(self, name: str) -> Path:
        return self.root / f"{name}.ext4"

    def _draft(self, name: str) -> Path:
        return self.root / f"{name}.new"

    def _growing(self, name: str) -> Path:
        """There while the file is bigger than the file system in it."""
        return self.root / f"{name}.grows"


def _is_attached(image: Path) -> bool:
    """Whether a loop device is over that file (Documentation/ABI/testing/sysfs-block-loop)."""
    for note in Path("/sys/block").glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):  # it was let go while we looked
            if note.read_text().rstrip("\n") == str(image.resolve()):
                return True
    return False


def _has_programs() -> bool:
    return Path("/dev/loop-control").exists() and shutil.which("mkfs.ext4") is not None


def _run(*command: str, fine: Collection[int] = (0,)) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    if done.returncode not in fine:
        said = " ".join((done.stderr or done.stdout).split())
        raise DiskError(f"{command[0]}: {said or f'ended with {done.returncode}'}")
