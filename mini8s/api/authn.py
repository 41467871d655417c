"""Who asks: root on the unix socket, a client certificate's subject, or the holder of a token."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from mini8s.api.authz import MASTERS
from mini8s.api.connection import ENVIRON_KEY, Connection, Peer
from mini8s.registry.base import User

AUTHENTICATED = "system:authenticated"
ADMIN = User("system:admin", (MASTERS, AUTHENTICATED))

Authenticate = Callable[[Mapping[str, Any]], User | None]
Tokens = Callable[[str], User | None]


def authenticator(tokens: Tokens = lambda _token: None) -> Authenticate:
    """`tokens` knows whose a bearer token is, None for nobody's."""

    def authenticate(environ: Mapping[str, Any]) -> User | None:
        connection: Connection | None = environ.get(ENVIRON_KEY)
        known = user_of(connection.peer) if connection is not None else None
        if known is not None:
            return known
        token = bearer(environ)
        return tokens(token) if token else None

    return authenticate


@lru_cache(maxsize=256)
def user_of(peer: Peer) -> User | None:
    """The socket's file mode lets only its owner in; this says it again."""
    if peer.uid is not None:
        return ADMIN if peer.uid in {0, os.geteuid()} else None
    if peer.common_name:
        return User(peer.common_name, (*peer.organizations, AUTHENTICATED))
    return None


def bearer(environ: Mapping[str, Any]) -> str:
    """The token of `Authorization: Bearer TOKEN`, else ""."""
    scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
