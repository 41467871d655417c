"""A pod from a template, as every controller of pods makes it, and how two templates are told apart."""

from __future__ import annotations

import copy
import hashlib
from typing import Any

from mini8s.objects import meta, pods
from mini8s.objects.kinds import PODS, Kind, Obj
from mini8s.wire import codec

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # no vowels, nothing that reads as another: no words in names


def pod_from(template: Obj, owner: Obj, kind: Kind) -> Obj:
    """The pod that `owner`, of `kind`, creates: its labels, annotations and finalizers are the template's.
    What the owner says of lost nodes counts for its pods, unless the template says otherwise."""
    said = template.get("metadata") or {}
    metadata: Obj = {
        "generateName": f"{meta.name(owner)}-",
        "namespace": meta.namespace(owner),
        "ownerReferences": [meta.new_controller_ref(owner, kind)],
    }
    for field in ("labels", "annotations", "finalizers"):
        if said.get(field):
            metadata[field] = copy.deepcopy(said[field])
    if policy := meta.annotations(owner).get(pods.ON_NODE_LOST):
        metadata["annotations"] = {pods.ON_NODE_LOST: policy} | metadata.get("annotations", {})
    return {
        "apiVersion": PODS.api_version,
        "kind": PODS.kind,
        "metadata": metadata,
        "spec": copy.deepcopy(template["spec"]),
    }


def template_hash(template: Obj, collisions: int | None) -> str:
    """Ten safe characters that depend on nothing but the template, and on how often such a name was taken."""
    text = codec.encode_json(_sorted(template)) + (
        str(collisions).encode() if collisions is not None else b""
    )
    number = int.from_bytes(hashlib.sha256(text).digest()[:8], "big")
    letters = []
    for _ in range(10):
        number, place = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[place])
    return "".join(letters)


def plain(template: Obj, *without: str) -> Obj:
    """A template without these labels, and without parts that say nothing."""
    metadata = {key: value for key, value in (template.get("metadata") or {}).items() if value}
    if "labels" in metadata:
        metadata["labels"] = {key: value for key, value in metadata["labels"].items() if key not in without}
    return template | {"metadata": metadata}


def _sorted(value: Any) -> Any:
    """The same JSON whatever order its keys came in."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    return value
