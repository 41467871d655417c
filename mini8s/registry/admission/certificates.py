"""Certificate signing requests: they say who asks (the user that the API knows, not the one it names), and
who approves or signs one must have that right on its signer (upstream's plugins CertificateApproval,
CertificateSigning and CertificateSubjectRestriction; KEP-1513)."""

from __future__ import annotations

import base64

from mini8s.objects.kinds import SIGNINGREQUESTS, Kind, Obj
from mini8s.objects.signers import CLIENT
from mini8s.objects.time import format_time
from mini8s.registry import refusals
from mini8s.registry.admission.attempt import Attempt
from mini8s.registry.base import MASTERS
from mini8s.wire import pkcs10

_CLAIMED = ("username", "groups", "uid", "extra")
_SIGNERS = Kind("certificates.k8s.io", "*", "Signer", "signers", False)


def certificate_requester(attempt: Attempt) -> None:
    if not attempt.creates(SIGNINGREQUESTS):
        return
    spec = attempt.spec
    for part in _CLAIMED:
        spec.pop(part, None)
    spec["username"] = attempt.ctx.user.name
    if attempt.ctx.user.groups:
        spec["groups"] = list(attempt.ctx.user.groups)
    if attempt.ctx.user.uid:
        spec["uid"] = attempt.ctx.user.uid
    if attempt.ctx.user.extra:
        spec["extra"] = {key: list(values) for key, values in attempt.ctx.user.extra}


def certificate_times(attempt: Attempt) -> None:
    """When a condition came, where its author does not say so."""
    if attempt.kind is not SIGNINGREQUESTS or attempt.subresource not in {"status", "approval"}:
        return
    now, before = format_time(attempt.ctx.now), _conditions(attempt.old)
    for condition in _conditions(attempt.obj):
        condition["lastUpdateTime"] = condition.get("lastUpdateTime") or now
        same = (
            one.get("lastTransitionTime")
            for one in before
            if all(one.get(part) == condition.get(part) for part in ("type", "status"))
        )
        condition["lastTransitionTime"] = condition.get("lastTransitionTime") or next(same, None) or now


def certificate_approval(attempt: Attempt) -> None:
    """By what is there: what was sent may name another signer, which is of no effect later."""
    if attempt.kind is SIGNINGREQUESTS and attempt.subresource == "approval" and attempt.old is not None:
        _require(attempt, "approve", attempt.old["spec"]["signerName"])


def certificate_signing(attempt: Attempt) -> None:
    if attempt.kind is not SIGNINGREQUESTS or attempt.subresource != "status" or attempt.old is None:
        return
    new, old = ({} | (obj.get("status") or {}) for obj in (attempt.obj, attempt.old))
    if any((new.get(part) or []) != (old.get(part) or []) for part in ("certificate", "conditions")):
        _require(attempt, "sign", attempt.old["spec"]["signerName"])


def certificate_subject(attempt: Attempt) -> None:
    """Nobody becomes an administrator by a signature: that group passes all roles."""
    if not attempt.creates(SIGNINGREQUESTS) or attempt.spec.get("signerName") != CLIENT:
        return
    try:
        request = pkcs10.parse(base64.b64decode(attempt.spec.get("request") or ""))
    except ValueError as error:
        raise _forbidden(attempt, f"failed to parse CSR: {error}") from error
    if MASTERS in request.organizations:
        raise _forbidden(attempt, f"use of {CLIENT} signer with {MASTERS} group is not allowed")


def _require(attempt: Attempt, verb: str, signer: str) -> None:
    """The right on this signer, or on all of its domain."""
    for name in (signer, f"{signer.partition('/')[0]}/*"):
        if attempt.ctx.may(verb, _SIGNERS, "", name, ""):
            return
    raise _forbidden(attempt, f'user not permitted to {verb} requests with signerName "{signer}"')


def _forbidden(attempt: Attempt, why: str) -> Exception:
    return refusals.forbidden(SIGNINGREQUESTS, attempt.name, why)


def _conditions(obj: Obj | None) -> list[Obj]:
    return ((obj or {}).get("status") or {}).get("conditions") or []
