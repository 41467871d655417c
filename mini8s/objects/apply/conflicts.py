"""What an applied configuration wants to change although others manage it, in upstream's words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mini8s.objects.apply.books import APPLY, Entry
from mini8s.objects.apply.sets import Tree, steps, text
from mini8s.objects.errors import Cause, Conflict


@dataclass(frozen=True, slots=True)
class Claim:
    """Fields that somebody else has."""

    entry: Entry
    fields: Tree


class ApplyConflict(Conflict):
    """Others manage what was to be changed: agree with them, leave it to them, or force it."""

    def __init__(self, claims: Sequence[Claim]) -> None:
        told = [(_named(claim.entry), text(path)) for claim in claims for path in steps(claim.fields)]
        causes = [Cause(path, f"conflict with {who}", "FieldManagerConflict") for who, path in told]
        super().__init__(_sentence(told), causes=causes)
        self.claims = claims


def _sentence(told: list[tuple[str, str]]) -> str:
    if len(told) == 1:
        who, path = told[0]
        return f"Apply failed with 1 conflict: conflict with {who}: {path}"
    lines: list[str] = []
    for name in sorted({who for who, _ in told}):
        lines += [f"conflicts with {name}:", *(f"- {path}" for who, path in told if who == name)]
    return f"Apply failed with {len(told)} conflicts: " + "\n".join(lines)


def _named(entry: Entry) -> str:
    by = entry.manager
    shown = f'"{by.name}"'
    if by.subresource:
        shown += f' with subresource "{by.subresource}"'
    if by.operation == APPLY:
        return shown
    return f"{shown} using {by.api_version}" + (f" at {entry.time}" if entry.time else "")
