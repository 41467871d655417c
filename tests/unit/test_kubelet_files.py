"""Volumes as folders: written at once, never out of their place."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from fakes.runtime import FakeRuntime

from mini8s.agent.kubelet.images.folder import ImageFolder
from mini8s.agent.kubelet.lookup import Missing
from mini8s.agent.kubelet.volumes import atomic, host_path
from mini8s.agent.kubelet.volumes.payload import File
from mini8s.util.clock import FakeClock

NAMES = map(str, itertools.count())


def write(folder: Path, **files: bytes) -> bool:
    named = {path.replace("__", "/"): File(data, 0o640) for path, data in files.items()}
    return atomic.write(folder, named, stamp=lambda: next(NAMES))


def visible(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.relative_to(folder).parts[0].startswith("..")
    } | {name: (folder / name).read_bytes() for name in ("sub/b",) if (folder / name).is_file()}


def test_files_change_all_at_once(tmp_path: Path) -> None:
    assert write(tmp_path, a=b"1", sub__b=b"2")
    assert visible(tmp_path) == {"a": b"1", "sub/b": b"2"}
    data = (tmp_path / "..data").resolve()
    assert (tmp_path / "a").resolve().parent == data
    assert (data / "a").stat().st_mode & 0o777 == 0o640
    assert not write(tmp_path, a=b"1", sub__b=b"2"), "the same again changes nothing"
    assert (tmp_path / "..data").resolve() == data
    assert write(tmp_path, a=b"3")
    assert visible(tmp_path) == {"a": b"3"}
    assert not data.exists()


def test_a_path_that_leads_out_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="leads out"):
        atomic.write(tmp_path, {"../x": File(b"", 0o644)}, stamp=lambda: "s")


def test_host_path_types(tmp_path: Path) -> None:
    made = host_path.source({"path": str(tmp_path / "d" / "e"), "type": "DirectoryOrCreate"})
    assert Path(made).is_dir()
    assert Path(host_path.source({"path": str(tmp_path / "f"), "type": "FileOrCreate"})).is_file()
    with pytest.raises(Missing, match="is not a socket file"):
        host_path.source({"path": made, "type": "Socket"})
    with pytest.raises(Missing, match="is not a directory"):
        host_path.source({"path": str(tmp_path / "none"), "type": "Directory"})
    assert host_path.source({"path": "/any"}) == "/any"


def test_image_files_are_loaded_once(tmp_path: Path) -> None:
    runtime, arrived = FakeRuntime(FakeClock().now), []
    images = tmp_path / "agent" / "images"

    def folder() -> ImageFolder:
        return ImageFolder(tmp_path, runtime, arrived.extend)

    first = folder()
    first.prepare()
    first.scan()
    assert first.loaded
    (images / "a.tar").write_text("x")
    (images / "bad.tar").write_text("x")
    (images / "note.txt").write_text("x")
    runtime.archives[str(images / "a.tar")] = ["a:1"]
    first.scan()
    first.scan()
    assert (arrived, runtime.count("load"), first.pinned) == (["a:1"], 2, frozenset({"a:1"}))
    folder().scan()
    assert runtime.count("load") == 3, "only the bad one is tried again by a new agent"
    runtime.local.clear()
    folder().scan()
    assert "a:1" in runtime.local, "an engine that lost the image gets it again"
