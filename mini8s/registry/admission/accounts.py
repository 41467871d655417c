"""ServiceAccount: a pod runs as somebody, as `default` when it does not say, that somebody is there, and the
pod's containers find what they need to call the API as that somebody.

`default` itself is taken for granted: a controller makes it a moment after the namespace, and a manifest that
brings both the namespace and its pods should not have to wait.
"""

from __future__ import annotations

from mini8s.objects import meta
from mini8s.objects.kinds import PODS, SERVICEACCOUNTS, Obj
from mini8s.objects.pods import MIRROR
from mini8s.registry import refusals, token_volume
from mini8s.registry.admission.attempt import Attempt

_DEFAULT = "default"


def service_account(attempt: Attempt) -> None:
    """A mirror pod shows what a node runs by itself, and is nobody."""
    if not attempt.creates_pod or MIRROR in meta.annotations(attempt.obj):
        return
    spec = attempt.spec
    name = spec.get("serviceAccountName") or spec.get("serviceAccount") or _DEFAULT
    spec["serviceAccountName"] = spec["serviceAccount"] = name
    account = attempt.world.find(SERVICEACCOUNTS, attempt.namespace, name)
    if account is None and name != _DEFAULT:
        why = (
            f'error looking up service account {attempt.namespace}/{name}: serviceaccount "{name}" not found'
        )
        raise refusals.forbidden(PODS, attempt.name, why)
    secrets = (account or {}).get("imagePullSecrets")
    if secrets and not spec.get("imagePullSecrets"):
        spec["imagePullSecrets"] = secrets
    if _wants_token(spec, account or {}):
        token_volume.mount(spec, meta.uid(meta.controller_ref(attempt.obj) or {}) or meta.uid(attempt.obj))


def _wants_token(spec: Obj, account: Obj) -> bool:
    """What the pod says counts more than what the account says; without a word it does."""
    said = spec.get("automountServiceAccountToken")
    if said is None:
        said = account.get("automountServiceAccountToken")
    return said is not False
