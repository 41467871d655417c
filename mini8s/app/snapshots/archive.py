"""The file of a snapshot: a gzipped tar whose first member, `manifest.json`, has the hashes of all others.

Nothing that is read is trusted before its hash was right: members are written into a folder that nobody uses
yet. A file that ends early, has more in it than it says, or leads out of the folder is refused in a sentence.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from mini8s.app.snapshots.base import BadSnapshot, Manifest, Member, parse_manifest

MANIFEST = "manifest.json"
_MANIFEST_MOST = 16 << 20
_CHUNK = 1 << 20
_SEALED = b"mini8s sealed snapshot"


def member(name: str, path: Path) -> Member:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    said = path.stat()
    return Member(name, digest, said.st_size, said.st_mode & 0o777)


def write(target: Path, manifest: Manifest, sources: Mapping[str, Path], secret: bytes = b"") -> None:
    """Write the file whole, for root alone, and to the disk. Raises OSError."""
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        if secret:
            from mini8s.app.snapshots.seal import Sealing  # cryptography is large: only for who wants it

            sealing = Sealing(file, secret)
            _pack(cast("IO[bytes]", sealing), manifest, sources)
            sealing.finish()
        else:
            _pack(file, manifest, sources)
        file.flush()
        os.fsync(file.fileno())


def _pack(file: IO[bytes], manifest: Manifest, sources: Mapping[str, Path]) -> None:
    when = int(manifest.taken.timestamp())
    with (
        gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=when) as packed,
        tarfile.open(fileobj=packed, mode="w|") as tar,
    ):
        said = json.dumps(manifest.to_json(), indent=1).encode()
        tar.addfile(_entry(MANIFEST, len(said), 0o600, when), io.BytesIO(said))
        for one in manifest.members:
            with sources[one.name].open("rb") as source:
                tar.addfile(_entry(one.name, one.size, one.mode, when), source)


def _entry(name: str, size: int, mode: int, when: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = size, mode, when
    return entry


def read_manifest(path: Path, secret: bytes = b"") -> Manifest:
    """What the file says of itself, of which nothing has been checked. Raises BadSnapshot."""
    with _unpacking(path, secret) as (tar, _):
        return _manifest(tar, path)


def verify(path: Path, secret: bytes = b"") -> Manifest:
    """Read all of it. Raises BadSnapshot."""
    return _take_all(path, secret, None)


def extract(path: Path, folder: Path, secret: bytes = b"") -> Manifest:
    """Write what it holds into a folder that exists. Raises BadSnapshot, OSError."""
    return _take_all(path, secret, folder)


def is_sealed(path: Path) -> bool:
    """Raises BadSnapshot."""
    try:
        with path.open("rb") as file:
            return file.read(len(_SEALED)) == _SEALED
    except OSError as error:
        raise BadSnapshot(f"{path} can't be read: {error.strerror}") from error


def _take_all(path: Path, secret: bytes, folder: Path | None) -> Manifest:
    with _unpacking(path, secret) as (tar, packed):
        manifest = _manifest(tar, path)
        left = {one.name: one for one in manifest.members}
        while (entry := tar.next()) is not None:
            said = left.pop(entry.name, None)
            content = tar.extractfile(entry)
            if said is None or content is None or entry.size != said.size:
                raise BadSnapshot(f"{path} is damaged: {entry.name} is not what its manifest says")
            _take(content, said, folder, path)
        while packed.read(_CHUNK):
            pass  # to its own checksum at the end
    if left:
        raise BadSnapshot(f"{path} is damaged: {min(left)} is missing")
    return manifest


def _take(content: IO[bytes], said: Member, folder: Path | None, where: Path) -> None:
    digest = hashlib.sha256()
    with _target(folder, said) as target:
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
            target.write(chunk)
        target.flush()
        if folder is not None:
            os.fsync(target.fileno())  # it gets its name when all of it is on the disk
    if digest.hexdigest() != said.sha256:
        raise BadSnapshot(f"{where} is damaged: {said.name} has another hash than its manifest says")


def _target(folder: Path | None, said: Member) -> IO[bytes]:
    if folder is None:
        return Path(os.devnull).open("wb")
    path = folder / said.name
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    target = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
    os.fchmod(target.fileno(), said.mode)
    return target


def _manifest(tar: tarfile.TarFile, path: Path) -> Manifest:
    entry = tar.next()
    content = tar.extractfile(entry) if entry and entry.name == MANIFEST else None
    if content is None:
        raise BadSnapshot(f"{path} is not a snapshot of mini8s")
    try:
        said: Any = json.loads(content.read(_MANIFEST_MOST))
    except ValueError as error:
        raise BadSnapshot(f"{path} is not a snapshot of mini8s") from error
    return parse_manifest(said, str(path))


@contextmanager
def _unpacking(path: Path, secret: bytes) -> Iterator[tuple[tarfile.TarFile, gzip.GzipFile]]:
    try:
        with _plain(path, secret) as file, gzip.GzipFile(fileobj=file) as packed:
            if not packed.peek(1):
                raise BadSnapshot(f"{path} is empty")
            with tarfile.open(fileobj=packed, mode="r|") as tar:
                yield tar, packed
    except gzip.BadGzipFile as error:
        raise BadSnapshot(f"{path} is not a snapshot of mini8s, or damaged") from error
    except tarfile.TarError as error:
        raise BadSnapshot(f"{path} is not a snapshot of mini8s, or truncated") from error
    except (EOFError, zlib.error) as error:
        raise BadSnapshot(f"{path} is truncated or damaged") from error


@contextmanager
def _plain(path: Path, secret: bytes) -> Iterator[IO[bytes]]:
    sealed = is_sealed(path)
    if sealed and not secret:
        raise BadSnapshot(f"{path} is encrypted: give the file with its passphrase (--decrypt-with)")
    with path.open("rb") as file:
        if not sealed:
            yield file
            return
        from mini8s.app.snapshots.seal import MAGIC, Opening

        if file.read(len(MAGIC)) != MAGIC:
            raise BadSnapshot(f"{path} is encrypted in a way that this mini8s does not know")
        with io.BufferedReader(Opening(file, secret, str(path)), _CHUNK) as opened:
            yield cast("IO[bytes]", opened)
