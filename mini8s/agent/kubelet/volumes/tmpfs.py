"""Memory-backed folders, for Secrets and for emptyDir of medium Memory."""

from __future__ import annotations

from pathlib import Path

from mini8s.agent.kubelet import mounting

_MS_NOSUID, _MS_NODEV = 2, 4


def mount(folder: Path, *, size_bytes: int = 0, mode: int = 0o755) -> None:
    """Mount one there unless one is. Raises OSError."""
    if folder.is_mount():
        return
    options = f"mode={mode:o}" + (f",size={size_bytes}" if size_bytes else "")
    mounting.mount("tmpfs", folder, "tmpfs", _MS_NOSUID | _MS_NODEV, options)
