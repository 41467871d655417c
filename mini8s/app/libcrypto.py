"""AES-256-GCM by the OpenSSL that Python's own `ssl` has loaded into every process that speaks TLS.

The API process seals what it writes and opens it when it starts; `cryptography` would bring a second OpenSSL
for that: 9 MB, measured, where calls into the one that is there already cost nothing. Where `ssl` was built
with OpenSSL inside itself, `cryptography` does it. The calls are those of EVP_EncryptInit(3), "GCM mode".
"""

from __future__ import annotations

import ctypes
import ssl
from ctypes import c_char_p, c_int, c_void_p
from functools import lru_cache
from pathlib import Path
from typing import Protocol

KEY_BYTES, NONCE_BYTES, TAG_BYTES = 32, 12, 16
_GET_TAG, _SET_TAG = 0x10, 0x11  # EVP_CTRL_AEAD_GET_TAG, EVP_CTRL_AEAD_SET_TAG
GONE = " (deleted)"  # proc(5), /proc/pid/maps
_OF_OPENSSL = ssl.OPENSSL_VERSION  # says that the library is there before it is looked for


class Damaged(Exception):
    """What was sealed has been changed, or belongs elsewhere, or the key is another."""


class Cipher(Protocol):
    def seal(self, nonce: bytes, data: bytes, about: bytes) -> bytes:
        """The sealed data with its tag; `about` is not in it and must be the same to open it."""

    def open(self, nonce: bytes, sealed: bytes, about: bytes) -> bytes:
        """Raises Damaged."""


def cipher(key: bytes) -> Cipher:
    library = _library()
    return _Loaded(library, key) if library is not None else _other(key)


class _Loaded:
    def __init__(self, library: ctypes.CDLL, key: bytes) -> None:
        self._library, self._key = library, key

    def seal(self, nonce: bytes, data: bytes, about: bytes) -> bytes:
        context, room = self._begin(1, nonce, about), ctypes.create_string_buffer(len(data) + TAG_BYTES)
        try:
            self._update(context, room, data)
            tag = ctypes.create_string_buffer(TAG_BYTES)
            _check(self._library.EVP_CipherFinal_ex(context, tag, ctypes.byref(c_int())))
            _check(self._library.EVP_CIPHER_CTX_ctrl(context, _GET_TAG, TAG_BYTES, tag))
            return room.raw[: len(data)] + tag.raw
        finally:
            self._library.EVP_CIPHER_CTX_free(context)

    def open(self, nonce: bytes, sealed: bytes, about: bytes) -> bytes:
        data, tag = sealed[:-TAG_BYTES], sealed[-TAG_BYTES:]
        if len(tag) < TAG_BYTES:
            raise Damaged("it is too short")
        context, room = self._begin(0, nonce, about), ctypes.create_string_buffer(len(data) + TAG_BYTES)
        try:
            self._update(context, room, data)
            _check(self._library.EVP_CIPHER_CTX_ctrl(context, _SET_TAG, TAG_BYTES, tag))
            end = ctypes.create_string_buffer(TAG_BYTES)
            if self._library.EVP_CipherFinal_ex(context, end, ctypes.byref(c_int())) != 1:
                raise Damaged("its tag does not fit")
            return room.raw[: len(data)]
        finally:
            self._library.EVP_CIPHER_CTX_free(context)

    def _begin(self, encrypting: int, nonce: bytes, about: bytes) -> c_void_p:
        context = c_void_p(self._library.EVP_CIPHER_CTX_new())
        if not context:
            raise MemoryError("libcrypto has no memory")
        kind = c_void_p(self._library.EVP_aes_256_gcm())
        _check(self._library.EVP_CipherInit_ex(context, kind, None, self._key, nonce, encrypting))
        _check(self._library.EVP_CipherUpdate(context, None, ctypes.byref(c_int()), about, len(about)))
        return context

    def _update(self, context: c_void_p, room: ctypes.Array[ctypes.c_char], data: bytes) -> None:
        _check(self._library.EVP_CipherUpdate(context, room, ctypes.byref(c_int()), data, len(data)))


def _check(answer: int) -> None:
    if answer != 1:
        raise RuntimeError("libcrypto refuses AES-256-GCM")


def mapped(maps: str) -> str:
    """What dlopen(3) finds the library by that is there already; empty for none. One that was replaced on the
    disk since (an update beside a server that runs) is still found by its name without a folder."""
    lines = (line.split(maxsplit=5) for line in maps.splitlines() if "/libcrypto" in line)
    path = next((words[5] for words in lines), "")
    return Path(path).name.removesuffix(GONE) if path.endswith(GONE) else path


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL | None:
    """The very file that is mapped into this process, whatever its name's version."""
    found = mapped(Path("/proc/self/maps").read_text())
    if not found:
        return None
    library = ctypes.CDLL(found)
    for name in ("EVP_CIPHER_CTX_new", "EVP_aes_256_gcm"):
        getattr(library, name).restype = c_void_p
    library.EVP_CIPHER_CTX_free.argtypes, library.EVP_CIPHER_CTX_free.restype = (c_void_p,), None
    library.EVP_CipherInit_ex.argtypes = (c_void_p, c_void_p, c_void_p, c_char_p, c_char_p, c_int)
    library.EVP_CipherUpdate.argtypes = (c_void_p, c_void_p, c_void_p, c_char_p, c_int)
    library.EVP_CipherFinal_ex.argtypes = (c_void_p, c_void_p, c_void_p)
    library.EVP_CIPHER_CTX_ctrl.argtypes = (c_void_p, c_int, c_int, c_void_p)
    return library


def _other(key: bytes) -> Cipher:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    class Other:
        def seal(self, nonce: bytes, data: bytes, about: bytes) -> bytes:
            return AESGCM(key).encrypt(nonce, data, about)

        def open(self, nonce: bytes, sealed: bytes, about: bytes) -> bytes:
            try:
                return AESGCM(key).decrypt(nonce, sealed, about)
            except InvalidTag as error:
                raise Damaged("its tag does not fit") from error

    return Other()
