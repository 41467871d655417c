"""What is served, as clients ask for it: the plain documents, and the aggregated one in both its versions.

Everything comes from the table of kinds and is made once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache

from mini8s.api.answer import Answer
from mini8s.api.representation import JSON, parameters
from mini8s.api.subresources import SUBRESOURCES
from mini8s.objects.kinds import KINDS, Kind, Obj
from mini8s.wire.codec import encode_json

CUSTOM_PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
AGGREGATED_VERSIONS = ("v2", "v2beta1")  # kubectl 1.27 to 1.29 take only the latter


def groups(kinds: Sequence[Kind] = KINDS) -> list[tuple[str, list[str]]]:
    """Each named group with its versions, in order of the table."""
    found: dict[str, list[str]] = {}
    for kind in kinds:
        if kind.group and kind.version not in found.setdefault(kind.group, []):
            found[kind.group].append(kind.version)
    return list(found.items())


def core(server_address: str) -> Obj:
    """`/api`."""
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": server_address}],
    }


def group_list() -> Obj:
    """`/apis`."""
    return {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [_group(name, versions) for name, versions in groups()],
    }


def no_custom_resources() -> Obj:
    """There are none; kubectl asks, before it says of an unknown kind that there is no such kind."""
    return {
        "kind": "CustomResourceDefinitionList",
        "apiVersion": "apiextensions.k8s.io/v1",
        "metadata": {"resourceVersion": "1"},
        "items": [],
    }


def group(name: str) -> Obj | None:
    """`/apis/GROUP`."""
    versions = dict(groups()).get(name)
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)} if versions else None


def resource_list(group: str, version: str) -> Obj | None:
    """`/api/v1` and `/apis/GROUP/VERSION`."""
    kinds = [kind for kind in KINDS if (kind.group, kind.version) == (group, version)]
    if not kinds:
        return None
    resources = [entry for kind in kinds for entry in _resources(kind)]
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": kinds[0].api_version,
        "resources": resources,
    }


def aggregated_version(accept: str) -> str:
    """The version of the aggregated document that a caller takes first, "" for none."""
    for clause in accept.split(","):
        media, said = parameters(clause)
        if media == JSON and said.get("as") == "APIGroupDiscoveryList" and said.get("g") == _DISCOVERY_GROUP:
            version = said.get("v", "")
            if version in AGGREGATED_VERSIONS:
                return version
        elif media == JSON and "as" not in said:
            return ""
    return ""


@cache
def aggregated(version: str, *, named_groups: bool) -> Answer:
    """The whole of `/apis` (or of `/api`) in one document."""
    names = [name for name, _ in groups()] if named_groups else [""]
    document = {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"apidiscovery.k8s.io/{version}",
        "metadata": {},
        "items": [_aggregated_group(name) for name in names],
    }
    body = encode_json(document)
    content_type = f"{JSON};g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
    etag = f'"{hashlib.sha256(body).hexdigest().upper()}"'
    return Answer(body, 200, content_type, [("ETag", etag), ("Vary", "Accept")])


_DISCOVERY_GROUP = "apidiscovery.k8s.io"


def _group(name: str, versions: Sequence[str]) -> Obj:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def _resources(kind: Kind) -> list[Obj]:
    own: Obj = {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": list(kind.verbs),
    }
    if kind.short:
        own["shortNames"] = list(kind.short)
    if kind.categories:
        own["categories"] = list(kind.categories)
    return [own, *(_subresource(kind, name) for name in kind.subresources)]


def _subresource(kind: Kind, name: str) -> Obj:
    below = SUBRESOURCES[name]
    group, version, answers = below.kind_below(kind)
    entry: Obj = {
        "name": f"{kind.plural}/{name}",
        "singularName": "",
        "namespaced": kind.namespaced,
        "kind": answers,
        "verbs": list(below.verbs),
    }
    if group and group != kind.group:
        entry |= {"group": group, "version": version}
    return entry


def _aggregated_group(name: str) -> Obj:
    versions = dict(groups()).get(name, ["v1"])
    return {
        "metadata": {"name": name, "creationTimestamp": None} if name else {"creationTimestamp": None},
        "versions": [
            {
                "version": version,
                "resources": [
                    _aggregated_resource(kind)
                    for kind in KINDS
                    if (kind.group, kind.version) == (name, version)
                ],
                "freshness": "Current",
            }
            for version in versions
        ],
    }


def _aggregated_resource(kind: Kind) -> Obj:
    entry: Obj = {
        "resource": kind.plural,
        "responseKind": _group_version_kind(kind.group, kind.version, kind.kind),
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": list(kind.verbs),
    }
    if kind.short:
        entry["shortNames"] = list(kind.short)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    if kind.subresources:
        entry["subresources"] = [_aggregated_subresource(kind, name) for name in kind.subresources]
    return entry


def _aggregated_subresource(kind: Kind, name: str) -> Obj:
    below = SUBRESOURCES[name]
    return {
        "subresource": name,
        "responseKind": _group_version_kind(*below.kind_below(kind)),
        "verbs": list(below.verbs),
    }


def _group_version_kind(group: str, version: str, kind: str) -> Obj:
    return {"group": group, "version": version, "kind": kind}
