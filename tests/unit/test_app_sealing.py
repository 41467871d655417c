"""What is sealed for the disk: only by its own keys and under its own name it opens; keys change."""

from __future__ import annotations

import ctypes
import json
import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mini8s.app import libcrypto
from mini8s.app.sealing import Sealer, UnknownKind, sealed_prefixes
from mini8s.store.base import Unreadable

NAME, VALUE = "/secrets/default/a", b'{"data":{"k":"dmFsdWU="}}'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cred" / "keys.json"


def sealer(path: Path) -> Sealer:
    made = Sealer(path, ["/secrets/"])
    made.ready()
    return made


@pytest.mark.parametrize("size", [0, 1, 16, 1000, 100_000])
def test_it_is_the_aes_that_others_have(size: int) -> None:
    key, nonce, data = os.urandom(32), os.urandom(12), os.urandom(size)
    ours, theirs = libcrypto.cipher(key), AESGCM(key)
    assert ours.seal(nonce, data, b"about") == theirs.encrypt(nonce, data, b"about")
    assert ours.open(nonce, theirs.encrypt(nonce, data, b"x"), b"x") == data


def test_without_the_library_it_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    key, nonce = os.urandom(32), os.urandom(12)
    sealed = libcrypto.cipher(key).seal(nonce, b"word", b"about")
    monkeypatch.setattr(libcrypto, "_library", lambda: None)
    other = libcrypto.cipher(key)
    assert other.seal(nonce, b"word", b"about") == sealed
    with pytest.raises(libcrypto.Damaged):
        other.open(nonce, sealed, b"elsewhere")


def test_a_library_that_was_replaced_on_the_disk_is_still_found() -> None:
    line = "7f2a-7f2b r--p 00000000 fe:00 1234                     /usr/lib/x86_64-linux-gnu/libcrypto.so.3"
    assert libcrypto.mapped("") == ""
    assert libcrypto.mapped(f"{line}\n") == "/usr/lib/x86_64-linux-gnu/libcrypto.so.3"
    gone = libcrypto.mapped(f"{line} (deleted)\n")
    there = libcrypto.mapped(Path("/proc/self/maps").read_text())
    assert gone == "libcrypto.so.3"
    assert ctypes.CDLL(Path(there).name)._handle == ctypes.CDLL(there)._handle


def test_what_was_changed_does_not_open() -> None:
    cipher, nonce = libcrypto.cipher(os.urandom(32)), os.urandom(12)
    sealed = cipher.seal(nonce, b"word", b"about")
    for wrong in (sealed[:-1], sealed[:3], b"", bytes([sealed[0] ^ 1]) + sealed[1:]):
        with pytest.raises(libcrypto.Damaged):
            cipher.open(nonce, wrong, b"about")


def test_of_the_kinds_asked_for_nothing_can_be_read(path: Path) -> None:
    made = sealer(path)
    sealed = made.seal(NAME, VALUE)
    assert b"dmFsdWU" not in sealed
    assert made.open(NAME, sealed) == VALUE
    assert sealer(path).open(NAME, sealed) == VALUE
    assert made.seal("/pods/default/a", VALUE) == VALUE
    assert made.open(NAME, VALUE) == VALUE  # from before
    assert made.stale(VALUE)
    assert not made.stale(sealed)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_under_another_name_it_does_not_open(path: Path) -> None:
    made = sealer(path)
    with pytest.raises(Unreadable, match="can't be decrypted"):
        made.open("/secrets/default/b", made.seal(NAME, VALUE))


def test_a_new_key_opens_what_the_old_one_sealed_until_that_is_forgotten(path: Path) -> None:
    made = sealer(path)
    old = made.seal(NAME, VALUE)
    made.renew()
    assert made.stale(old)
    assert made.open(NAME, old) == VALUE
    assert sealer(path).open(NAME, old) == VALUE
    new = made.seal(NAME, VALUE)
    made.settled()
    assert sealer(path).open(NAME, new) == VALUE
    with pytest.raises(Unreadable, match="put that file back"):
        made.open(NAME, old)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"keys": []}', '{"keys": [{"id": "aa", "key": "AAAA"}]}'])
def test_a_file_that_holds_no_keys_is_told_and_left(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(Unreadable, match="holds no keys"):
        Sealer(path, ["/secrets/"])
    assert path.read_text() == text


def test_no_file_is_written_before_everything_could_be_read(path: Path) -> None:
    Sealer(path, ["/secrets/"])
    assert not path.exists()
    sealer(path)
    assert len(json.loads(path.read_text())["keys"]) == 1


def test_kinds_are_named_as_people_name_them() -> None:
    assert sealed_prefixes(["cm", "deployments.apps"]) == ["/secrets/", "/configmaps/", "/deployments.apps/"]
    with pytest.raises(UnknownKind):
        sealed_prefixes(["nothing"])
