"""Protocol cases as data: each file of `tests/cases/*.http` is one conversation with the API.

    # what this shows
    >>> POST /api/v1/namespaces/default/configmaps?dryRun=All     (each step on a fresh request)
    As: admin                                                     (admin, node, jane, nobody)
    Content-Type: application/json

    {"metadata": {"name": "a"}}
    <<< 201
    Content-Type: application/json

    {"metadata": {"name": "a"}}

An expected JSON body is matched as a part: what it names must be there and equal; "..." stands for anything,
"-" for a key that must be missing. Any other body must be equal. Expected headers must be there. In a
request, "{{x*N}}" stands for N times x.
"""

from __future__ import annotations

import io
import itertools
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mini8s.api.app import Api, create_app
from mini8s.api.authn import authenticator
from mini8s.api.connection import ENVIRON_KEY, Peer
from mini8s.api.join import Joining
from mini8s.objects.errors import Forbidden
from mini8s.registry.machine import Machine
from mini8s.util.clock import FakeClock
from tests.fakes.connection import FakeConnection
from tests.fakes.store import FakeStore

CASES = sorted((Path(__file__).parent.parent / "cases").glob("*.http"))
PEERS = {
    "admin": Peer("system:admin", ("system:masters",)),
    "node": Peer("system:node:n1", ("system:nodes",)),
    "jane": Peer("jane", ("developers",)),
    "root": Peer(uid=0),
    "nobody": Peer(),
}
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Message:
    line: str
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""


@pytest.fixture
def api() -> Api:
    clock, numbers = FakeClock(NOW), itertools.count(1)
    registry = Machine(
        FakeStore(),
        service_cidr="10.43.0.0/16",
        node_port_range="30000-32767",
        cluster_cidr="10.42.0.0/16",
        cluster_dns="10.43.0.10",
        clock=clock,
        new_uid=lambda: f"uid-{next(numbers)}",
        new_suffix=lambda: "abcde",
    )

    def sign(node: str, request: str) -> dict[str, str]:
        if node == "taken":
            raise Forbidden("no")
        return {"certificate": request, "ca": "CA"}

    return create_app(
        registry,
        authenticate=authenticator(),
        joining=Joining(b"CA\n", lambda token: token == "secret", sign),
        ready={"store": lambda: ""},
        stats=lambda: {"keys": 1.0},
        server_address="192.0.2.1:6443",
        now=clock.now,
    )


def test_there_are_cases() -> None:
    assert CASES


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case(path: Path, api: Api) -> None:
    ask(api, Message("POST /api/v1/namespaces", body='{"metadata":{"name":"default"}}'))
    for number, (request, expected) in enumerate(steps(path.read_text()), 1):
        status, headers, body = ask(api, request)
        where = f"{path.name}, step {number}, {request.line}: {body.decode(errors='replace')[:2000]}"
        assert status == int(expected.line), where
        for name, value in expected.headers.items():
            assert headers.get(name) == value, f"{name} in {where}"
        if expected.body:
            check_body(expected.body, body, headers["Content-Type"], where)


def check_body(expected: str, body: bytes, content_type: str, where: str) -> None:
    if content_type.startswith("application/json"):
        problem = difference(json.loads(expected), json.loads(body), "$")
        assert not problem, f"{problem} in {where}"
    else:
        assert body.decode() == expected + "\n", where


def difference(expected: Any, found: Any, path: str) -> str:
    """How found is not as expected; "" when it is."""
    if expected == "...":
        return ""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key, value in expected.items():
            if value == "-":
                if key in found:
                    return f"{path}.{key} should not be there"
            elif key not in found:
                return f"{path}.{key} is missing"
            elif problem := difference(value, found[key], f"{path}.{key}"):
                return problem
        return ""
    if isinstance(expected, list) and isinstance(found, list):
        if len(expected) != len(found):
            return f"{path} has {len(found)} items, not {len(expected)}"
        pairs = enumerate(zip(expected, found, strict=True))
        return next((p for n, (e, f) in pairs if (p := difference(e, f, f"{path}[{n}]"))), "")
    return "" if expected == found else f"{path} is {found!r}, not {expected!r}"


def ask(api: Api, request: Message) -> tuple[int, dict[str, str], bytes]:
    answered: list[Any] = []
    headers = dict(request.headers)
    peer = PEERS[headers.pop("As", "admin")]
    method, _, rest = request.line.partition(" ")
    path, _, query = rest.partition("?")
    body = re.sub(r"\{\{(.)\*(\d+)\}\}", lambda found: found[1] * int(found[2]), request.body).encode()
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "api",
        "SERVER_PORT": "6443",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "https",
        "wsgi.input": io.BytesIO(body),
        "CONTENT_TYPE": headers.pop("Content-Type", ""),
        "CONTENT_LENGTH": headers.pop(
            "Content-Length", "" if "Transfer-Encoding" in headers else str(len(body))
        ),
        ENVIRON_KEY: FakeConnection(peer),
    }
    environ |= {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}

    def start_response(line: str, said: list[tuple[str, str]]) -> Callable[[bytes], object]:
        answered.extend((int(line.split(maxsplit=1)[0]), dict(said)))
        return lambda _data: None

    found = b"".join(api(environ, start_response))
    return answered[0], answered[1], found


def steps(text: str) -> Iterator[tuple[Message, Message]]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for part in re.split(r"^>>> ", "\n".join(lines), flags=re.MULTILINE)[1:]:
        request, _, answer = part.partition("\n<<< ")
        yield message(request), message(answer)


def message(text: str) -> Message:
    head, _, body = text.partition("\n\n")
    line, *headers = head.splitlines()
    pairs = (header.split(": ", 1) for header in headers)
    return Message(line.strip(), dict(pairs), body.strip("\n"))  # type: ignore[arg-type]
