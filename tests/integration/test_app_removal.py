"""What `mini8s reset` does about mounts and folders, on real mounts."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mini8s.agent.kubelet import mounting
from mini8s.app.removal import Removal


def mount(folder: Path) -> None:
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], check=True)


@pytest.fixture
def removal(tmp_path: Path) -> Iterator[Removal]:
    """A data folder that is a disk of its own, with a volume mounted in it."""
    data = tmp_path / "a disk"
    mount(data)
    mount(data / "agent" / "volume of a pod")
    (data / "agent" / "volume of a pod" / "theirs").touch()
    (data / "agent" / "state").touch()
    yield Removal(data, "", tmp_path / "etc" / "kubeconfig")
    mounting.unmount_below(data)
    mounting.unmount(data)


def test_what_is_mounted_goes_and_the_disk_stays(removal: Removal) -> None:
    removal._mounts()
    assert mounting.below(removal.data_dir) == []
    removal._folders()
    assert removal.data_dir.is_mount()
    assert list(removal.data_dir.iterdir()) == []


def test_nothing_is_removed_through_a_mount(removal: Removal) -> None:
    with pytest.raises(OSError, match="volume of a pod is still mounted"):
        removal._folders()
    assert (removal.data_dir / "agent" / "volume of a pod" / "theirs").exists()
