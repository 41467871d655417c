"""The whole API in process, over the fake store: a request in, an answer out."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from mini8s.api.app import Api, create_app
from mini8s.api.audit.policy import Policy
from mini8s.api.audit.trail import Write
from mini8s.api.authn import authenticator
from mini8s.api.connection import ENVIRON_KEY, Peer
from mini8s.api.join import Joining
from mini8s.api.service_accounts import ServiceAccounts
from mini8s.api.tokens import BootstrapTokens, any_of
from mini8s.objects.errors import Forbidden, Unauthorized
from mini8s.registry.machine import Machine
from mini8s.store.base import Row
from mini8s.util.clock import FakeClock
from tests.fakes import tokens
from tests.fakes.connection import FakeConnection
from tests.fakes.policy import seed
from tests.fakes.store import FakeStore

PEERS = {
    "admin": Peer("system:admin", ("system:masters",)),
    "node": Peer("system:node:n1", ("system:nodes",)),
    "pretender": Peer("system:node:n1", ("developers",)),  # a node by its name alone
    "jane": Peer("jane", ("developers",)),
    "root": Peer(uid=0),
    "nobody": Peer(),
}
NOW = datetime(2026, 1, 1, tzinfo=UTC)
DEFAULT = b'{"metadata":{"name":"default"}}'


@dataclass(frozen=True)
class Heard:
    code: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@lru_cache(maxsize=1)
def policy_rows() -> tuple[Row, ...]:
    """As a store has them before anything happens in it."""
    store, numbers = FakeStore(), itertools.count(1)
    clock = FakeClock(NOW)
    machine = Machine(
        store,
        service_cidr="10.43.0.0/16",
        node_port_range="30000-32767",
        cluster_cidr="10.42.0.0/16",
        cluster_dns="10.43.0.10",
        clock=clock,
        new_uid=lambda: f"role-{next(numbers)}",
        new_suffix=lambda: "abcde",
    )
    seed(machine, clock.now())
    return tuple(replace(row, revision=1, created_revision=1) for row in store.list("").rows)


class FakeServer:
    """`api` with a `default` namespace; `store` and `machine` are what is behind it."""

    def __init__(self, auditing: tuple[Policy, Write] | None = None) -> None:
        clock, numbers = FakeClock(NOW), itertools.count(1)
        self.store = FakeStore(policy_rows())
        self.machine = Machine(
            self.store,
            service_cidr="10.43.0.0/16",
            node_port_range="30000-32767",
            cluster_cidr="10.42.0.0/16",
            cluster_dns="10.43.0.10",
            clock=clock,
            new_uid=lambda: f"uid-{next(numbers)}",
            new_suffix=lambda: "abcde",
            issuer=tokens.issuer(),
        )
        accounts = ServiceAccounts(
            self.machine,
            issuer=tokens.NAME,
            audiences=[tokens.NAME],
            keys=tokens.key_set(),
            now=clock.now,
        )
        bootstrap = BootstrapTokens(self.machine, clock.now)
        self.api: Api = create_app(
            self.machine,
            authenticate=authenticator(any_of(accounts, bootstrap)),
            accounts=accounts,
            joining=Joining(lambda: b"CA\n", _check_token, _sign),
            ready={"store": lambda: ""},
            stats=lambda: {"keys": 1.0},
            auditing=auditing,
            server_address="192.0.2.1:6443",
            now=clock.now,
        )
        self.ask("POST", "/api/v1/namespaces", DEFAULT)

    def ask(
        self,
        method: str,
        url: str,
        body: Any = b"",
        *,
        user: str = "admin",
        headers: dict[str, str] | None = None,
    ) -> Heard:
        """One request; whatever the headers don't say of the body is said for them."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        path, _, query = url.partition("?")
        said = {name.upper().replace("-", "_"): value for name, value in (headers or {}).items()}
        length = "" if "TRANSFER_ENCODING" in said else str(len(data))
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "RAW_URI": url,
            "QUERY_STRING": query,
            "SERVER_NAME": "api",
            "SERVER_PORT": "6443",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.url_scheme": "https",
            "wsgi.input": io.BytesIO(data),
            "CONTENT_TYPE": said.pop("CONTENT_TYPE", ""),
            "CONTENT_LENGTH": said.pop("CONTENT_LENGTH", length),
            ENVIRON_KEY: FakeConnection(PEERS[user]),
        }
        environ |= {f"HTTP_{name}": value for name, value in said.items()}
        answered: list[Any] = []

        def start_response(line: str, given: list[tuple[str, str]]) -> Callable[[bytes], object]:
            answered.extend((int(line.split(maxsplit=1)[0]), dict(given)))
            return lambda _data: None

        found = b"".join(self.api(environ, start_response))
        return Heard(answered[0], answered[1], found)


def _check_token(token: str) -> None:
    if token != "secret":
        raise Unauthorized("the server does not accept this token")


def _sign(node: str, request: str) -> dict[str, str]:
    if node == "taken":
        raise Forbidden("no")
    return {"certificate": request, "ca": "CA"}
