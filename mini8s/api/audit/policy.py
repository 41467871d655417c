"""What the audit log shall say of a request: the first rule that fits (`apiserver/pkg/audit/policy`)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mini8s.api.attributes import Attributes
from mini8s.registry.base import User

API_VERSION, KIND = "audit.k8s.io/v1", "Policy"
NONE, METADATA, REQUEST, RESPONSE = LEVELS = ("None", "Metadata", "Request", "RequestResponse")
RECEIVED, STARTED, COMPLETE, PANIC = STAGES = (
    "RequestReceived",
    "ResponseStarted",
    "ResponseComplete",
    "Panic",
)
_RULE = {
    "level", "users", "userGroups", "verbs", "resources", "namespaces", "nonResourceURLs", "omitStages",
    "omitManagedFields",
}  # fmt: skip
_TOP = {"apiVersion", "kind", "metadata", "rules", "omitStages", "omitManagedFields"}
# Whose bodies are secrets, or may well be. They are written only where a rule names them: upstream writes
# them wherever a rule that speaks of everything has a level for it.
DELICATE = frozenset({
    ("", "secrets"), ("", "configmaps"), ("", "serviceaccounts/token"),
    ("authentication.k8s.io", "tokenreviews"),
})  # fmt: skip


class BadPolicy(Exception):
    """The message says where and why."""


@dataclass(frozen=True, slots=True)
class Resources:
    group: str
    resources: tuple[str, ...]
    names: tuple[str, ...]

    def has(self, what: Attributes) -> bool:
        if what.kind is None or what.kind.group != self.group:
            return False
        if not self.resources:
            return True
        if self.names and what.name not in self.names:
            return False
        return any(_fits(word, what.kind.plural, what.subresource) for word in self.resources)

    def names_delicate(self, what: Attributes) -> bool:
        return self.has(what) and path_of(what)[1] in self.resources


@dataclass(frozen=True, slots=True)
class Rule:
    level: str
    users: Collection[str]
    groups: Collection[str]
    verbs: Collection[str]
    resources: Sequence[Resources]
    namespaces: Collection[str]
    urls: Sequence[str]
    omit: Collection[str]
    bare: bool  # whether managedFields are left out

    def fits(self, user: User, what: Attributes) -> bool:
        if self.users and user.name not in self.users:
            return False
        if self.groups and not set(self.groups) & set(user.groups):
            return False
        if self.verbs and what.verb not in self.verbs:
            return False
        if what.kind is None:
            about_resources = self.resources or self.namespaces
            return not about_resources and (not self.urls or any(_leads(url, what.path) for url in self.urls))
        if self.urls or (self.namespaces and what.namespace not in self.namespaces):
            return False
        return not self.resources or any(one.has(what) for one in self.resources)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`bodies`: whether they may be written at a level that has them. Those of what is no resource are not:
    many writes in one request may have Secrets among them."""

    level: str
    omit: Collection[str]
    bodies: bool
    bare: bool

    def has(self, level: str) -> bool:
        return LEVELS.index(self.level) >= LEVELS.index(level)


class Judge(Protocol):
    """A policy, or whoever has the one that counts now."""

    def verdict(self, user: User, what: Attributes) -> Verdict: ...


@dataclass(frozen=True, slots=True)
class Policy:
    rules: Sequence[Rule]

    def verdict(self, user: User, what: Attributes) -> Verdict:
        for rule in self.rules:
            if rule.fits(user, what):
                delicate = path_of(what) in DELICATE
                named = any(one.names_delicate(what) for one in rule.resources)
                bodies = what.kind is not None and (not delicate or named)
                return Verdict(rule.level, rule.omit, bodies, rule.bare)
        return _NOTHING


_NOTHING = Verdict(NONE, (), False, False)


def path_of(what: Attributes) -> tuple[str, str]:
    """Group and resource, with its subresource."""
    if what.kind is None:
        return "", ""
    return what.kind.group, what.kind.plural + (f"/{what.subresource}" if what.subresource else "")


