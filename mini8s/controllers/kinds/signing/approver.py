"""Requests of kubelets are approved without a person where a role says so: who asks may `create` the
subresource `nodeclient` of signing requests, or `selfnodeclient` when the certificate is for himself
(`approver/sarapprove.go`). No role that the cluster comes with is bound so: our agents need no such request.
"""

from __future__ import annotations

from collections.abc import Sequence

from mini8s.controllers.actions import NOTHING, Plan, patch
from mini8s.controllers.base import Context, Source, by_object, own_key
from mini8s.controllers.kinds.signing import signers
from mini8s.objects import conditions
from mini8s.objects.kinds import ACCESSREVIEWS, SIGNINGREQUESTS, Obj
from mini8s.objects.signers import KUBELET_CLIENT

_WORDS = {
    "selfnodeclient": "Auto approving self kubelet client certificate after SubjectAccessReview.",
    "nodeclient": "Auto approving kubelet client certificate after SubjectAccessReview.",
}


class Approver:
    name = "csrapproving"

    def __init__(self, context: Context) -> None:
        self._api = context.api
        self._requests = context.cache(SIGNINGREQUESTS)
        self.sources = (Source(SIGNINGREQUESTS, by_object(own_key)),)

    def plan(self, key: str) -> Plan:
        csr = self._requests.get("", key)
        if csr is None:
            return NOTHING
        tried = wanted(csr)
        for right in tried:
            if self._api.create(ACCESSREVIEWS, review(csr, right))["status"].get("allowed"):
                return approved(csr, right)
        said = f"recognized csr as [{' '.join(tried)}] but subject access review was not approved"
        return Plan(said=said) if tried else NOTHING


def wanted(csr: Obj) -> Sequence[str]:
    """The rights of which one is enough; none when a person has to decide, or did."""
    decided = conditions.get(csr, "Approved") or conditions.get(csr, "Denied")
    if decided or csr["spec"]["signerName"] != KUBELET_CLIENT:
        return ()
    request = signers.request_of(csr)
    if signers.refusal(csr, request):
        return ()
    own = csr["spec"].get("username") == request.common_name
    return ("selfnodeclient", "nodeclient") if own else ("nodeclient",)


def review(csr: Obj, right: str) -> Obj:
    said = csr["spec"]
    what = {
        "group": SIGNINGREQUESTS.group,
        "version": "*",
        "resource": SIGNINGREQUESTS.plural,
        "subresource": right,
        "verb": "create",
    }
    who = {"user": said.get("username"), "uid": said.get("uid"), "groups": said.get("groups")}
    spec = {name: value for name, value in (who | {"extra": said.get("extra")}).items() if value}
    return {
        "apiVersion": ACCESSREVIEWS.api_version,
        "kind": ACCESSREVIEWS.kind,
        "spec": spec | {"resourceAttributes": what},
    }


def approved(csr: Obj, right: str) -> Plan:
    condition = {"type": "Approved", "status": "True", "reason": "AutoApproved", "message": _WORDS[right]}
    known = (csr.get("status") or {}).get("conditions") or []
    change = {"status": {"conditions": [*known, condition]}}
    return Plan((patch(SIGNINGREQUESTS, csr, change, subresource="approval", swap=True),), said=_WORDS[right])
