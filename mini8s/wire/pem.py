"""Certificates in PEM, one after the other (RFC 7468): a bundle taken apart."""

from __future__ import annotations

import hashlib
import re

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----\s.*?-----END CERTIFICATE-----", re.DOTALL)


def certificates(bundle: bytes) -> list[bytes]:
    """Each as a file of its own would have it."""
    return [found[0] + b"\n" for found in _CERTIFICATE.finditer(bundle)]


def fingerprint(pem: bytes) -> str:
    """SHA-256 of the text as it stands, hex: what a join token carries of an authority (as k3s computes
    it)."""
    return hashlib.sha256(pem).hexdigest()
