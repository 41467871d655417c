"""Who may join: the token he shows must let him in, and the key he has must be that of the node's name.

A node is its key. The first key that comes under a name is kept, as a Secret of kube-system, and whoever
comes with another one is refused until `mini8s node replace NAME` has forgotten it; k3s keeps a password of
each node for that. An address proves nothing and may change.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

from mini8s.app.token import BadToken, parse
from mini8s.objects import bootstrap_tokens, meta, node_keys
from mini8s.objects.errors import AlreadyExists, Forbidden, NotFound, Unauthorized
from mini8s.objects.kinds import NODES, SECRETS, Obj
from mini8s.registry.base import Context, ListOptions, Registry
from mini8s.wire.codec import decode_json

MERGE = "application/merge-patch+json"


class Admitting:
    """`here` is the node of the server's own agent, which no other host may be; "" for none."""

    def __init__(
        self, registry: Registry, context: Callable[[], Context], node_token: Path, here: str = ""
    ) -> None:
        self._registry = registry
        self._context = context
        self._node_token = node_token
        self._here = here

    def check_token(self, presented: str) -> None:
        """Tokens are judged by what is stored now, so that a new one counts at once. Raises Unauthorized."""
        if parse(self._node_token.read_text()).admits(presented):
            return
        try:
            token = parse(presented)
        except BadToken as error:
            raise Unauthorized(str(error)) from error
        if not token.bootstrap:
            raise Unauthorized("the server does not accept this token")
        name = bootstrap_tokens.PREFIX + token.secret.partition(".")[0]
        secret = self._secret(bootstrap_tokens.NAMESPACE, name)
        refused = bootstrap_tokens.refusal(secret, token.secret, self._context().now)
        if refused:
            raise Unauthorized(refused)

    def check_key(self, node: str, key: str, authority: str) -> None:
        """`authority`: the hash of the one that signs for it. Raises Forbidden."""
        if node == self._here:
            raise Forbidden(f"{node} is the server's own node: give this host another --node-name")
        secret = self._secret(node_keys.NAMESPACE, node_keys.secret_name(node))
        if secret is None:
            made = node_keys.made(node, key, authority)
            try:
                self._registry.create(self._context(), SECRETS, node_keys.NAMESPACE, made)
            except AlreadyExists:
                secret = self._secret(node_keys.NAMESPACE, node_keys.secret_name(node))
        if secret is None:
            return
        if _known_key(secret) != key:
            raise Forbidden(node_keys.other_key(node))
        if meta.annotations(secret).get(node_keys.AUTHORITY) != authority:
            change = {"metadata": {"annotations": {node_keys.AUTHORITY: authority}}}
            self._registry.patch(
                self._context(), SECRETS, node_keys.NAMESPACE, meta.name(secret), change, MERGE
            )

    def of_other_authorities(self, authority: str) -> list[str]:
        """The nodes for which another one than this signed last."""
        chosen = ListOptions(field_selector=f"type={node_keys.TYPE}")
        found: list[Obj] = [
            decode_json(one) for one in self._registry.list(SECRETS, node_keys.NAMESPACE, chosen).items
        ]
        names = [
            node_keys.node_of(meta.name(secret))
            for secret in found
            if meta.annotations(secret).get(node_keys.AUTHORITY) != authority
        ]
        return [name for name in names if self._is_there(name)]

    def _is_there(self, node: str) -> bool:
        try:
            self._registry.get(NODES, "", node)
        except NotFound:
            return False
        return True

    def _secret(self, namespace: str, name: str) -> Obj | None:
        try:
            found: Obj = decode_json(self._registry.get(SECRETS, namespace, name))
        except NotFound:
            return None
        return found


def _known_key(secret: Obj) -> str:
    return base64.b64decode((secret.get("data") or {}).get(node_keys.KEY) or "").decode()
