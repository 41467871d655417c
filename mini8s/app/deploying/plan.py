"""PURE: what to do about the folder of manifests, from what lies there and what was applied before.

What was applied is remembered in the cluster itself, so that it is in a snapshot and right after a restore. A
file that can't be read or parsed, or that is to be left alone, keeps what it has put there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mini8s.objects.kinds import Obj

_FIRST = ("Namespace", "PriorityClass", "StorageClass", "ServiceAccount", "ConfigMap", "Secret")


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """Which object."""

    version: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Source:
    """A file: its hash, and what it says; or why it says nothing."""

    digest: str = ""
    objects: tuple[tuple[Ref, Obj], ...] = ()
    error: str = ""
    left_alone: bool = False

    @property
    def says(self) -> bool:
        return not self.error and not self.left_alone


@dataclass(frozen=True, slots=True)
class Applied:
    """What a file has put into the cluster: its hash then (empty: not all of it went well), and the objects
    with their uids."""

    digest: str = ""
    uids: Mapping[Ref, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """`apply` is by file, with what it is to say now; `prune` is (file, object, uid);
    `moved` is what another file has now; `told` is by file."""

    apply: Mapping[str, tuple[tuple[Ref, Obj], ...]]
    prune: tuple[tuple[str, Ref, str], ...]
    moved: tuple[tuple[str, Ref], ...]
    told: Mapping[str, str]


def plan(found: Mapping[str, Source], applied: Mapping[str, Applied], *, again: bool) -> Plan:
    """`again`: whether to apply what has not changed too, as a start does."""
    owners = _owners(found, applied)
    apply, told = {}, {}
    for name, source in sorted(found.items()):
        if not source.says:
            if source.error:
                told[name] = source.error
            continue
        mine = [(ref, obj) for ref, obj in source.objects if owners[ref] == name]
        if foreign := [ref for ref, _ in source.objects if owners[ref] != name]:
            told[name] = f"{foreign[0]} is in {owners[foreign[0]]} already, which has it"
        before = applied.get(name, Applied())
        if again or before.digest != source.digest or {ref for ref, _ in mine} - set(before.uids):
            apply[name] = tuple(sorted(mine, key=lambda one: _turn(one[0])))
    prune = [
        (name, ref, uid)
        for name, before in sorted(applied.items())
        for ref, uid in sorted(before.uids.items(), key=lambda one: -_turn(one[0]))
        if owners.get(ref) != name
    ]
    moved = tuple((name, ref) for name, ref, _ in prune if ref in owners)
    gone = tuple(one for one in prune if one[1] not in owners)
    return Plan(apply, gone, moved, told)


def _owners(found: Mapping[str, Source], applied: Mapping[str, Applied]) -> dict[Ref, str]:
    """Which file has each object: the one that had it, as long as it says so, else the first by name."""
    owners: dict[Ref, str] = {}
    for name, source in sorted(found.items(), reverse=True):
        said = [ref for ref, _ in source.objects] if source.says else list(applied.get(name, Applied()).uids)
        for ref in said:
            holder = owners.get(ref)
            if holder is None or ref not in applied.get(holder, Applied()).uids:
                owners[ref] = name
    return owners


def _turn(ref: Ref) -> int:
    """What others need comes first, and goes last."""
    return _FIRST.index(ref.kind) if ref.kind in _FIRST else len(_FIRST)
