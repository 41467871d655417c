"""What every object says of itself in `metadata`: short readers that take a missing part for an empty one."""

from typing import Any

from mini8s.objects.kinds import Kind, Obj


def name(obj: Obj) -> str:
    return str(_metadata(obj).get("name") or "")


def namespace(obj: Obj) -> str:
    return str(_metadata(obj).get("namespace") or "")


def uid(obj: Obj) -> str:
    return str(_metadata(obj).get("uid") or "")


def labels(obj: Obj) -> dict[str, str]:
    return _metadata(obj).get("labels") or {}


def annotations(obj: Obj) -> dict[str, str]:
    return _metadata(obj).get("annotations") or {}


def finalizers(obj: Obj) -> list[str]:
    return _metadata(obj).get("finalizers") or []


def owners(obj: Obj) -> list[Obj]:
    """All owner references, the controller's too."""
    return _metadata(obj).get("ownerReferences") or []


def controller_ref(obj: Obj) -> Obj | None:
    """The owner reference of the one controller that manages the object."""
    return next((ref for ref in owners(obj) if ref.get("controller")), None)


def new_controller_ref(owner: Obj, kind: Kind) -> Obj:
    """The reference that makes `owner`, an object of `kind`, the controller of what carries it."""
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "name": name(owner),
        "uid": uid(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def deleting(obj: Obj) -> bool:
    return bool(_metadata(obj).get("deletionTimestamp"))


def revision(obj: Obj) -> int:
    """The store's revision at which the object last changed; 0 before it was stored."""
    return int(_metadata(obj).get("resourceVersion") or 0)


def generation(obj: Obj) -> int:
    return int(_metadata(obj).get("generation") or 0)


def key(obj: Obj) -> str:
    """`namespace/name`, or the name alone for what lives in no namespace."""
    space = namespace(obj)
    return f"{space}/{name(obj)}" if space else name(obj)


def split_key(text: str) -> tuple[str, str]:
    """The namespace ("" for none) and name that `key` was made of."""
    space, _, rest = text.rpartition("/")
    return space, rest


def _metadata(obj: Obj) -> dict[str, Any]:
    return obj.get("metadata") or {}
