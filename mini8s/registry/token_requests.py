"""The `token` subresource: a token for a service account, bound to an object without which it is void
(`pkg/registry/core/serviceaccount/storage/token.go` and KEP-1205)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from mini8s.objects import meta
from mini8s.objects.errors import BadRequest, Conflict
from mini8s.objects.kinds import NODES, PODS, SECRETS, SERVICEACCOUNTS, Kind, Obj
from mini8s.objects.time import format_time
from mini8s.registry import incoming, problems, refusals
from mini8s.registry.admission import Attempt, admit
from mini8s.registry.base import Context
from mini8s.registry.problems import Causes
from mini8s.registry.read import Reader

TOKENREQUESTS = Kind("authentication.k8s.io", "v1", "TokenRequest", "tokenrequests")
PREFIX = "system:serviceaccount:"
LEAST_SECONDS = 600
MOST_SECONDS = 1 << 32
_BOUND = {kind.kind: kind for kind in (PODS, SECRETS, NODES)}

Claims = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who vouches for tokens: its name, the audiences of a request that names none, and its signature.
    `prepare` is told when one will be wanted soon."""

    name: str
    audiences: tuple[str, ...]
    sign: Callable[[Claims], str]
    prepare: Callable[[], None] = lambda: None


class TokenRequests:
    def __init__(self, reader: Reader, issuer: Issuer, new_uid: Callable[[], str]) -> None:
        self._reader = reader
        self._issuer = issuer
        self._new_uid = new_uid

    def create(self, ctx: Context, namespace: str, name: str, sent: Obj) -> Obj:
        """Raises BadRequest, Invalid, NotFound, Forbidden, Conflict."""
        said = incoming.parse(ctx, TOKENREQUESTS, sent)
        incoming.check_namespace(SERVICEACCOUNTS, namespace, said)
        account = self._get(SERVICEACCOUNTS, namespace, name)
        if meta.name(said) not in {"", name}:
            raise BadRequest(
                f"the service account name in the request ({meta.name(said)}) does not match the name in the "
                f"URL ({name})"
            )
        spec = said["spec"]
        if causes := list(_causes(spec)):
            raise refusals.invalid(TOKENREQUESTS, "", causes)
        admit(Attempt("CREATE", ctx, SERVICEACCOUNTS, namespace, name, said, self._reader, "token"))
        spec["audiences"] = spec.get("audiences") or list(self._issuer.audiences)
        seconds = int(spec["expirationSeconds"])
        bound = self._bound(namespace, name, spec.get("boundObjectRef"))
        token = self._issuer.sign(self._claims(ctx, account, spec["audiences"], seconds, bound))
        metadata = {"name": name, "namespace": namespace, "creationTimestamp": format_time(ctx.now)}
        end = format_time(ctx.now + timedelta(seconds=seconds))
        return said | {"metadata": metadata, "status": {"token": token, "expirationTimestamp": end}}

    def _claims(
        self, ctx: Context, account: Obj, audiences: list[str], seconds: int, bound: dict[str, Obj]
    ) -> Claims:
        now = int(ctx.now.timestamp())
        namespace = meta.namespace(account)
        return {
            "aud": audiences,
            "exp": now + seconds,
            "iat": now,
            "iss": self._issuer.name,
            "jti": self._new_uid(),
            "kubernetes.io": {"namespace": namespace, "serviceaccount": _named(account), **bound},
            "nbf": now,
            "sub": f"{PREFIX}{namespace}:{meta.name(account)}",
        }

    def _bound(self, namespace: str, account: str, reference: Obj | None) -> dict[str, Obj]:
        """The claims about the object that a token is bound to; of a pod also about its node."""
        if not reference:
            return {}
        kind = _BOUND.get(reference.get("kind") or "")
        if kind is None or reference.get("apiVersion") != kind.api_version:
            what = f"{reference.get('apiVersion') or ''}, Kind={reference.get('kind') or ''}"
            raise BadRequest(f"cannot bind token to object of type {what}")
        name = reference.get("name") or ""
        found = self._get(kind, namespace if kind.namespaced else "", name)
        if kind is PODS and found["spec"].get("serviceAccountName") != account:
            raise BadRequest(
                f'cannot bind token for serviceaccount "{account}" to pod running with different '
                "serviceaccount name."
            )
        if reference.get("uid") and reference["uid"] != meta.uid(found):
            raise _recreated(kind, name, reference["uid"])
        claims = {kind.singular: _named(found)}
        if kind is PODS and (node := found["spec"].get("nodeName")):
            claims["node"] = _named(self._reader.find(NODES, "", node) or {"metadata": {"name": node}})
        return claims

    def _get(self, kind: Kind, namespace: str, name: str) -> Obj:
        found = self._reader.find(kind, namespace, name)
        if found is None:
            raise refusals.not_found(kind, name)
        return found


def _causes(spec: Obj) -> Causes:
    field, seconds = "spec.expirationSeconds", spec["expirationSeconds"]
    if seconds < LEAST_SECONDS:
        yield problems.invalid(field, seconds, "may not specify a duration less than 10 minutes")
    if seconds > MOST_SECONDS:
        yield problems.invalid(field, seconds, "may not specify a duration larger than 2^32 seconds")


def _named(obj: Obj) -> Obj:
    named = {"name": meta.name(obj), "uid": meta.uid(obj)}
    return {part: value for part, value in named.items() if value}


def _recreated(kind: Kind, name: str, uid: str) -> Conflict:
    why = (
        f"the UID in the bound object reference ({uid}) does not match the UID in record. The object might "
        "have been deleted and then recreated"
    )
    return refusals.conflict(kind, name, why)
