"""A snapshot under a passphrase: AES-256-GCM over pieces of the stream.

    magic | salt (16) | pieces: [length (4) | ciphertext with tag]

The key is scrypt's (RFC 7914) of the passphrase and the salt. A piece's number is its nonce, so that none
can be moved, and the last one says so in its associated data, so that none can be cut off (the STREAM
construction of Hoang, Reyhanitabar, Rogaway and Vizár, 2015). A salt is used once, so a nonce is too.
"""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import IO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mini8s.app.snapshots.base import BadSnapshot, SnapshotError

MAGIC = b"mini8s sealed snapshot 1\n"
PIECE = 1 << 20
_TAG = 16
_SALT = 16
_LAST, _MORE = b"last", b"more"


def passphrase(path: str) -> bytes:
    """The first line of a file. Raises SnapshotError."""
    try:
        found = Path(path).read_bytes().partition(b"\n")[0].strip()
    except OSError as error:
        raise SnapshotError(f"the passphrase in {path} can't be read: {error.strerror}") from error
    if not found:
        raise SnapshotError(f"the passphrase in {path} is empty")
    return found


def _cipher(secret: bytes, salt: bytes) -> AESGCM:
    """16 MB and a tenth of a second, so that guessing is slow and a small board can still do it."""
    return AESGCM(hashlib.scrypt(secret, salt=salt, n=1 << 14, r=8, p=1, maxmem=64 << 20, dklen=32))


class Sealing(io.RawIOBase):
    """What is written to it goes sealed into a file."""

    def __init__(self, target: IO[bytes], secret: bytes) -> None:
        salt = os.urandom(_SALT)
        self._target, self._key, self._number, self._waiting = target, _cipher(secret, salt), 0, bytearray()
        target.write(MAGIC + salt)

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        view = memoryview(data)  # type: ignore[arg-type]
        self._waiting += view
        while len(self._waiting) > PIECE:  # the last piece is never sent before it is known to be that
            self._send(bytes(self._waiting[:PIECE]), _MORE)
            del self._waiting[:PIECE]
        return view.nbytes

    def finish(self) -> None:
        self._send(bytes(self._waiting), _LAST)
        self._waiting.clear()

    def _send(self, piece: bytes, place: bytes) -> None:
        sealed = self._key.encrypt(self._number.to_bytes(12, "big"), piece, place)
        self._target.write(len(sealed).to_bytes(4, "big") + sealed)
        self._number += 1


class Opening(io.RawIOBase):
    """Reads what `Sealing` wrote, from behind the magic. Raises BadSnapshot for the wrong passphrase and for
    what was changed or cut off."""

    def __init__(self, source: IO[bytes], secret: bytes, where: str) -> None:
        self._source, self._key, self._where = source, _cipher(secret, source.read(_SALT)), where
        self._number, self._ready, self._ended = 0, b"", False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        while not self._ready and not self._ended:
            self._ready = self._next()
        taken = self._ready[: len(view)]
        view[: len(taken)] = taken
        self._ready = self._ready[len(taken) :]
        return len(taken)

    def _next(self) -> bytes:
        length = int.from_bytes(self._source.read(4), "big")
        sealed = self._source.read(min(length, PIECE + _TAG))
        nonce = self._number.to_bytes(12, "big")
        self._number += 1
        for place in (_MORE, _LAST):
            try:
                piece = self._key.decrypt(nonce, sealed, place)
            except (InvalidTag, ValueError):
                continue
            self._ended = place == _LAST
            return piece
        what = "truncated or damaged" if self._number > 1 else "under another passphrase, or damaged"
        raise BadSnapshot(f"{self._where} is {what}")
