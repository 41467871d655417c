"""Rules of roles and their bindings."""

from __future__ import annotations

from mini8s.objects import names
from mini8s.objects.kinds import Obj
from mini8s.registry.problems import Causes, invalid, named, not_supported, required

GROUP = "rbac.authorization.k8s.io"
_SUBJECTS = ("Group", "ServiceAccount", "User")


def name_rule(name: str) -> str | None:
    """Names of roles may be anything that can stand in a path: `system:node`, `admin:a_b`."""
    if name in {".", ".."}:
        return f"may not be '{name}'"
    return next((f"may not contain '{char}'" for char in "/%" if char in name), None)


def role(found: Obj) -> Causes:
    yield from _rules(found, namespaced=True)


def cluster_role(found: Obj) -> Causes:
    yield from _rules(found, namespaced=False)


def role_binding(found: Obj) -> Causes:
    yield from _binding(found, ("ClusterRole", "Role"))


def cluster_role_binding(found: Obj) -> Causes:
    yield from _binding(found, ("ClusterRole",))


def same_role(new: Obj, old: Obj) -> Causes:
    if new.get("roleRef") != old.get("roleRef"):
        yield invalid("roleRef", new.get("roleRef"), "cannot change roleRef")


def _rules(found: Obj, *, namespaced: bool) -> Causes:
    for index, rule in enumerate(found.get("rules") or ()):
        field = f"rules[{index}]"
        if not rule.get("verbs"):
            yield required(f"{field}.verbs", "verbs must contain at least one value")
        if rule.get("nonResourceURLs"):
            yield from _urls(rule, field, namespaced=namespaced)
            continue
        if not rule.get("apiGroups"):
            yield required(f"{field}.apiGroups", "resource rules must supply at least one api group")
        if not rule.get("resources"):
            yield required(f"{field}.resources", "resource rules must supply at least one resource")


def _urls(rule: Obj, field: str, *, namespaced: bool) -> Causes:
    path, urls = f"{field}.nonResourceURLs", rule["nonResourceURLs"]
    if namespaced:
        yield invalid(path, urls, "namespaced rules cannot apply to non-resource URLs")
    if any(rule.get(part) for part in ("apiGroups", "resources", "resourceNames")):
        yield invalid(path, urls, "rules cannot apply to both regular resources and non-resource URLs")


def _binding(found: Obj, kinds: tuple[str, ...]) -> Causes:
    ref = found.get("roleRef") or {}
    if ref.get("apiGroup") != GROUP:
        yield not_supported("roleRef.apiGroup", ref.get("apiGroup") or "", (GROUP,))
    if ref.get("kind") not in kinds:
        yield not_supported("roleRef.kind", ref.get("kind") or "", kinds)
    if name := ref.get("name"):
        yield from named("roleRef.name", name, name_rule(name))
    else:
        yield required("roleRef.name")
    for index, subject in enumerate(found.get("subjects") or ()):
        yield from _subject(subject, f"subjects[{index}]", namespaced="Role" in kinds)


def _subject(subject: Obj, field: str, *, namespaced: bool) -> Causes:
    name, group = subject.get("name") or "", subject.get("apiGroup") or ""
    if not name:
        yield required(f"{field}.name")
    match subject.get("kind"):
        case "ServiceAccount":
            if name:
                yield from named(f"{field}.name", name, names.dns_subdomain(name))
            if group:
                yield not_supported(f"{field}.apiGroup", group, ("",))
            if not namespaced and not subject.get("namespace"):
                yield required(f"{field}.namespace")
        case "User" | "Group":
            if group != GROUP:
                yield not_supported(f"{field}.apiGroup", group, (GROUP,))
        case other:
            yield not_supported(f"{field}.kind", other or "", _SUBJECTS)
