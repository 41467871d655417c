"""The Secret that says which key a node has: its SHA-256, by which the node is known."""

from __future__ import annotations

import base64

from mini8s.objects.kinds import SECRETS, Obj

NAMESPACE = "kube-system"
TYPE = "mini8s.io/node-key"
KEY = "sha256"
AUTHORITY = "mini8s.io/certificate-authority"  # annotation: the SHA-256 of the one that signed for it last
_ENDING = ".node-key.mini8s"


def secret_name(node: str) -> str:
    return f"{node}{_ENDING}"


def node_of(name: str) -> str:
    """Whose a Secret of that name is."""
    return name.removesuffix(_ENDING)


def made(node: str, key: str, authority: str = "") -> Obj:
    return {
        "apiVersion": SECRETS.api_version,
        "kind": SECRETS.kind,
        "metadata": {
            "namespace": NAMESPACE,
            "name": secret_name(node),
            "annotations": {AUTHORITY: authority} if authority else {},
        },
        "type": TYPE,
        "immutable": True,
        "data": {KEY: base64.b64encode(key.encode()).decode()},
    }


def other_key(node: str) -> str:
    return (
        f"a host with another key has joined as {node}: if this one takes its place, "
        f"run `mini8s node replace {node}` on the server and join again; else give it another --node-name"
    )
