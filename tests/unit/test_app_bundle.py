"""What others must not read is not in what is given to them."""

from __future__ import annotations

import base64
import http.client
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini8s.app.bundle import objects, sources
from mini8s.app.bundle.redact import LEAST, Redactor, values
from mini8s.app.layout import server_files
from mini8s.cli import debug
from mini8s.client.rest import Endpoint, Rest
from mini8s.objects.errors import ApiError
from mini8s.objects.kinds import SECRETS, Obj

KEY = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\nabc\n-----END EC PRIVATE KEY-----"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "secret",
    [
        "K10" + "0f" * 32 + "::node:0123456789abcdef",
        "abcdef.0123456789abcdef",
        "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl",
        "till:geheim9",
    ],
)
def test_what_looks_like_a_secret_is_hidden_though_nobody_knows_it(secret: str) -> None:
    said = Redactor([]).text(f"token={secret} https://{secret}@shop.example/x Bearer {secret}\nnext line")
    assert secret not in said
    assert "shop.example" in said
    assert "next line" in said


def test_private_keys_are_hidden_also_when_they_are_cut_off() -> None:
    for text in (KEY, KEY[:-30]):
        assert Redactor([]).text(f"a\n{text}").split("\n")[:2] == ["a", "<hidden>"]


@given(st.text("abcXYZ012-_", min_size=LEAST + 3, max_size=30), st.text(max_size=7), st.text(max_size=7))
def test_a_known_secret_is_hidden_wherever_it_turns_up(secret: str, before: str, after: str) -> None:
    redactor = Redactor([secret])
    assert secret not in redactor.text(f"{before} {secret} {after}").replace("<hidden>", "")
    packed = encoded(f"{before}{secret}{after}")
    assert "<hidden>" in redactor.text(packed), packed


def test_short_values_are_words_and_stay() -> None:
    assert Redactor(["80", "true"]).text("port 80 is true") == "port 80 is true"


def test_secrets_say_what_they_hold() -> None:
    secret = {"data": {"a": encoded("hunter2-and-more"), "b": base64.b64encode(b"\xff\xfe").decode()}}
    assert "hunter2-and-more" in set(values(secret))


def test_objects_are_shown_without_what_they_hold() -> None:
    pod = {
        "env": [
            {"name": "PASSWORD", "value": "hunter2"},
            {"name": "FROM", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        ]
    }
    deployment: Obj = {
        "kind": "Deployment",
        "metadata": {"name": "web", "managedFields": [1], "annotations": {"note": "kept"}},
        "spec": {"template": {"spec": {"containers": [{"name": "c", **pod}]}}},
    }
    said = objects.shown(deployment)
    (container,) = said["spec"]["template"]["spec"]["containers"]
    assert container["env"] == [{"name": "PASSWORD", "value": "<hidden>"}, pod["env"][1]]
    assert said["metadata"] == {"name": "web", "annotations": {"note": "kept"}}
    assert pod["env"][0]["value"] == "hunter2", "what a cache gave is not changed"


@pytest.mark.parametrize("kind", ["Secret", "ConfigMap", "ControllerRevision"])
def test_holders_are_shown_by_the_size_of_what_they_hold(kind: str) -> None:
    applied = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps({"data": "hunter2"})}
    obj = {"kind": kind, "metadata": {"name": "x", "annotations": applied}, "data": {"password": "hunter2"}}
    said = objects.shown(obj)
    assert "hunter2" not in json.dumps(said)
    assert said["data"] == {"password": "7 characters"}


@pytest.mark.parametrize(
    "text",
    [
        "configs: {a: {auth: {username: till, password: hunter2-and-more}}}",
        "configs:\n- auth: {password: hunter2-and-more}",
        "- password: 'hunter2-and-more'",
        "configs:\n  a:\n   auth:\n     password: 'hunter2-and-more'\n  b: [",
    ],
)
def test_what_a_file_holds_is_kept_out_also_when_it_is_broken(tmp_path: Path, text: str) -> None:
    registries = tmp_path / "registries.yaml"
    registries.write_text(text)
    keys = server_files(str(tmp_path)).secret_keys
    keys.parent.mkdir(parents=True)
    keys.write_text('{"keys": ["c2VjcmV0LWtleQ=="')
    known = set(sources.known_secrets(str(tmp_path), str(registries)))
    assert {"hunter2-and-more", "c2VjcmV0LWtleQ=="} <= known
    assert "password" not in known


def test_what_cant_be_had_is_said_and_the_rest_goes_on(tmp_path: Path) -> None:
    found = dict(debug.lists(Rest(Endpoint(unix_socket=str(tmp_path / "api.sock")), user_agent="test")))
    assert isinstance(found[SECRETS], ApiError)

    def garbled() -> str:
        raise http.client.BadStatusLine("x")

    assert debug.text_of(garbled).startswith("could not be had: ")
