"""What a rule of a role allows, and whether rules hold all that others do.

Upstream's evaluation (`pkg/apis/rbac/v1/evaluation_helpers.go`) and its question whether somebody may give
away what he gives away (`component-helpers/auth/rbac/validation`).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from mini8s.objects.kinds import Obj

ALL = "*"
GROUP = "rbac.authorization.k8s.io"
AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"  # "false": defaults are no longer put right
_PARTS = ("apiGroups", "resources", "nonResourceURLs", "resourceNames", "verbs")


@dataclass(frozen=True, slots=True)
class Rule:
    """`rbac/v1 PolicyRule`. `names` empty: all of them."""

    verbs: tuple[str, ...]
    groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()

    def has_verb(self, verb: str) -> bool:
        return ALL in self.verbs or verb in self.verbs

    def about(self, group: str, plural: str, subresource: str) -> bool:
        """Whether it speaks of the resource, of whatever name."""
        if ALL not in self.groups and group not in self.groups:
            return False
        full = f"{plural}/{subresource}" if subresource else plural
        of_all = f"*/{subresource}" if subresource else ALL
        return ALL in self.resources or full in self.resources or of_all in self.resources

    def has_path(self, path: str) -> bool:
        return any(_under(path, url) for url in self.urls)

    def to_json(self) -> Obj:
        said = (self.groups, self.resources, self.urls, self.names, self.verbs)
        return {part: list(values) for part, values in zip(_PARTS, said, strict=True) if values}

    def __str__(self) -> str:
        """As refusals show it."""
        said = [f"{part[0].upper()}{part[1:]}:{quoted(values)}" for part, values in self.to_json().items()]
        return f"{{{', '.join(said)}}}".replace("ApiGroups", "APIGroups")


FULL = (Rule((ALL,), (ALL,), (ALL,)), Rule((ALL,), urls=(ALL,)))


def parse(said: Obj) -> Rule:
    groups, resources, urls, names, verbs = (tuple(said.get(part) or ()) for part in _PARTS)
    return Rule(verbs, groups, resources, names, urls)


def rules_of(role: Obj) -> tuple[Rule, ...]:
    return tuple(parse(said) for said in role.get("rules") or ())


def quoted(values: Iterable[str]) -> str:
    return f"[{' '.join(json.dumps(value, ensure_ascii=False) for value in values)}]"


def missing(held: Sequence[Rule], wanted: Iterable[Rule]) -> list[Rule]:
    """What of `wanted` no rule of `held` holds, as few simple rules. Each of the smallest questions that a
    rule answers must be answered by one rule."""
    lacking = [
        atom for rule in wanted for atom in _atoms(rule) if not any(_holds(have, atom) for have in held)
    ]
    return _compact(list(dict.fromkeys(lacking)))


def _atoms(rule: Rule) -> Iterable[Rule]:
    for group, resource, verb in itertools.product(rule.groups, rule.resources, rule.verbs):
        for name in rule.names or ("",):
            yield Rule((verb,), (group,), (resource,), (name,) if name else ())
    for url, verb in itertools.product(rule.urls, rule.verbs):
        yield Rule((verb,), urls=(url,))


def _holds(have: Rule, atom: Rule) -> bool:
    if not have.has_verb(atom.verbs[0]):
        return False
    if atom.urls:
        return have.has_path(atom.urls[0])
    if ALL not in have.groups and atom.groups[0] not in have.groups:
        return False
    return _holds_resource(have, atom.resources[0]) and (
        not have.names or (bool(atom.names) and atom.names[0] in have.names)
    )


def _holds_resource(have: Rule, resource: str) -> bool:
    _, slash, subresource = resource.partition("/")
    wide = bool(slash) and f"*/{subresource}" in have.resources
    return ALL in have.resources or resource in have.resources or wide


def _under(path: str, url: str) -> bool:
    return url in {ALL, path} or (url.endswith(ALL) and path.startswith(url.rstrip(ALL)))


def _compact(atoms: list[Rule]) -> list[Rule]:
    """Those that differ in their verbs only become one."""
    made: dict[Rule, list[str]] = {}
    for atom in atoms:
        made.setdefault(replace(atom, verbs=()), []).extend(atom.verbs)
    return [replace(rule, verbs=tuple(verbs)) for rule, verbs in made.items()]
