"""Protocol cases as data: each file of `tests/cases/*.http` is one conversation with the API.

    # what this shows
    >>> POST /api/v1/namespaces/default/configmaps?dryRun=All     (each step on a fresh request)
    As: admin                                                     (`PEERS` of fakes/http.py)
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

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fakes.http import FakeServer, Heard

CASES = sorted((Path(__file__).parent.parent / "cases").glob("*.http"))


@dataclass
class Message:
    line: str
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""


@pytest.fixture
def api() -> FakeServer:
    return FakeServer()


def test_there_are_cases() -> None:
    assert CASES


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case(path: Path, api: FakeServer) -> None:
    for number, (request, expected) in enumerate(steps(path.read_text()), 1):
        heard = ask(api, request)
        where = f"{path.name}, step {number}, {request.line}: {heard.body.decode(errors='replace')[:2000]}"
        assert heard.code == int(expected.line), where
        for name, value in expected.headers.items():
            assert heard.headers.get(name) == value, f"{name} in {where}"
        if expected.body:
            check_body(expected.body, heard.body, heard.headers["Content-Type"], where)


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


def ask(api: FakeServer, request: Message) -> Heard:
    headers = dict(request.headers)
    user = headers.pop("As", "admin")
    method, _, url = request.line.partition(" ")
    body = re.sub(r"\{\{(.)\*(\d+)\}\}", lambda found: found[1] * int(found[2]), request.body).encode()
    return api.ask(method, url, body, user=user, headers=headers)


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
