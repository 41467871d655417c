"""JSON Web Tokens signed with RSA (RFC 7515 to 7519), as far as the API reads them: taken apart, and checked
with a public key.

A check is arithmetic on public numbers (RFC 8017, 8.2.2): one power and one comparison. So no process that
only checks tokens has to carry a cryptographic library. Signing touches a secret and is `app.token_signer`'s.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mini8s.objects.errors import BadRequest
from mini8s.wire.codec import decode_json, encode_json

ALGORITHM = "RS256"
LONGEST = 16 * 1024  # characters; ours have 1,200
# What DER puts before a SHA-256 digest (RFC 8017, 9.2, note 1).
_DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")


class BadJwt(ValueError):
    """Text that is no token, or one that none of the keys has signed."""


@dataclass(frozen=True, slots=True)
class Key:
    """An RSA public key: modulus and exponent."""

    modulus: int
    exponent: int

    def verifies(self, message: bytes, signature: bytes) -> bool:
        size = (self.modulus.bit_length() + 7) // 8
        if len(signature) != size:
            return False
        number = pow(int.from_bytes(signature), self.exponent, self.modulus)
        return hmac.compare_digest(number.to_bytes(size), _encoded(message, size))


class Keys:
    """The public keys of a JSON Web Key Set (RFC 7517), by their ids."""

    def __init__(self, key_set: Mapping[str, Any]) -> None:
        self._keys = {
            str(item["kid"]): Key(int.from_bytes(decode(item["n"])), int.from_bytes(decode(item["e"])))
            for item in key_set["keys"]
            if item.get("kty") == "RSA"
        }

    def claims(self, token: str) -> dict[str, Any]:
        """What a token that one of the keys has signed says. Raises BadJwt."""
        parts = token.split(".")
        if len(parts) != 3 or len(token) > LONGEST:
            raise BadJwt("the token has not three parts")
        head, claims = _object(parts[0]), _object(parts[1])
        key = self._keys.get(str(head.get("kid")))
        if key is None or head.get("alg") != ALGORITHM:
            raise BadJwt("the token is signed by none of our keys")
        if not key.verifies(f"{parts[0]}.{parts[1]}".encode(), decode(parts[2])):
            raise BadJwt("the token's signature is not that of its text")
        return claims


def signing_input(key_id: str, claims: Mapping[str, Any]) -> bytes:
    """The part of a token that is signed."""
    head = {"alg": ALGORITHM, "kid": key_id}
    return encode(encode_json(head)) + b"." + encode(encode_json(claims))


def encode(data: bytes) -> bytes:
    """base64url without padding (RFC 7515, appendix C)."""
    return urlsafe_b64encode(data).rstrip(b"=")


def decode(text: str) -> bytes:
    """Raises BadJwt."""
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as error:
        raise BadJwt("a part of the token is not base64url") from error


def _encoded(message: bytes, size: int) -> bytes:
    """EMSA-PKCS1-v1_5 (RFC 8017, 9.2)."""
    digest = _DIGEST_INFO + hashlib.sha256(message).digest()
    return b"\x00\x01" + b"\xff" * (size - len(digest) - 3) + b"\x00" + digest


def _object(part: str) -> dict[str, Any]:
    try:
        value = decode_json(decode(part))
    except BadRequest as error:
        raise BadJwt("a part of the token is not JSON") from error
    if not isinstance(value, dict):
        raise BadJwt("a part of the token is not an object")
    return value
