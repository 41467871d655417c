"""ServiceAccount: a pod runs as somebody, as `default` when it does not say, and that somebody is there.

`default` itself is taken for granted: a controller makes it a moment after the namespace, and a manifest that
brings both the namespace and its pods should not have to wait.
"""

from __future__ import annotations

from mini8s.objects.kinds import PODS, SERVICEACCOUNTS
from mini8s.registry import refusals
from mini8s.registry.admission.attempt import Attempt

_DEFAULT = "default"


def service_account(attempt: Attempt) -> None:
    if not attempt.creates_pod:
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
        spec["imagePullSecrets"] = [dict(secret) for secret in secrets]
