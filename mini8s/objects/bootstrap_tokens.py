"""Tokens that hosts join with, as upstream keeps them: `ID.SECRET`, each in a Secret of kube-system that says
what it is good for and until when (Kubernetes documentation, "Authenticating with Bootstrap Tokens")."""

from __future__ import annotations

import base64
import hmac
import re
from datetime import datetime

from mini8s.objects import meta
from mini8s.objects.kinds import SECRETS, Obj
from mini8s.objects.time import format_time, parse_time

TYPE = "bootstrap.kubernetes.io/token"
NAMESPACE = "kube-system"
PREFIX = "bootstrap-token-"
FORM = re.compile(r"(?P<id>[a-z0-9]{6})\.(?P<secret>[a-z0-9]{16})")
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
USER = "system:bootstrap:"  # and the token's id
EVERYBODY = "system:bootstrappers"
GROUP = "system:bootstrappers:mini8s:default-node-token"
_EXTRA_GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]")
USAGES = ("signing", "authentication")


def made(token: str, expires: datetime | None, description: str) -> Obj:
    """The Secret of a token that lets agents join. Raises TypeError for what is none."""
    parts = _parts(token)
    data = {
        "token-id": parts["id"],
        "token-secret": parts["secret"],
        "auth-extra-groups": GROUP,
        **{f"usage-bootstrap-{usage}": "true" for usage in USAGES},
    }
    data |= {"description": description} if description else {}
    data |= {"expiration": format_time(expires)} if expires else {}
    return {
        "apiVersion": SECRETS.api_version,
        "kind": SECRETS.kind,
        "metadata": {"namespace": NAMESPACE, "name": PREFIX + parts["id"]},
        "type": TYPE,
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
    }


def text(secret: Obj, key: str) -> str:
    """What a Secret says under a key; empty for nothing, and for what is no text."""
    try:
        return base64.b64decode((secret.get("data") or {}).get(key) or "").decode()
    except ValueError:
        return ""


def expires(secret: Obj) -> datetime | None:
    """None: never. What is no time has passed (upstream: `isSecretExpired`, which takes it so too)."""
    said = text(secret, "expiration")
    if not said:
        return None
    try:
        return parse_time(said)
    except ValueError:
        return datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def refusal(secret: Obj | None, token: str, now: datetime) -> str:
    """Why a token does not let its bearer in, in a sentence; empty when it does. That it has ended is told
    only to who knows it."""
    parts = _parts(token)
    known = secret is not None and secret.get("type") == TYPE and not meta.deleting(secret)
    known = known and text(secret or {}, "token-id") == parts["id"]
    stored = text(secret, "token-secret") if secret and known else ""
    if not secret or not hmac.compare_digest(stored.encode(), parts["secret"].encode()):
        return "the server does not know this token: it has ended, was deleted, or is another cluster's"
    end = expires(secret)
    if end is not None and end <= now:
        hint = "make another one with `mini8s token create`"
        return f"the token {parts['id']} ended at {format_time(end)}: {hint}"
    if text(secret, "usage-bootstrap-authentication") != "true":
        return f"the token {parts['id']} is not for authentication"
    return ""


def groups(secret: Obj) -> tuple[str, ...] | None:
    """Whom the bearer belongs to; None when the Secret names groups that no bootstrap token may give."""
    extra = [part.strip() for part in text(secret, "auth-extra-groups").split(",")]
    named = sorted({part for part in extra if part} | {EVERYBODY})
    good = all(part == EVERYBODY or _EXTRA_GROUP.fullmatch(part) for part in named)
    return tuple(named) if good else None


def _parts(token: str) -> dict[str, str]:
    found = FORM.fullmatch(token)
    if found is None:
        raise TypeError("not of the form of a bootstrap token")
    return found.groupdict()
