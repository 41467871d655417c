"""PURE: what of an object is worth a write to the disk.

An agent that works alone needs what it acts upon. Whoever manages which field is nothing to it, and other
nodes' heartbeats would wear the flash of all.
"""

from __future__ import annotations

import hashlib

from mini8s.objects.kinds import NODES, SECRETS, Kind, Obj
from mini8s.wire.codec import encode_json

SEALED = frozenset({SECRETS})  # kinds that must not lie readable on a disk


def essence(kind: Kind, obj: Obj) -> Obj:
    """A copy without what no part of the agent reads; of a node's status only its addresses."""
    kept = obj | {
        "metadata": {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    }
    if kind is NODES and "status" in obj:
        kept["status"] = {"addresses": obj["status"].get("addresses") or []}
    return kept


def digest(obj: Obj) -> bytes:
    """Equal for two revisions that say the same: those are not worth a write."""
    metadata = obj.get("metadata") or {}
    bare = obj | {"metadata": {key: value for key, value in metadata.items() if key != "resourceVersion"}}
    return hashlib.blake2b(encode_json(bare), digest_size=8).digest()
