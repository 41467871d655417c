"""Kinds that are answered and not kept: who am I, may I, whose token is this; a binding sent by itself; and
what is measured when somebody reads it.

Of a review a caller creates one, and the object that comes back holds the answer. They ask the same
authenticator and authoriser that every request passes, so that `kubectl auth can-i` says what would happen.
Others are only read: `shown` has who knows them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mini8s.api.attributes import Attributes
from mini8s.api.authz import Authorizer
from mini8s.api.measured import Shown
from mini8s.api.service_accounts import Judged, Refused
from mini8s.objects import meta
from mini8s.objects.errors import BadRequest, Cause
from mini8s.objects.kinds import (
    ACCESSREVIEWS,
    BINDINGS,
    KINDS,
    LOCALACCESSREVIEWS,
    PODS,
    SELFACCESSREVIEWS,
    SELFRULESREVIEWS,
    SELFSUBJECTREVIEWS,
    TOKENREVIEWS,
    Kind,
    Obj,
)
from mini8s.registry import incoming, problems, refusals
from mini8s.registry.base import Column, Context, Registry, User

Judge = Callable[[str, Sequence[str]], Judged]  # token, audiences; raises Refused
_Answer = Callable[["Asked"], Obj]
_ABOUT = ("resourceAttributes", "nonResourceAttributes")


@dataclass(frozen=True, slots=True)
class Asked:
    ctx: Context
    kind: Kind
    namespace: str
    obj: Obj

    @property
    def spec(self) -> Obj:
        return self.obj.get("spec") or {}

    def answered(self, status: Obj) -> Obj:
        metadata = {"creationTimestamp": None} | self.obj["metadata"]
        return self.obj | {"metadata": metadata, "status": status}


class Answered:
    def __init__(
        self,
        registry: Registry,
        judge: Judge,
        authorize: Authorizer,
        shown: Mapping[Kind, Shown],
    ) -> None:
        self._registry = registry
        self._judge = judge
        self._authorize = authorize
        self._shown = shown
        self._table: Mapping[Kind, _Answer] = {
            BINDINGS: self._bind,
            TOKENREVIEWS: self._token,
            SELFSUBJECTREVIEWS: lambda asked: asked.answered({"userInfo": _info(asked.ctx.user)}),
            ACCESSREVIEWS: self._other,
            LOCALACCESSREVIEWS: self._local,
            SELFACCESSREVIEWS: self._own,
            SELFRULESREVIEWS: self._rules,
        }

    def answer(self, ctx: Context, kind: Kind, namespace: str, obj: Obj) -> Obj:
        """Raises ApiError."""
        return self._table[kind](Asked(ctx, kind, namespace, incoming.parse(ctx, kind, obj)))

    def shown(self, kind: Kind) -> Shown:
        """Who knows the objects of a kind that is read and not kept."""
        return self._shown[kind]

    def columns(self, kind: Kind) -> Sequence[Column]:
        return self._shown[kind].columns if kind in self._shown else ()

    def _bind(self, asked: Asked) -> Obj:
        name = meta.name(asked.obj)
        made = self._registry.create_subresource(asked.ctx, PODS, asked.namespace, name, "binding", asked.obj)
        return dict(made)

    def _token(self, asked: Asked) -> Obj:
        token = asked.spec.get("token") or ""
        if not token:
            raise BadRequest("token is required for TokenReview in authentication")
        try:
            judged = self._judge(token, asked.spec.get("audiences") or ())
        except Refused as error:
            return asked.answered({"user": {}, "error": str(error)})
        said = {"authenticated": True, "user": _info(judged.user)}
        return asked.answered(said | ({"audiences": list(judged.audiences)} if judged.audiences else {}))

    def _own(self, asked: Asked) -> Obj:
        return self._reviewed(asked, asked.ctx.user)

    def _other(self, asked: Asked) -> Obj:
        user, groups = asked.spec.get("user") or "", tuple(asked.spec.get("groups") or ())
        if not user and not groups:
            why = "at least one of user or group must be specified"
            raise _invalid(asked, [problems.invalid("spec.user", "", why)])
        return self._reviewed(asked, User(user, groups))

    def _local(self, asked: Asked) -> Obj:
        about = asked.spec.get("resourceAttributes") or {}
        if about.get("namespace") != asked.namespace:
            why = f"must match metadata.namespace: {asked.namespace}"
            cause = problems.invalid("spec.resourceAttributes.namespace", about.get("namespace") or "", why)
            raise _invalid(asked, [cause])
        return self._other(asked)

    def _reviewed(self, asked: Asked, user: User) -> Obj:
        if sum(asked.spec.get(part) is not None for part in _ABOUT) != 1:
            why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
            raise _invalid(asked, [problems.invalid("spec.resourceAttributes", None, why)])
        decision = self._authorize(user, attributes(asked.spec))
        said: Obj = {"reason": decision.reason} if decision.reason else {}
        return asked.answered({"allowed": decision.allowed} | said)

    def _rules(self, asked: Asked) -> Obj:
        namespace = asked.spec.get("namespace") or ""
        if not namespace:
            raise BadRequest("no namespace on request")
        return asked.answered(self._authorize.review(asked.ctx.user, namespace))


def attributes(spec: Obj) -> Attributes:
    """What a review asks about, as the authoriser takes it. A resource that is not served is asked about
    under its own name."""
    paths = spec.get("nonResourceAttributes")
    if paths is not None:
        return Attributes(paths.get("verb") or "", path=paths.get("path") or "/")
    about = spec.get("resourceAttributes") or {}
    group, plural = about.get("group") or "", about.get("resource") or ""
    known = (kind for kind in KINDS if (kind.group, kind.plural) == (group, plural))
    return Attributes(
        about.get("verb") or "",
        next(known, Kind(group, about.get("version") or "v1", plural, plural)),
        about.get("namespace") or "",
        about.get("name") or "",
        about.get("subresource") or "",
        (about.get("fieldSelector") or {}).get("rawSelector") or "",
    )


def _info(user: User) -> Obj:
    more: Obj = {"uid": user.uid} if user.uid else {}
    if user.extra:
        more["extra"] = {key: list(values) for key, values in user.extra}
    return {"username": user.name, **more, "groups": list(user.groups)}


def _invalid(asked: Asked, causes: list[Cause]) -> Exception:
    return refusals.invalid(asked.kind, meta.name(asked.obj), causes)
