"""Building printer columns: what `kubectl get` shows of an object, cell by cell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from mini8s.objects import labels, meta
from mini8s.objects.kinds import Obj
from mini8s.objects.time import age
from mini8s.registry.base import Column

NONE = "<none>"
_ACCESS = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def name(obj: Obj, _: datetime) -> str:
    return meta.name(obj)


def created(obj: Obj, now: datetime) -> str:
    return age(obj["metadata"].get("creationTimestamp"), now)


NAME = Column("Name", name, format="name", description="Name must be unique within a namespace.")
AGE = Column("Age", created, description="How long ago the object was created.")
CREATED_AT = Column(
    "Created At", lambda obj, _: obj["metadata"].get("creationTimestamp") or "", format="date-time"
)


def column(
    title: str, cell: Callable[[Obj], Any], *, type: str = "string", wide: bool = False, description: str = ""
) -> Column:
    """A column whose cells do not depend on the time."""
    return Column(
        title, lambda obj, _: cell(obj), type=type, priority=1 if wide else 0, description=description
    )


def converted(columns: Iterable[Column], store: Callable[[Obj], Obj]) -> tuple[Column, ...]:
    """The same cells for the objects of a further version, by way of the stored one."""
    return tuple(_converted(found, store) for found in columns)


def _converted(found: Column, store: Callable[[Obj], Obj]) -> Column:
    return replace(found, cell=lambda obj, now: found.cell(store(obj), now))


def spec(obj: Obj) -> Obj:
    return obj.get("spec") or {}


def status(obj: Obj) -> Obj:
    return obj.get("status") or {}


def joined(values: Iterable[str]) -> str:
    return ",".join(values) or NONE


def first_few(texts: Sequence[str]) -> str:
    """The first three, and how many more there are."""
    more = f" + {len(texts) - 3} more..." if len(texts) > 3 else ""
    return ",".join(texts[:3]) + more


def flag(value: bool | None) -> str:
    """How upstream prints a Go pointer to a bool."""
    return "<unset>" if value is None else str(value)


def access_modes(holder: Obj) -> str:
    """`RWO,ROX` of a volume or claim."""
    said = holder.get("accessModes") or ()
    return ",".join(short for mode, short in _ACCESS.items() if mode in said)


def listed_labels(found: Mapping[str, str] | None) -> str:
    return joined(f"{key}={value}" for key, value in sorted((found or {}).items()))


def selector(found: Obj | None) -> str:
    """A metav1.LabelSelector."""
    return str(labels.from_label_selector(found)) or NONE


def containers(of: Callable[[Obj], Obj]) -> tuple[Column, Column]:
    """Wide columns of a workload: its containers' names and images."""
    return (
        column("Containers", lambda obj: _each(of(obj), "name"), wide=True),
        column("Images", lambda obj: _each(of(obj), "image"), wide=True),
    )


def template_spec(obj: Obj) -> Obj:
    return (spec(obj).get("template") or {}).get("spec") or {}


def _each(pod_spec: Obj, part: str) -> str:
    return ",".join(container.get(part) or "" for container in pod_spec.get("containers") or ())
