"""What hangs below an object, as documents tell it: discovery and OpenAPI read this one table.

`answers` is the kind that a subresource takes or gives: (group, version, kind), empty for the object itself;
{kind} stands for the object's kind. `parameters` are those of the query beyond a verb's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mini8s.objects.kinds import CONNECTS, PROXY, Kind

_METHODS = {"get": "get", "create": "post", "update": "put", "patch": "patch", "delete": "delete"}
_CHANGED, _ASKED = ("get", "patch", "update"), ("create", "get")
_EVERYTHING = ("create", "delete", "get", "patch", "update")
_ATTACHED = {
    "container": "string",
    "stderr": "boolean",
    "stdin": "boolean",
    "stdout": "boolean",
    "tty": "boolean",
}
_LOG = {
    "container": "string",
    "follow": "boolean",
    "insecureSkipTLSVerifyBackend": "boolean",
    "limitBytes": "integer",
    "previous": "boolean",
    "sinceSeconds": "integer",
    "stream": "string",
    "tailLines": "integer",
    "timestamps": "boolean",
}

GroupVersionKind = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Subresource:
    name: str
    verbs: tuple[str, ...]
    answers: GroupVersionKind = ("", "", "")
    parameters: Mapping[str, str] = field(default_factory=dict)  # name -> type

    @property
    def connects(self) -> bool:
        """Whether a request goes through to somebody else, whatever its method is."""
        return self.name in CONNECTS or self.name == PROXY

    @property
    def methods(self) -> dict[str, str]:
        """HTTP method -> what it does, in OpenAPI's words."""
        if self.name == PROXY:
            methods = ["get", "put", "post", "delete", "options", "head", "patch"]
        else:
            methods = [_METHODS[verb] for verb in self.verbs]
        return {method: "connect" if self.connects else method for method in methods}

    def kind_below(self, kind: Kind) -> GroupVersionKind:
        group, version, name = self.answers
        if not name:
            return kind.group, kind.version, kind.kind
        return group, version, name.format(kind=kind.kind)


SUBRESOURCES: Mapping[str, Subresource] = {
    row.name: row
    for row in (
        Subresource("status", _CHANGED),
        Subresource("ephemeralcontainers", _CHANGED),
        Subresource("resize", _CHANGED),
        Subresource("approval", _CHANGED),
        Subresource("finalize", ("update",)),
        Subresource("scale", _CHANGED, ("autoscaling", "v1", "Scale")),
        Subresource("binding", ("create",), ("", "v1", "Binding")),
        Subresource("eviction", ("create",), ("policy", "v1", "Eviction")),
        Subresource("token", ("create",), ("authentication.k8s.io", "v1", "TokenRequest")),
        Subresource("log", ("get",), parameters=_LOG),
        Subresource("exec", _ASKED, ("", "v1", "PodExecOptions"), {"command": "string"} | _ATTACHED),
        Subresource("attach", _ASKED, ("", "v1", "PodAttachOptions"), _ATTACHED),
        Subresource("portforward", _ASKED, ("", "v1", "PodPortForwardOptions"), {"ports": "integer"}),
        Subresource(PROXY, _EVERYTHING, ("", "v1", "{kind}ProxyOptions"), {"path": "string"}),
    )
}
