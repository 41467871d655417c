"""A short-lived process that seals or opens what must not lie readable on a node's disk:
`python -m mini8s.app.seal seal|open KEY_FILE`.

AES-256-GCM under a key that HKDF (RFC 5869) makes of the node's private key; what a piece is goes in as the
associated data, so that none passes for another. A line of standard input is a piece, its name and its text
in base64; a line of output is what became of it, empty for what doesn't open. `cryptography` leaves with the
process: it would be 9 MB of the agent's memory, and is 30 ms here.
"""

from __future__ import annotations

import os
import sys
from base64 import b64decode, b64encode
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

PURPOSE = b"mini8s agent state"
_NONCE = 12  # bytes, random: NIST SP 800-38D allows 2^32 of them under one key


def cipher(node_key: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), 32, salt=None, info=PURPOSE).derive(node_key))


def seal(key: AESGCM, name: bytes, text: bytes) -> bytes:
    nonce = os.urandom(_NONCE)
    return nonce + key.encrypt(nonce, text, name)


def unseal(key: AESGCM, name: bytes, sealed: bytes) -> bytes:
    """Empty for what this key didn't seal under that name."""
    try:
        return key.decrypt(sealed[:_NONCE], sealed[_NONCE:], name)
    except (InvalidTag, ValueError):
        return b""


def main() -> int:
    verb, path = sys.argv[1:]
    key = cipher(Path(path).read_bytes())
    work = {"seal": seal, "open": unseal}[verb]
    for line in sys.stdin.buffer:
        name, text = map(b64decode, line.split(b" "))
        sys.stdout.buffer.write(b64encode(work(key, name, text)) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
