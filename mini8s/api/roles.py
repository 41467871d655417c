"""RBAC: what roles and their bindings let somebody do.

Roles and bindings are followed by watches, which the store serves before a writer hears of his success: who
binds a role can use it with the next request. Of each user is kept which rules he has, and of each question
of his the answer, for any name and for certain names; all of that is forgotten with the next change of a role
or binding. An answer that is known costs two look-ups.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from mini8s.api.attributes import Attributes, Decision
from mini8s.objects import meta
from mini8s.objects.kinds import CLUSTERROLEBINDINGS, CLUSTERROLES, ROLEBINDINGS, ROLES, Kind, Obj
from mini8s.objects.rbac import Rule, rules_of
from mini8s.registry.base import ListOptions, Registry, User, WatchEvent
from mini8s.wire.codec import decode_json

MOST_KEPT = 16_384  # answers; about 4 MB
_ACCOUNT = "system:serviceaccount"
_Key = tuple[Kind, str, str]  # kind, namespace, name
_Subject = tuple[str, str]  # "User" | "Group", name
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Binding:
    namespace: str  # "": everywhere
    role: _Key
    subjects: tuple[tuple[_Subject, str], ...]  # whom, and how reasons tell it


@dataclass(frozen=True, slots=True)
class Grant:
    """What somebody has of one binding; `problem` is why its role says nothing."""

    namespace: str
    reason: str
    rules: tuple[Rule, ...]
    problem: str = ""


@dataclass(slots=True)
class Answers:
    """The answers to one question: for any name, for some names, for all others."""

    always: Decision | None
    named: Mapping[str, Decision]
    otherwise: Decision


@dataclass(slots=True)
class Known:
    grants: tuple[Grant, ...]
    answers: dict[tuple[str, ...], Answers] = field(default_factory=dict)

    def within(self, namespace: str) -> Iterator[Grant]:
        return (grant for grant in self.grants if grant.namespace in {"", namespace})


class Roles:
    def __init__(self, registry: Registry) -> None:
        self._roles: dict[_Key, tuple[Rule, ...]] = {}
        self._bindings: dict[_Key, Binding] = {}
        self._by_subject: dict[_Subject, list[tuple[_Key, Grant]]] | None = None
        self._known: dict[User, Known] = {}
        self._kept = 0
        self._watches = [
            registry.watch(kind, "", ListOptions(), lambda events, kind=kind: self._changed(kind, events))  # type: ignore[misc]
            for kind in (ROLES, CLUSTERROLES, ROLEBINDINGS, CLUSTERROLEBINDINGS)
        ]

    def decide(self, user: User, what: Attributes) -> Decision:
        known = self._known.get(user) or self._learn(user)
        kind = what.kind
        if kind is None:
            key: tuple[str, ...] = (what.verb, what.path)
        else:
            key = (what.verb, kind.group, kind.plural, what.subresource, what.namespace)
        answers = known.answers.get(key) or self._answer(known, key, what)
        return answers.always or answers.named.get(what.name) or answers.otherwise

    def rules(self, user: User, namespace: str) -> Sequence[Rule]:
        """All that somebody may in a namespace, or ("") everywhere."""
        known = self._known.get(user) or self._learn(user)
        return [rule for grant in known.within(namespace) for rule in grant.rules]

    def problems(self, user: User, namespace: str) -> str:
        """Which roles that he is bound to are not there."""
        known = self._known.get(user) or self._learn(user)
        return _joined(known.within(namespace))

    def close(self) -> None:
        for watch in self._watches:
            watch.close()

    def _changed(self, kind: Kind, events: Sequence[WatchEvent]) -> None:
        for event in events:
            obj = decode_json(event.value)
            key = (kind, meta.namespace(obj), meta.name(obj))
            if kind in {ROLES, CLUSTERROLES}:
                _keep(self._roles, key, rules_of(obj), event)
            else:
                _keep(self._bindings, key, _binding(obj), event)
        self._by_subject = None
        self._known, self._kept = {}, 0

    def _learn(self, user: User) -> Known:
        if self._by_subject is None:
            self._by_subject = self._index()
        subjects = [("User", user.name), *(("Group", group) for group in user.groups)]
        found = {key: grant for subject in subjects for key, grant in self._by_subject.get(subject, ())}
        known = Known(tuple(found[key] for key in sorted(found, key=lambda key: key[1:])))
        self._count()
        self._known[user] = known
        return known

    def _answer(self, known: Known, key: tuple[str, ...], what: Attributes) -> Answers:
        kind, always = what.kind, None
        named: dict[str, Decision] = {}
        for grant in known.within(what.namespace if kind else ""):
            decision = Decision(True, grant.reason)
            for rule in grant.rules:
                if not rule.has_verb(what.verb):
                    continue
                if kind is None:
                    always = always or (decision if rule.has_path(what.path) else None)
                elif rule.about(kind.group, kind.plural, what.subresource):
                    named |= {name: decision for name in rule.names if name not in named}
                    always = always or (None if rule.names else decision)
        problems = _joined(known.within(what.namespace if kind else ""))
        answers = Answers(always, named, Decision(False, f"RBAC: {problems}" if problems else ""))
        self._count()
        known.answers[key] = answers
        return answers

    def _count(self) -> None:
        """Who asks ever new questions does not fill the memory."""
        self._kept += 1
        if self._kept > MOST_KEPT:
            self._kept = 0
            self._known = {}

    def _index(self) -> dict[_Subject, list[tuple[_Key, Grant]]]:
        made: dict[_Subject, list[tuple[_Key, Grant]]] = {}
        for key, binding in self._bindings.items():
            rules = self._roles.get(binding.role)
            problem = "" if rules is not None else _not_found(binding.role)
            for subject, title in binding.subjects:
                grant = Grant(binding.namespace, _reason(key, binding, title), rules or (), problem)
                made.setdefault(subject, []).append((key, grant))
        return made


def _keep(table: dict[_Key, Value], key: _Key, value: Value, event: WatchEvent) -> None:
    if event.type == "DELETED":
        table.pop(key, None)
    else:
        table[key] = value


def _binding(obj: Obj) -> Binding:
    namespace, ref = meta.namespace(obj), obj["roleRef"]
    role = (ROLES, namespace, ref["name"]) if ref["kind"] == ROLES.kind else (CLUSTERROLES, "", ref["name"])
    return Binding(namespace, role, tuple(_subjects(obj.get("subjects") or (), namespace)))


def _subjects(said: Iterable[Obj], namespace: str) -> Iterator[tuple[_Subject, str]]:
    for subject in said:
        kind, name = subject["kind"], subject["name"]
        if kind == "ServiceAccount":
            space = subject.get("namespace") or namespace
            yield ("User", f"{_ACCOUNT}:{space}:{name}"), f'{kind} "{name}/{space}"'
        else:
            yield (kind, name), f'{kind} "{name}"'


def _reason(key: _Key, binding: Binding, title: str) -> str:
    kind, namespace, name = key
    said = f"{name}/{namespace}" if namespace else name
    role = f'{binding.role[0].kind} "{binding.role[2]}"'
    return f'RBAC: allowed by {kind.kind} "{said}" of {role} to {title}'


def _not_found(role: _Key) -> str:
    return f'{role[0].singular}.{role[0].group} "{role[2]}" not found'


def _joined(grants: Iterable[Grant]) -> str:
    problems = list(dict.fromkeys(grant.problem for grant in grants if grant.problem))
    return problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]" if problems else ""