def parse(said: object) -> Policy:
    """Raises BadPolicy."""
    if not isinstance(said, dict) or (said.get("apiVersion"), said.get("kind")) != (API_VERSION, KIND):
        raise BadPolicy(f"it is no {KIND} of {API_VERSION}")
    _known(said, _TOP, "")
    omit = _stages(said, "")
    rules = said.get("rules")
    if not isinstance(rules, list) or not rules:
        raise BadPolicy("rules: there are none")
    bare = said.get("omitManagedFields") is True
    return Policy([_rule(rule, f"rules[{number}]", omit, bare) for number, rule in enumerate(rules)])


def _rule(said: object, where: str, omit: Collection[str], bare: bool) -> Rule:
    if not isinstance(said, dict):
        raise BadPolicy(f"{where} is not a mapping")
    _known(said, _RULE, f"{where}.")
    level = said.get("level")
    if level not in LEVELS:
        raise BadPolicy(f"{where}.level: {level!r} is none of {', '.join(LEVELS)}")
    urls = _texts(said, "nonResourceURLs", where)
    resources = tuple(_resources(said.get("resources") or (), where))
    namespaces = _texts(said, "namespaces", where)
    for url in urls:
        if url != "*" and (not url.startswith("/") or "*" in url[:-1]):
            raise BadPolicy(f"{where}.nonResourceURLs: {url!r} is no path, with or without * at its end")
    if urls and (resources or namespaces):
        raise BadPolicy(f"{where}: rules cannot apply to both regular resources and non-resource URLs")
    return Rule(
        level=level,
        users=_texts(said, "users", where),
        groups=_texts(said, "userGroups", where),
        verbs=_texts(said, "verbs", where),
        resources=resources,
        namespaces=namespaces,
        urls=urls,
        omit=frozenset({*omit, *_stages(said, f"{where}.")}),
        bare=said.get("omitManagedFields", bare) is True,
    )


def _resources(said: object, where: str) -> Iterator[Resources]:
    if not isinstance(said, list | tuple):
        raise BadPolicy(f"{where}.resources is not a list")
    for number, one in enumerate(said):
        at = f"{where}.resources[{number}]"
        if not isinstance(one, dict):
            raise BadPolicy(f"{at} is not a mapping")
        _known(one, {"group", "resources", "resourceNames"}, f"{at}.")
        group, names = one.get("group") or "", _texts(one, "resourceNames", at)
        if not isinstance(group, str) or "/" in group:
            raise BadPolicy(f"{at}.group: {group!r} is no name of a group (which has no version)")
        resources = _texts(one, "resources", at)
        if names and not resources:
            raise BadPolicy(f"{at}: using resourceNames requires at least one resource")
        yield Resources(group, resources, names)


def _stages(said: Mapping[str, Any], where: str) -> Collection[str]:
    stages = _texts(said, "omitStages", where.rstrip("."))
    for stage in stages:
        if stage not in STAGES:
            raise BadPolicy(f"{where}omitStages: {stage!r} is none of {', '.join(STAGES)}")
    return stages


def _texts(said: Mapping[str, Any], part: str, where: str) -> tuple[str, ...]:
    values = said.get(part) or ()
    if not isinstance(values, list | tuple) or not all(isinstance(value, str) for value in values):
        raise BadPolicy(f"{where + '.' if where else ''}{part} is not a list of texts")
    return tuple(values)


def _known(said: Mapping[str, Any], parts: Collection[str], where: str) -> None:
    if unknown := sorted(str(part) for part in said if part not in parts):
        raise BadPolicy(f"unknown field {where}{unknown[0]}")


def _fits(word: str, plural: str, subresource: str) -> bool:
    whole = f"{plural}/{subresource}" if subresource else plural
    if word in {"*", whole}:
        return True
    return word == f"{plural}/*" or bool(subresource and word == f"*/{subresource}")


def _leads(url: str, path: str) -> bool:
    return path.startswith(url[:-1]) if url.endswith("*") else path == url
