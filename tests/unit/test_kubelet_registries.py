"""Where an image is asked for and by whom: mirrors, the node's credentials, pull secrets."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from fakes.api import FakeEvents
from fakes.runtime import FakeRuntime

from mini8s.agent.kubelet.images.images import Images, ImageWait
from mini8s.agent.kubelet.images.registries import (
    BadRegistries,
    Mirror,
    Reference,
    Registries,
    entries,
    parse,
)
from mini8s.agent.runtime.docker import certs
from mini8s.agent.runtime.specs import RegistryAuth
from mini8s.objects.kinds import SECRETS, Kind, Obj
from mini8s.util.clock import FakeClock

ANN, BOB, NODE = (RegistryAuth(name, "pw") for name in ("ann", "bob", "node"))


def secret(*, key: str = ".dockerconfigjson", **places: Any) -> Obj:
    whole = {"auths": places} if key == ".dockerconfigjson" else places
    return {"data": {key: base64.b64encode(json.dumps(whole).encode()).decode()}}


def login(user: str) -> Obj:
    return {"auth": base64.b64encode(f"{user}:pw".encode()).decode()}


@pytest.mark.parametrize(
    ("image", "host", "path", "rest"),
    [
        ("web", "docker.io", "library/web", ""),
        ("me/web:1", "docker.io", "me/web", ":1"),
        ("localhost/web", "localhost", "web", ""),
        ("r:5000/a/b@sha256:00", "r:5000", "a/b", "@sha256:00"),
        ("r.example/a:b@sha256:00", "r.example", "a", ":b@sha256:00"),
    ],
)
def test_names(image: str, host: str, path: str, rest: str) -> None:
    assert Reference.of(image) == Reference(host, path, rest)


@pytest.mark.parametrize(
    ("place", "image", "meant"),
    [
        ("https://index.docker.io/v1/", "web", True),
        ("docker.io", "me/web", True),
        ("r:5000", "r:5000/web", True),
        ("r:5000", "r:5001/web", False),
        ("https://r:5000/v2/", "r:5000/web", True),
        ("*.example", "a.example/web", True),
        ("*.example", "a.b.example/web", False),
        ("r:5000/team", "r:5000/team/web", True),
        ("r:5000/team", "r:5000/teams/web", False),
    ],
)
def test_whom_credentials_are_for(place: str, image: str, meant: bool) -> None:
    found = list(Registries().attempts(image, [secret(**{place: login("ann")})]))
    assert found == [(image, ANN if meant else None)]


def test_the_most_exact_comes_first_then_the_nodes_own() -> None:
    registries = Registries(auths={"r:5000": NODE})
    secrets = [secret(**{"r:5000": login("ann"), "r:5000/team": login("bob")})]
    assert [who for _, who in registries.attempts("r:5000/team/web", secrets)] == [BOB, ANN, NODE]


def test_mirrors_are_asked_before_the_place_itself() -> None:
    mirror = Mirror(["m1:5000", "m2/cache"], {"^library/(.*)": "hub/$1"})
    registries = Registries(mirrors={"docker.io": mirror, "*": Mirror(["any"])}, auths={"m1:5000": NODE})
    assert list(registries.attempts("web:1", [])) == [
        ("m1:5000/hub/web:1", NODE),
        ("m2/cache/hub/web:1", None),
        ("web:1", None),
    ]
    assert [name for name, _ in registries.attempts("r:1/web", [])] == ["any/web", "r:1/web"]
    assert [name for name, _ in registries.attempts("web@sha256:00", [])] == ["web@sha256:00"]


def test_secrets_of_either_form_and_those_that_cannot_be_read() -> None:
    assert list(entries(secret(key=".dockercfg", r=login("ann")))) == [("r", ANN)]
    assert list(entries(secret(r={"username": "bob", "password": "pw"}))) == [("r", BOB)]
    for text in (
        "!",
        base64.b64encode(b"[1]").decode(),
        base64.b64encode(b'{"auths": {"r": {"auth": "!"}}}').decode(),
    ):
        assert list(entries({"data": {".dockerconfigjson": text}})) == []


def test_the_nodes_file() -> None:
    said = {
        "mirrors": {"docker.io": {"endpoint": ["https://m:5000/v2", "http://n"], "rewrite": {"^a": "b"}}},
        "configs": {
            "m:5000": {"auth": {"username": "node", "password": "pw"}, "tls": {"ca_file": "/ca"}},
            "n": {"tls": {"insecure_skip_verify": True}},
        },
    }
    assert parse(said) == Registries(
        mirrors={"docker.io": Mirror(["m:5000", "n"], {"^a": "b"})},
        auths={"m:5000": NODE},
        files={"m:5000": {"ca.crt": "/ca"}, "n": {}},
        unverified=["n"],
    )
    assert parse(None) == Registries()


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ([], "the file is not a mapping"),
        ({"mirror": {}}, "there is no mirror"),
        ({"mirrors": {"a": []}}, "mirrors.a is not a mapping"),
        ({"mirrors": {"a": {"endpoint": "x"}}}, "mirrors.a.endpoint is not a list"),
        ({"mirrors": {"a": {"rewrite": {"(": "x"}}}}, "mirrors.a.rewrite: '\\(' is no pattern"),
        ({"configs": {"a": {"auth": "x"}}}, "configs.a.auth is not a mapping"),
        ({"configs": {"a": {"auth": {"auth": "!"}}}}, "auth is not base64"),
    ],
)
def test_a_file_that_cannot_be_used(said: Any, why: str) -> None:
    with pytest.raises(BadRegistries, match=why):
        parse(said)


def test_passwords_are_not_shown() -> None:
    assert "pw" not in repr(ANN)


def pod(*secrets: str) -> Obj:
    return {
        "metadata": {"namespace": "shop", "name": "p", "uid": "u1"},
        "spec": {
            "containers": [{"name": "c", "image": "r:1/web:1"}],
            "imagePullSecrets": [{"name": name} for name in secrets],
        },
    }


def test_a_pull_asks_with_the_pods_secrets_until_somebody_is_let_in() -> None:
    clock, events = FakeClock(), FakeEvents()
    runtime = FakeRuntime(clock.now, pullable={"r:1/web:1"}, welcome={"r:1/web:1": {"bob"}})
    stored = {"one": secret(**{"r:1": login("ann")}), "two": secret(**{"r:1": login("bob")})}

    def lookup(kind: Kind, namespace: str, name: str) -> Obj | None:
        assert (kind, namespace) == (SECRETS, "shop")
        return stored.get(name)

    images = Images(runtime, events, clock, lambda _: None, lookup=lookup)
    made = pod("one", "gone", "two")
    with pytest.raises(ImageWait):
        images.ensure(made, made["spec"]["containers"][0], 0)
    images.pull_next()
    assert runtime.count("pull") == 2
    images.ensure(made, made["spec"]["containers"][0], 0)
    said = [message for _, _, reason, message in events.said if reason == "FailedToRetrieveImagePullSecret"]
    assert said == [
        "Unable to retrieve some image pull secrets (gone); attempting to pull the image may not succeed."
    ]


def test_certificates_are_links_where_docker_looks(tmp_path: Path) -> None:
    source, folder = tmp_path / "ca.pem", tmp_path / "certs.d"
    source.write_text("ca")
    for _ in range(2):
        certs.trust("r:5000", {"ca.crt": str(source)}, folder)
    assert (folder / "r:5000" / "ca.crt").read_text() == "ca"
    with pytest.raises(FileNotFoundError):
        certs.trust("r:5000", {"client.key": str(tmp_path / "none")}, folder)
    (folder / "r:5000" / "client.cert").write_text("theirs")
    certs.trust("r:5000", {"client.cert": str(source)}, folder)
    assert (folder / "r:5000" / "client.cert").read_text() == "theirs"
