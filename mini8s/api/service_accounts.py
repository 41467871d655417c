"""Who holds a service account's token: the signature, the time, the audience, and whether the account and
what the token is bound to are still the same (`pkg/serviceaccount` of upstream).

A signature is checked once; all else each time, so that a token ends with its pod or its account. The keys
are also published, so that others can check tokens (OpenID Connect Discovery 1.0).
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mini8s.api.answer import Answer
from mini8s.objects import meta
from mini8s.objects.errors import NotFound
from mini8s.objects.kinds import NODES, PODS, SECRETS, SERVICEACCOUNTS, Kind, Obj
from mini8s.objects.time import parse_time
from mini8s.registry.base import Registry, User
from mini8s.wire import jwt
from mini8s.wire.codec import decode_json, encode_json

PREFIX = "system:serviceaccount:"
ACCOUNTS = "system:serviceaccounts"
KEYS_PATH, CONFIGURATION_PATH = "/openid/v1/jwks", "/.well-known/openid-configuration"
_EXTRA = "authentication.kubernetes.io/"
_LEEWAY = timedelta(seconds=60)  # hosts' clocks differ; and what is being deleted may still say so
_KEPT = 1024  # tokens whose signature is known to be good; 1.5 kB each


class Refused(Exception):
    """Why a token is nobody's."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Whose a token is, and for which of the audiences that were asked about."""

    user: User
    audiences: tuple[str, ...]


def judging(
    authenticate: Callable[[Mapping[str, Any]], User | None],
) -> Callable[[str, Sequence[str]], Judged]:
    """A judge of tokens that know no audience."""

    def judge(token: str, audiences: Sequence[str]) -> Judged:
        user = authenticate({"HTTP_AUTHORIZATION": f"Bearer {token}"})
        if user is None:
            raise Refused("invalid bearer token")
        return Judged(user, tuple(audiences))

    return judge


class ServiceAccounts:
    """`keys` is the JSON Web Key Set; `audiences` those that mean this API."""

    def __init__(
        self,
        registry: Registry,
        *,
        issuer: str,
        audiences: Sequence[str],
        keys: Mapping[str, Any],
        now: Callable[[], datetime],
    ) -> None:
        self._registry = registry
        self._issuer = issuer
        self._audiences = tuple(audiences)
        self._published = keys
        self._keys = jwt.Keys(keys)
        self._now = now
        self._verified: OrderedDict[bytes, Mapping[str, Any]] = OrderedDict()

    def __call__(self, token: str) -> User | None:
        """`api.authn.Tokens`."""
        try:
            return self.judge(token, ()).user
        except Refused:
            return None

    def judge(self, token: str, audiences: Sequence[str]) -> Judged:
        """Raises Refused."""
        claims = self._claims(token)
        self._check_time(claims)
        wanted = tuple(audiences) or self._audiences
        found = tuple(name for name in wanted if name in _listed(claims.get("aud")))
        if not found:
            said = f"token audiences {_go(_listed(claims.get('aud')))} is invalid for the target audiences"
            raise Refused(f"{said} {_go(wanted)}")
        return Judged(self._user(claims), found)

    def configuration(self, server: str) -> Answer:
        said = {
            "issuer": self._issuer,
            "jwks_uri": f"https://{server}{KEYS_PATH}",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [jwt.ALGORITHM],
        }
        return Answer(encode_json(said), 200, "application/json", [("Cache-Control", "public, max-age=3600")])

    def keys(self) -> Answer:
        headers = [("Cache-Control", "public, max-age=3600")]
        return Answer(encode_json(self._published), 200, "application/jwk-set+json", headers)

    def _claims(self, token: str) -> Mapping[str, Any]:
        key = hashlib.sha256(token.encode()).digest()
        claims = self._verified.get(key)
        if claims is not None:
            self._verified.move_to_end(key)
            return claims
        try:
            claims = self._keys.claims(token)
        except jwt.BadJwt as error:
            raise Refused("invalid bearer token") from error
        if claims.get("iss") != self._issuer or not isinstance(claims.get("kubernetes.io"), dict):
            raise Refused("invalid bearer token")
        self._verified[key] = claims
        if len(self._verified) > _KEPT:
            self._verified.popitem(last=False)
        return claims

    def _check_time(self, claims: Mapping[str, Any]) -> None:
        now = self._now().timestamp()
        if now > claims["exp"] + _LEEWAY.total_seconds():
            raise Refused("service account token has expired")
        if now < claims["nbf"] - _LEEWAY.total_seconds():
            raise Refused("service account token is not valid yet")

    def _user(self, claims: Mapping[str, Any]) -> User:
        about = claims["kubernetes.io"]
        namespace, account = about["namespace"], about["serviceaccount"]
        self._check_alive(SERVICEACCOUNTS, namespace, account, "service account")
        for part, kind in (("pod", PODS), ("secret", SECRETS)):
            if about.get(part):
                self._check_alive(kind, namespace, about[part], part)
        node = about.get("node") or {}
        if node and not about.get("pod"):
            self._check_alive(NODES, "", node, "node")
        return User(
            f"{PREFIX}{namespace}:{account['name']}",
            (ACCOUNTS, f"{ACCOUNTS}:{namespace}", "system:authenticated"),
            account["uid"],
            tuple(_extra(claims, about)),
        )

    def _check_alive(self, kind: Kind, namespace: str, named: Obj, word: str) -> None:
        try:
            found: Obj = decode_json(self._registry.get(kind, namespace, named["name"]))
        except NotFound as error:
            raise Refused(f"{word} {namespace}/{named['name']} has been deleted") from error
        if meta.uid(found) != named.get("uid"):
            why = f"{word} UID ({meta.uid(found)}) does not match {word} ref UID ({named.get('uid')})"
            raise Refused(why)
        end = found["metadata"].get("deletionTimestamp")
        if end and parse_time(end) + _LEEWAY < self._now():
            raise Refused(f"{word} {namespace}/{named['name']} has been deleted")


def _extra(claims: Mapping[str, Any], about: Obj) -> list[tuple[str, tuple[str, ...]]]:
    """What more there is to say of who asks, under upstream's keys."""
    pod, node = about.get("pod") or {}, about.get("node") or {}
    said = {
        "credential-id": f"JTI={claims['jti']}",
        "node-name": node.get("name"),
        "node-uid": node.get("uid"),
        "pod-name": pod.get("name"),
        "pod-uid": pod.get("uid"),
    }
    return [(_EXTRA + key, (value,)) for key, value in said.items() if value]


def _listed(audience: Any) -> Sequence[str]:
    return [audience] if isinstance(audience, str) else audience or ()


def _go(names: Sequence[str]) -> str:
    return "[" + " ".join(f'"{name}"' for name in names) + "]"
