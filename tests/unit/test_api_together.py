"""Many writes in one request: each is as if it had come alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fakes.http import FakeServer, Heard

from mini8s.api.audit.policy import API_VERSION, KIND, parse
from mini8s.objects.errors import BadRequest
from mini8s.wire import together

MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


def ask(server: FakeServer, *asks: Any, user: str = "admin", **headers: str) -> Heard:
    said = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.ask("POST", together.PATH, list(asks), user=user, headers=said)


def create(name: str, **more: Any) -> dict[str, Any]:
    return {"method": "POST", "target": MAPS, "body": {"metadata": {"name": name}, **more}}


def test_each_has_its_own_answer_in_order(server: FakeServer) -> None:
    change = {"data": {"k": "v"}}
    patch = {"method": "PATCH", "target": f"{MAPS}/a", "body": change, "type": "application/merge-patch+json"}
    server.ask("POST", MAPS, {"metadata": {"name": "a"}})
    heard = ask(server, create("b", data={"x": "y"}), create("a"), patch, create("no/name"))
    assert heard.code == 200
    made, taken, patched, invalid = heard.json
    assert (made["code"], made["body"]["data"]) == (201, {"x": "y"})
    assert made["body"] == server.ask("GET", f"{MAPS}/b").json
    assert (taken["code"], taken["body"]["reason"]) == (409, "AlreadyExists")
    assert (patched["code"], patched["body"]["data"]) == (200, {"k": "v"})
    assert (invalid["code"], invalid["body"]["reason"]) == (422, "Invalid")


def test_queries_and_warnings_are_each_ones_own(server: FakeServer) -> None:
    dry = create("dry") | {"target": f"{MAPS}?dryRun=All"}
    as_yaml = create("yaml") | {"target": f"{MAPS}?as=yaml"}
    tried, shown, warned = ask(server, dry, as_yaml, create("odd", unknown=1, other=1)).json
    assert tried["code"] == 201
    assert server.ask("GET", f"{MAPS}/dry").code == 404
    assert shown["body"].startswith("apiVersion: v1")
    assert [part in warned["headers"]["Warning"] for part in ('"unknown', "other", ", 299 - ")] == [True] * 3


def test_each_is_authorised_as_who_asks(server: FakeServer) -> None:
    assert [one["code"] for one in ask(server, create("a"), create("b"), user="jane").json] == [403, 403]
    assert ask(server, create("a"), user="nobody").code == 401
    (as_jane,) = ask(server, create("a"), Impersonate_User="jane").json
    assert 'User "jane" cannot create' in as_jane["body"]["message"]
    assert server.ask("GET", f"{MAPS}/a").code == 404


def test_each_is_counted(server: FakeServer) -> None:
    ask(server, create("a"), create("b"))
    counted = 'verb="POST",group="",version="v1",resource="configmaps",subresource="",scope="resource"'
    text = server.ask("GET", "/metrics").body.decode()
    assert f'apiserver_request_total{{{counted},component="apiserver",code="201"}} 2' in text


@pytest.mark.parametrize(
    "one",
    [
        {"method": "GET", "target": MAPS},
        {"method": "POST", "target": together.PATH, "body": []},
        {"method": "POST", "target": "/apply"},
        {"method": "POST", "target": "/api/v1/namespaces/default/pods/p/exec?command=sh"},
        {"method": "POST", "target": "/api/v1/namespaces/default/pods/p/proxy/x"},
        {"method": "DELETE", "target": "/api/v1/namespaces/default/pods/p/log"},
    ],
)
def test_only_writes_of_resources_go_together(server: FakeServer, one: dict[str, Any]) -> None:
    heard = ask(server, create("a"), one)
    assert heard.code == 400
    assert "is no write of a resource" in heard.json["message"]
    assert server.ask("GET", f"{MAPS}/a").code == 404, "what is refused as a whole does nothing"


def test_what_is_no_list_of_requests(server: FakeServer) -> None:
    assert server.ask("POST", together.PATH, b"{").code == 400
    assert ask(server, {"method": 1}).code == 400
    assert ask(server, *[create("a")] * (together.MOST + 1)).code == 400
    assert ask(server).json == []
    with pytest.raises(BadRequest):
        together.decode_answers(b'[{"code":"x"}]')


def test_no_request_holds_more_than_a_server_takes() -> None:
    large = together.ask("POST", MAPS, b'"' + b"x" * (together.MOST_BYTES // 2) + b'"', "application/json")
    small = together.ask("POST", MAPS, b"{}", "application/json")
    assert [len(batch) for batch in together.batches([small, large, large, small])] == [2, 2]
    assert [len(batch) for batch in together.batches([small] * (together.MOST + 1))] == [together.MOST, 1]
    assert list(together.batches([])) == []


def test_each_leaves_its_own_trail_and_the_whole_has_one_besides() -> None:
    lines: list[bytes] = []
    rules = [{"level": "None", "users": ["jane"]}, {"level": "Request"}]
    policy = parse(
        {"apiVersion": API_VERSION, "kind": KIND, "rules": rules, "omitStages": ["RequestReceived"]}
    )
    server = FakeServer((policy, lines.append))
    lines.clear()
    ask(server, create("a"), create("a"))
    told = [json.loads(line) for line in lines]
    assert [(one["requestURI"], one["responseStatus"]["code"]) for one in told] == [
        (MAPS, 201), (MAPS, 409), (together.PATH, 200)
    ]  # fmt: skip
    assert told[0]["objectRef"]["name"] == "a"
    lines.clear()
    ask(server, create("b"), Impersonate_User="jane")
    assert [json.loads(line)["impersonatedUser"]["username"] for line in lines[:1]] == ["jane"]


def test_the_whole_ones_trail_has_no_bodies() -> None:
    lines: list[bytes] = []
    rules = [{"level": "RequestResponse"}]
    server = FakeServer((parse({"apiVersion": API_VERSION, "kind": KIND, "rules": rules}), lines.append))
    secret = {"metadata": {"name": "a"}, "stringData": {"word": "hush"}}
    (made,) = ask(
        server, {"method": "POST", "target": MAPS.replace("configmaps", "secrets"), "body": secret}
    ).json
    assert made["body"]["data"] == {"word": "aHVzaA=="}
    assert any(json.loads(line)["requestURI"] == together.PATH for line in lines)
    assert not [line for line in lines if b"hush" in line or b"aHVzaA" in line]
