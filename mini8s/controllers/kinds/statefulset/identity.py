"""What makes a pod the one of its number: name, host name and labels (`stateful_set_utils.go`)."""

from __future__ import annotations

from mini8s.controllers import history
from mini8s.controllers.template import pod_from
from mini8s.objects import meta
from mini8s.objects.kinds import STATEFULSETS, Obj

POD_NAME = "statefulset.kubernetes.io/pod-name"
POD_INDEX = "apps.kubernetes.io/pod-index"
_DIGITS = 10  # more than any int32 has


def numbers(owner: Obj) -> range:
    """Of the pods that a StatefulSet wants."""
    spec = owner["spec"]
    start = int((spec.get("ordinals") or {}).get("start") or 0)
    return range(start, start + int(spec.get("replicas", 1)))


def name(owner: Obj, number: int) -> str:
    return f"{meta.name(owner)}-{number}"


def number_of(owner: Obj, pod_name: str) -> int | None:
    """The number in a name that the StatefulSet would give; None for any other, `web-01` too."""
    prefix, _, digits = pod_name.rpartition("-")
    if prefix != meta.name(owner) or not digits.isdecimal() or len(digits) > _DIGITS:
        return None
    return int(digits) if digits.isascii() and str(int(digits)) == digits else None


def labels(owner: Obj, number: int) -> dict[str, str]:
    return {POD_NAME: name(owner, number), POD_INDEX: str(number)}


def new_pod(owner: Obj, revision: Obj, number: int) -> Obj:
    """The pod of a number as a revision's template has it, its claims in place of the volumes so called."""
    pod = pod_from(history.template_of(revision), owner, STATEFULSETS)
    metadata, spec = pod["metadata"], pod["spec"]
    del metadata["generateName"]
    metadata["name"] = name(owner, number)
    metadata["labels"] = {
        **metadata.get("labels", {}),
        **labels(owner, number),
        history.HASH: meta.name(revision),
    }
    spec["hostname"] = metadata["name"]
    if owner["spec"].get("serviceName"):
        spec["subdomain"] = owner["spec"]["serviceName"]
    templates = [meta.name(claim) for claim in owner["spec"].get("volumeClaimTemplates") or ()]
    if templates:
        others = [volume for volume in spec.get("volumes") or () if volume.get("name") not in templates]
        spec["volumes"] = [*(_volume(owner, template, number) for template in templates), *others]
    return pod


def claim_name(owner: Obj, template: str, number: int) -> str:
    return f"{template}-{name(owner, number)}"


def number_of_claim(owner: Obj, name: str) -> int | None:
    """The number whose claim has this name; None for any other."""
    for template in owner["spec"].get("volumeClaimTemplates") or ():
        prefix = f"{meta.name(template)}-"
        if name.startswith(prefix) and (number := number_of(owner, name.removeprefix(prefix))) is not None:
            return number
    return None


def _volume(owner: Obj, template: str, number: int) -> Obj:
    return {"name": template, "persistentVolumeClaim": {"claimName": claim_name(owner, template, number)}}
