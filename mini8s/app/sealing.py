"""Secrets on the disk: sealed by the store's writer, opened when the store is read, under keys in a file that
is root's alone.

A sealed value says which key it is under, so that keys can change while old values are still there. The first
key of the file seals, all of them open. A value is bound to its store key and can't be put under another. The
file is written when everything stored could be opened: a start with the wrong file changes nothing.

Who copies the database and the keys, one after the other and from another process, holds the keys still
meanwhile: a copy whose keys are newer than its values could not be read.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mini8s.app.layout import write_private
from mini8s.app.libcrypto import KEY_BYTES, NONCE_BYTES, Cipher, Damaged, cipher
from mini8s.objects.kinds import SECRETS, by_word
from mini8s.store.base import Unreadable

_MARK = b"\x00sealed1:"  # no JSON begins so
_ID_BYTES = 8
_HEAD = len(_MARK) + _ID_BYTES


@dataclass(frozen=True, slots=True)
class DataKey:
    id: bytes
    key: bytes

    @classmethod
    def new(cls) -> DataKey:
        return cls(os.urandom(_ID_BYTES), os.urandom(KEY_BYTES))


class KeysHeld(Exception):
    """Somebody copies the keys, or changes them."""


class UnknownKind(Exception):
    """A kind to be encrypted that there is not."""


def sealed_prefixes(also: Sequence[str]) -> list[str]:
    """Of Secrets, and of the further kinds. Raises UnknownKind."""
    found = [SECRETS]
    for word in also:
        kind = by_word(word)
        if kind is None or not kind.kept:
            raise UnknownKind(f"--encrypt-also {word}: there is no such kind")
        found.append(kind)
    return [kind.prefix() for kind in found]


@contextmanager
def still(path: Path) -> Iterator[None]:
    """No key goes from the file meanwhile; waits for who is at it."""
    with _folder_held(path, fcntl.LOCK_SH):
        yield


@contextmanager
def changing(path: Path, *, wait: bool) -> Iterator[None]:
    """Around everything that may drop a key. Who serves others meanwhile must not wait. Raises KeysHeld."""
    with _folder_held(path, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB)):
        yield


@contextmanager
def _folder_held(path: Path, how: int) -> Iterator[None]:
    """By a lock on its folder, for the file itself is replaced. Without a folder there are no keys yet."""
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield
        return
    try:
        try:
            fcntl.flock(folder, how)
        except BlockingIOError as error:
            raise KeysHeld(f"{path} is being copied or changed") from error
        yield
    finally:
        os.close(folder)


class Sealer:
    """`mini8s.store.base.Sealer`. `prefixes` are those of the store keys whose values are sealed."""

    def __init__(self, path: Path, prefixes: Sequence[str]) -> None:
        """Raises Unreadable when the file is there and can't be understood."""
        self.prefixes = tuple(prefixes)
        self._path = path
        self._keys = _read(path) or (DataKey.new(),)
        self._ciphers: dict[bytes, Cipher] = {}
        self._learn(self._keys)

    def seal(self, key: str, value: bytes) -> bytes:
        if not key.startswith(self.prefixes):
            return value
        current, nonce = self._keys[0].id, os.urandom(NONCE_BYTES)
        return _MARK + current + nonce + self._ciphers[current].seal(nonce, value, key.encode())

    def open(self, key: str, stored: bytes) -> bytes:
        if not stored.startswith(_MARK):
            return stored
        under = self._ciphers.get(stored[len(_MARK) : _HEAD])
        if under is None:
            name = stored[len(_MARK) : _HEAD].hex()
            raise Unreadable(
                f"{key} is encrypted under the key {name}, which is not in {self._path}: put that file back"
            )
        nonce, sealed = stored[_HEAD : _HEAD + NONCE_BYTES], stored[_HEAD + NONCE_BYTES :]
        try:
            return under.open(nonce, sealed, key.encode())
        except Damaged as error:
            raise Unreadable(f"{key} can't be decrypted with the keys in {self._path}: {error}") from error

    def stale(self, stored: bytes) -> bool:
        return not stored.startswith(_MARK + self._keys[0].id)

    def ready(self) -> None:
        self._write(self._keys)

    def renew(self) -> None:
        """Seal under a new key from now on; the others still open."""
        self._write((DataKey.new(), *self._keys))

    def settled(self) -> None:
        """Drop all keys but the newest: nothing is sealed under them any more."""
        self._write(self._keys[:1])

    def _write(self, keys: tuple[DataKey, ...]) -> None:
        """On the disk before it is used."""
        said = [{"id": key.id.hex(), "key": base64.b64encode(key.key).decode()} for key in keys]
        write_private(self._path, json.dumps({"keys": said}, indent=1).encode() + b"\n")
        self._learn(keys)
        self._keys = keys

    def _learn(self, keys: tuple[DataKey, ...]) -> None:
        self._ciphers = {key.id: cipher(key.key) for key in keys}


def _read(path: Path) -> tuple[DataKey, ...]:
    try:
        said = json.loads(path.read_bytes())["keys"]
        found = tuple(DataKey(bytes.fromhex(one["id"]), base64.b64decode(one["key"])) for one in said)
    except FileNotFoundError:
        return ()
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise Unreadable(f"{path} holds no keys as mini8s writes them: put back the right file") from error
    if not found or any((len(key.id), len(key.key)) != (_ID_BYTES, KEY_BYTES) for key in found):
        raise Unreadable(f"{path} holds no keys as mini8s writes them: put back the right file")
    return found
