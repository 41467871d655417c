"""Reads the lists of roles and bindings beside it; their first lines tell the form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import resources

from mini8s.objects.kinds import CLUSTERROLEBINDINGS, CLUSTERROLES, ROLEBINDINGS, ROLES, Kind, Obj
from mini8s.objects.rbac import AUTOUPDATE, GROUP, Rule

_LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_GATHERS = f"{GROUP}/aggregate-to-"
_WORDS = {"read": "get,list,watch", "write": "create,delete,deletecollection,patch,update", "-": ""}
_SUBJECTS = {"group": "Group", "user": "User"}


def roles() -> Iterator[tuple[Kind, Obj]]:
    heading, rules = "", list[Rule]()
    for line in (*_lines("roles.txt"), ""):
        if line.startswith(" "):
            rules.append(_rule(line.split()))
            continue
        if heading:
            yield _role(heading, rules)
        heading, rules = line, []


def bindings() -> Iterator[tuple[Kind, Obj]]:
    for line in _lines("bindings.txt"):
        said, _, subjects = line.rpartition(":") if line.endswith(":") else line.partition(": ")
        path, _, role = said.partition(" = ")
        kind, obj = _named(ROLEBINDINGS, CLUSTERROLEBINDINGS, path)
        of = ROLES if kind is ROLEBINDINGS else CLUSTERROLES
        named = role or obj["metadata"]["name"]
        obj["roleRef"] = {"apiGroup": GROUP, "kind": of.kind, "name": named}
        if subjects:
            obj["subjects"] = [_subject(*one.split()) for one in subjects.split(", ")]
        yield kind, obj


def _lines(name: str) -> list[str]:
    text = resources.files(__package__).joinpath(name).read_text()
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _role(heading: str, rules: Sequence[Rule]) -> tuple[Kind, Obj]:
    path, *marks = heading.split()
    kind, obj = _named(ROLES, CLUSTERROLES, path)
    for mark in marks:
        if mark.startswith(">"):
            obj["metadata"]["labels"][_GATHERS + mark[1:]] = "true"
    if "<" in marks:
        obj["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": {_GATHERS + path: "true"}}]}
    else:
        obj["rules"] = [rule.to_json() for rule in rules]
    return kind, obj


def _named(inside: Kind, outside: Kind, path: str) -> tuple[Kind, Obj]:
    namespace, slash, name = path.partition("/")
    kind = inside if slash else outside
    place = {"namespace": namespace, "name": name} if slash else {"name": path}
    metadata = {**place, "labels": dict(_LABELS), "annotations": {AUTOUPDATE: "true"}}
    return kind, {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}


def _rule(words: Sequence[str]) -> Rule:
    verbs, *rest = words
    if rest == ["*"] or rest[0].startswith("/"):
        return Rule(_values(verbs), urls=tuple(rest))
    groups, plurals, *names = rest
    return Rule(_values(verbs), _values(groups), _values(plurals), tuple(names))


def _values(words: str) -> tuple[str, ...]:
    return tuple(value for word in words.split(",") for value in _WORDS.get(word, word).split(","))


def _subject(word: str, name: str) -> Obj:
    if word == "account":
        namespace, _, own = name.partition("/")
        return {"kind": "ServiceAccount", "namespace": namespace, "name": own}
    return {"apiGroup": GROUP, "kind": _SUBJECTS[word], "name": name}
