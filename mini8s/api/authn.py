"""Who asks: root on the unix socket, a client certificate's subject, or the holder of a token.

Who shows nothing of these is nobody, and system:anonymous on the few paths that everybody may see: what
upstream calls anonymous authentication with conditions (KEP-4633).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from mini8s.api.attributes import AUTHENTICATED, PUBLIC
from mini8s.api.connection import ENVIRON_KEY, Connection, Peer
from mini8s.registry.base import MASTERS, User

ADMIN = User("system:admin", (MASTERS, AUTHENTICATED))
ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))

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
        if token:
            return tokens(token)
        return ANONYMOUS if environ.get("PATH_INFO") in PUBLIC else None

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
