"""CertificateSigningRequests: a wish for a certificate, a decision, and the certificate.

Who asks is put in at admission. The decision is the `approval` subresource's, the rest of the status the
signer's.
"""

from __future__ import annotations

from mini8s.objects import conditions
from mini8s.objects.kinds import SIGNINGREQUESTS, Obj
from mini8s.objects.time import human_duration
from mini8s.registry.columns import AGE, NAME, NONE, column, spec, status
from mini8s.registry.rules import signing
from mini8s.registry.strategy import Strategy, Update, empty_status, keep_spec, keep_status, selectable

_DECISIONS = frozenset({"Approved", "Denied"})


def _keep(new: Obj, old: Obj) -> None:
    keep_spec(new, old)
    keep_status(new, old)


def _decide(new: Obj, old: Obj) -> None:
    """Only the conditions of a decision; the certificate stays."""
    keep_spec(new, old)
    _merge(new, old, old, decisions_of=new)


def _sign(new: Obj, old: Obj) -> None:
    keep_spec(new, old)
    _merge(new, old, new, decisions_of=old)


def _merge(new: Obj, old: Obj, rest_of: Obj, *, decisions_of: Obj) -> None:
    others = rest_of.get("status") or {}
    known = old.get("status") or {}
    wanted = [
        item for item in (decisions_of.get("status") or {}).get("conditions") or () if _is_decision(item)
    ]
    kept = [item for item in others.get("conditions") or () if not _is_decision(item)]
    made = {**others, "conditions": [*wanted, *kept]}
    if not made["conditions"] and "conditions" not in known:
        del made["conditions"]
    new["status"] = made


def _is_decision(condition: Obj) -> bool:
    return condition.get("type") in _DECISIONS


def _word(found: Obj) -> str:
    """`Approved,Issued`."""
    words = [word for word in ("Approved", "Denied", "Failed") if conditions.get(found, word)]
    if not {"Approved", "Denied"} & set(words):
        words.insert(0, "Pending")
    if status(found).get("certificate"):
        words.append("Issued")
    return ",".join(words)


def _duration(found: Obj) -> str:
    seconds = spec(found).get("expirationSeconds")
    return NONE if seconds is None else human_duration(seconds)


STRATEGY = Strategy(
    kind=SIGNINGREQUESTS,
    columns=(
        NAME,
        AGE,
        column("SignerName", lambda obj: spec(obj).get("signerName") or NONE),
        column("Requestor", lambda obj: spec(obj).get("username") or ""),
        column("RequestedDuration", _duration),
        column("Condition", _word),
    ),
    fields=selectable("spec.signerName"),
    prepare_for_create=empty_status,
    validate=signing.check,
    update=Update(_keep),
    subresources={
        "status": Update(_sign, signing.signed),
        "approval": Update(_decide, signing.decided),
    },
)
