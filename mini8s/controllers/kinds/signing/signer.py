"""What is approved gets its certificate, or is said to be no business of its signer (`signer/signer.go`).

A node that joined is its key: a request in its name with another key fails, as it would join with none.
"""

from __future__ import annotations

import base64
import hashlib
from functools import partial

from mini8s.controllers.actions import NOTHING, Action, Certify, Plan, patch
from mini8s.controllers.base import Context, Source, by_object, own_key
from mini8s.controllers.kinds.signing import signers
from mini8s.objects import conditions, node_keys
from mini8s.objects.errors import ApiError, NotFound
from mini8s.objects.kinds import SECRETS, SIGNINGREQUESTS, Obj
from mini8s.objects.signers import KUBELET_CLIENT

LEAST_SECONDS = 600


class Signer:
    name = "csrsigning"

    def __init__(self, context: Context) -> None:
        self._api = context.api
        self._requests = context.cache(SIGNINGREQUESTS)
        self._most_seconds = context.settings.certificate_seconds
        self._own_node = context.settings.server_node
        self.sources = (Source(SIGNINGREQUESTS, by_object(own_key)),)

    def plan(self, key: str) -> Plan:
        csr = self._requests.get("", key)
        if csr is None or not due(csr):
            return NOTHING
        return plan(csr, self._most_seconds, self._key_of_node(csr))

    def _key_of_node(self, csr: Obj) -> str:
        """The one that the node is known by, "" for none."""
        name = signers.request_of(csr).common_name.removeprefix(signers.NODE)
        if csr["spec"]["signerName"] != KUBELET_CLIENT or not name:
            return ""
        if name == self._own_node:
            return "that of the server, which nobody else has"
        try:
            secret = self._api.get(SECRETS, node_keys.NAMESPACE, node_keys.secret_name(name))
        except NotFound:
            return ""
        return base64.b64decode((secret.get("data") or {}).get(node_keys.KEY) or "").decode()


def due(csr: Obj) -> bool:
    """Whether it is for us to sign it now."""
    signed = (csr.get("status") or {}).get("certificate")
    final = signed or conditions.get(csr, "Denied") or conditions.is_true(csr, "Failed")
    return bool(
        conditions.is_true(csr, "Approved") and not final and csr["spec"]["signerName"] in signers.SIGNERS
    )


def plan(csr: Obj, most_seconds: int, key_of_node: str) -> Plan:
    request = signers.request_of(csr)
    why = signers.refusal(csr, request)
    if not why and key_of_node and key_of_node != hashlib.sha256(request.key).hexdigest():
        why = node_keys.other_key(request.common_name.removeprefix(signers.NODE))
    if why:
        return Plan(_failed(csr, why), said=why)
    asked = csr["spec"].get("expirationSeconds")
    seconds = most_seconds if asked is None else min(max(asked, LEAST_SECONDS), most_seconds)
    return Plan((Certify(csr, seconds, partial(_refused, csr)),), said="signed")


def _refused(csr: Obj, error: ApiError) -> tuple[Action, ...]:
    return _failed(csr, str(error))


def _failed(csr: Obj, why: str) -> tuple[Action, ...]:
    condition = {"type": "Failed", "status": "True", "reason": "SignerValidationFailure", "message": why}
    known = (csr.get("status") or {}).get("conditions") or []
    change = {"status": {"conditions": [*known, condition]}}
    return (patch(SIGNINGREQUESTS, csr, change, subresource="status", swap=True),)
