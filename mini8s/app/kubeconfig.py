"""The administrator's kubeconfig, with everything it needs inside it."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import yaml


@dataclass(frozen=True, slots=True)
class Access:
    """How a client reaches and trusts the server, and who it is. PEM throughout."""

    server: str
    ca: bytes
    certificate: bytes
    key: bytes


def render(access: Access, name: str = "default") -> bytes:
    """The file kubectl reads (`v1 Config`)."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": name,
                "cluster": {"server": access.server, "certificate-authority-data": _text(access.ca)},
            }
        ],
        "users": [
            {
                "name": name,
                "user": {
                    "client-certificate-data": _text(access.certificate),
                    "client-key-data": _text(access.key),
                },
            }
        ],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
        "preferences": {},
    }
    return yaml.safe_dump(config, sort_keys=False).encode()


def _text(pem: bytes) -> str:
    return base64.b64encode(pem).decode()
