"""A service account issuer with a key of its own, made once: what the server's bootstrap and signer do."""

from __future__ import annotations

from functools import cache
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from mini8s.registry.token_requests import Issuer
from mini8s.wire import jwt, tls

NAME = "https://kubernetes.default.svc.cluster.local"


@cache
def _key() -> tuple[rsa.RSAPrivateKey, dict[str, str]]:
    pem, public = tls.new_token_key()
    key = serialization.load_pem_private_key(pem, None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key, public


def sign(claims: dict[str, Any]) -> str:
    key, public = _key()
    text = jwt.signing_input(public["kid"], claims)
    return (text + b"." + jwt.encode(key.sign(text, padding.PKCS1v15(), hashes.SHA256()))).decode()


def issuer() -> Issuer:
    return Issuer(NAME, (NAME,), sign)


def key_set() -> dict[str, Any]:
    return {"keys": [_key()[1]]}
