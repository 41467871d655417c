"""A data folder that can't be written: one sentence that names the file."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from mini8s.app import bootstrap, host, server
from mini8s.app.host import HostError
from mini8s.config import ServerSettings


def test_a_folder_that_cant_be_made(tmp_path: Path) -> None:
    (tmp_path / "server").write_text("a file is in the way")
    with pytest.raises(HostError, match=r"/server.* can't be written: "):
        host.lock(tmp_path / "server" / "lock")


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")  # as write(2) fails: without a name

    monkeypatch.setattr(bootstrap, "prepare_server", full)
    monkeypatch.setattr(os, "umask", lambda _: 0)  # this process has other tests to run
    settings = replace(
        ServerSettings(),
        data_dir=str(tmp_path),
        node_name="h1",
        node_ip="192.0.2.1",
        advertise_address="192.0.2.1",
    )
    with pytest.raises(HostError, match=f"^{tmp_path} can't be written: No space left on device$"):
        server.prepare(settings)
