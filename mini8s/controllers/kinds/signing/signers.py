"""What the cluster's own signers sign, in upstream's words (`pkg/apis/certificates/helpers.go`).

`kubernetes.io/legacy-unknown` is none of them: this version of the API takes no request for it.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping

from mini8s.objects.kinds import Obj
from mini8s.objects.signers import CLIENT, KUBELET_CLIENT, KUBELET_SERVING
from mini8s.wire import pkcs10
from mini8s.wire.pkcs10 import Request

NODES, NODE = "system:nodes", "system:node:"
_CLIENT, _SERVER = "client auth", "server auth"
_OPTIONAL = ("digital signature", "key encipherment")  # the second is for RSA keys

Usages = frozenset[str]


def request_of(csr: Obj) -> Request:
    """Raises ValueError; the API takes none that can't be read."""
    return pkcs10.parse(base64.b64decode(csr["spec"]["request"]))


def refusal(csr: Obj, request: Request) -> str:
    """Why the signer that was asked does not sign this; "" when it does."""
    return SIGNERS[csr["spec"]["signerName"]](request, frozenset(csr["spec"]["usages"]))


def _client(_request: Request, usages: Usages) -> str:
    if others := sorted(usages - {_CLIENT, *_OPTIONAL}):
        return f"invalid usage for client certificate: {others[0]}"
    return "" if _CLIENT in usages else f"missing required usage for client certificate: {_CLIENT}"


def _kubelet_client(request: Request, usages: Usages) -> str:
    return (
        _node(request)
        or (request.dns and _not_allowed("DNS"))
        or (request.emails and _not_allowed("Email"))
        or (request.addresses and _not_allowed("IP"))
        or (request.uris and _not_allowed("URI"))
        or _named(request)
        or _exactly(usages, _CLIENT)
    )


def _kubelet_serving(request: Request, usages: Usages) -> str:
    return (
        _node(request)
        or ("" if request.dns or request.addresses else "DNS or IP subjectAltName is required")
        or (request.emails and _not_allowed("Email"))
        or (request.uris and _not_allowed("URI"))
        or _exactly(usages, _SERVER)
        or _named(request)
    )


def _node(request: Request) -> str:
    return "" if request.organizations == (NODES,) else f"subject organization is not {NODES}"


def _named(request: Request) -> str:
    good = request.common_name.startswith(NODE)
    return "" if good else f"subject common name does not begin with {NODE}"


def _exactly(usages: Usages, purpose: str) -> str:
    wanted = {*_OPTIONAL, purpose}
    good = usages in (wanted, wanted - {"key encipherment"})
    return "" if good else f"usages did not match [{' '.join(sorted(wanted))}]"


def _not_allowed(what: str) -> str:
    return f"{what} subjectAltNames are not allowed"


SIGNERS: Mapping[str, Callable[[Request, Usages], str]] = {
    CLIENT: _client,
    KUBELET_CLIENT: _kubelet_client,
    KUBELET_SERVING: _kubelet_serving,
}
