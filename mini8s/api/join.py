"""How a host gets its certificate: it shows the cluster's token and a signing request.

The only two paths that answer somebody unknown: `/cacerts`, which lets a host check the token's hash before
it says anything secret, and this one, which wants the token itself. A node that has a certificate gets its
next one for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mini8s.api.answer import Answer, json_answer
from mini8s.api.authn import bearer
from mini8s.api.body import Body
from mini8s.api.connection import ENVIRON_KEY, Connection
from mini8s.objects.errors import BadRequest
from mini8s.objects.kinds import Obj
from mini8s.objects.names import dns_subdomain
from mini8s.registry.base import User

PATH = "/v1-mini8s/node-certificate"
CA_PATH = "/cacerts"

Sign = Callable[[str, str], Obj]  # node name, signing request as PEM -> the answer's body


class Joining:
    """`ca`: the authorities of now. `check_token` raises Unauthorized for a token that lets nobody in."""

    def __init__(self, ca: Callable[[], bytes], check_token: Callable[[str], None], sign: Sign) -> None:
        self._ca = ca
        self._check_token = check_token
        self._sign = sign

    def ca(self) -> Answer:
        return Answer(self._ca(), 200, "application/x-pem-file")

    def certificate(self, environ: Mapping[str, Any]) -> Answer:
        said, _ = Body(environ).value()
        if not _renews(environ, said):
            self._check_token(bearer(environ))
        node, request = _field(said, "node"), _field(said, "csr")
        wrong = dns_subdomain(node)
        if wrong:
            raise BadRequest(f"node: {wrong}")
        return json_answer(self._sign(node, request))


def _renews(environ: Mapping[str, Any], said: object) -> bool:
    """Whether this node is asking for its own next certificate."""
    connection: Connection | None = environ.get(ENVIRON_KEY)
    if connection is None or not isinstance(said, dict):
        return False
    node = User(connection.peer.common_name, connection.peer.organizations).node
    return bool(node) and node == said.get("node")


def _field(said: object, name: str) -> str:
    value = said.get(name) if isinstance(said, dict) else None
    if not isinstance(value, str) or not value:
        raise BadRequest(f"the body must be an object with the text {name!r}")
    return value
