"""Images from a registry over TLS that lets in only whom it knows: docker-registry on a host beside."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hosts import Host, Hosts
from hosts.cluster import MINI8S, Cluster
from space import BUSYBOX, Obj, Space, container, pod, space_of

CERTIFICATES = Path("/etc/docker/certs.d")
CONFIG = """version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}/blobs}}}}
http: {{addr: "{ip}:5000", tls: {{certificate: {folder}/tls.crt, key: {folder}/tls.key}}}}
auth: {{htpasswd: {{realm: shop, path: {folder}/users}}}}
"""
USERS = "ann:$2y$04$4PCQ7wZVtbWvubWZA6EYPOUSDrIKG2HdKIbYjSX61tE3ooeRjzW3a"  # htpasswd -nbB: secret


@dataclass(frozen=True, slots=True)
class Registry:
    name: str
    certificate: Path


@pytest.fixture(scope="module")
def registry(hosts: Hosts, image_archives: list[Path]) -> Iterator[Registry]:
    """It has `web:1`, which is our busybox."""
    host = hosts.up(2)[1]
    folder, name = host.folder / "registry", f"{host.ip}:5000"
    folder.mkdir()
    _certificate(host.ip, folder)
    (folder / "users").write_text(USERS + "\n")
    (folder / "config.yml").write_text(CONFIG.format(folder=folder, ip=host.ip))
    with (folder / "log").open("wb") as log:
        served = host.popen(
            "docker-registry",
            "serve",
            str(folder / "config.yml"),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _fill(host, name, folder / "tls.crt", image_archives)
        yield Registry(name, folder / "tls.crt")
    finally:
        os.killpg(served.pid, signal.SIGKILL)
        served.wait(60)
        shutil.rmtree(CERTIFICATES / name, ignore_errors=True)


def _certificate(ip: str, folder: Path) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-days", "2", "-subj", "/CN=registry", "-addext", f"subjectAltName=IP:{ip}",
         "-keyout", folder / "tls.key", "-out", folder / "tls.crt"],
        check=True, capture_output=True,
    )  # fmt: skip


def _fill(host: Host, name: str, certificate: Path, archives: list[Path]) -> None:
    (CERTIFICATES / name).mkdir(parents=True, exist_ok=True)
    (CERTIFICATES / name / "ca.crt").write_bytes(certificate.read_bytes())
    for archive in archives:
        host.docker("load", "--input", str(archive))
    _answers(host, name)
    login = ("--config", str(host.folder / "docker"))
    host.docker(*login, "login", "--username=ann", "--password=secret", name)
    host.docker("tag", BUSYBOX, f"{name}/web:1")
    host.docker(*login, "push", f"{name}/web:1", timeout=180)
    shutil.rmtree(CERTIFICATES / name)  # the node's engine must be told of it by the node


def _answers(host: Host, name: str) -> None:
    deadline = time.monotonic() + 60
    while host.call("curl", "-sk", f"https://{name}/v2/").returncode:
        assert time.monotonic() < deadline, "the registry does not listen"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def cluster(hosts: Hosts, registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    settings = tmp_path_factory.mktemp("node") / "registries.yaml"
    tls = {"ca_file": str(registry.certificate)}
    settings.write_text(
        json.dumps({
            "mirrors": {"shop.example": {"endpoint": [f"https://{registry.name}"]}},
            "configs": {registry.name: {"tls": tls}},
        })
    )  # fmt: skip
    with Cluster(hosts.up(2)[:1], []) as made:
        made.server(1, f"--private-registry={settings}")
        made.wait_ready("h1")
        yield made


@pytest.fixture
def here(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Space]:
    with space_of(cluster, request) as made:
        yield made


def web(name: str, image: str, *secrets: str) -> Obj:
    listed = [{"name": secret} for secret in secrets]
    return pod(
        name, container("sleep 1000") | {"image": image, "imagePullPolicy": "Always"}, imagePullSecrets=listed
    )


def pull_secret(name: str, registry: str, user: str, password: str) -> Obj:
    auths = {"auths": {registry: {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}}}
    return {
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
        "metadata": {"name": name}, "stringData": {".dockerconfigjson": json.dumps(auths)},
    }  # fmt: skip


def refused(status: Obj) -> str:
    states = [one["state"].get("waiting", {}) for one in status.get("containerStatuses", ())]
    known = ("ErrImagePull", "ImagePullBackOff")
    return next((one["message"] for one in states if one.get("reason") in known and one.get("message")), "")


def test_who_has_no_secret_or_a_wrong_one_is_not_let_in(here: Space, registry: Registry) -> None:
    here.apply(pull_secret("wrong", registry.name, "ann", "guess"))
    here.apply(web("none", f"{registry.name}/web:1"), web("bad", f"{registry.name}/web:1", "wrong", "gone"))
    for name in ("none", "bad"):
        said = here.wait(name, "a refusal", refused)
        assert "no basic auth credentials" in said or "unauthorized" in said
    told = "Unable to retrieve some image pull secrets (gone)"
    here.cluster.wait_for("the event", lambda: told in here.kubectl("get", "events"))


def test_a_pull_secret_opens_the_door(here: Space, registry: Registry) -> None:
    here.apply(pull_secret("ann", registry.name, "ann", "secret"))
    here.apply(web("web", f"{registry.name}/web:1", "ann"))
    here.wait_phase("web", "Running")
    told = "Successfully pulled image"
    here.cluster.wait_for("the event", lambda: told in here.kubectl("describe", "pod", "web"))


def test_a_secret_that_comes_later_mends_the_pull(here: Space, registry: Registry) -> None:
    here.apply(web("web", f"{registry.name}/web:1", "later"))
    here.wait("web", "a refusal", refused)
    here.apply(pull_secret("later", registry.name, "ann", "secret"))
    here.wait_phase("web", "Running")


def test_a_service_account_brings_its_secrets_and_a_mirror_its_images(
    here: Space, registry: Registry
) -> None:
    here.apply(pull_secret("ann", registry.name, "ann", "secret"))
    here.cluster.wait_for(
        "its account", lambda: "default" in here.kubectl("get", "serviceaccounts", "--output=name")
    )
    here.kubectl("patch", "serviceaccount", "default", "--patch", '{"imagePullSecrets": [{"name": "ann"}]}')
    here.apply(web("web", "shop.example/web:1"))
    here.wait_phase("web", "Running")
    images = here.cluster.hosts[1].docker("images", "--format={{.Repository}}:{{.Tag}}").split()
    assert "shop.example/web:1" in images


def test_an_image_that_is_not_there(here: Space, registry: Registry) -> None:
    here.apply(
        pull_secret("ann", registry.name, "ann", "secret"), web("web", f"{registry.name}/none:1", "ann")
    )
    said = here.wait("web", "a refusal", refused)
    assert "not found" in said or "unknown" in said


def test_images_are_pulled_and_imported_by_hand(
    here: Space, registry: Registry, image_archives: list[Path], tmp_path: Path
) -> None:
    """As root on the host, by the agent's own mirrors and credentials."""
    host, settings = here.cluster.hosts[1], tmp_path / "registries.yaml"
    auth, tls = {"username": "ann", "password": "secret"}, {"ca_file": str(registry.certificate)}
    mirrors = {"depot.example": {"endpoint": [f"https://{registry.name}"]}}
    settings.write_text(
        json.dumps({"mirrors": mirrors, "configs": {registry.name: {"auth": auth, "tls": tls}}})
    )

    def image(*words: str, code: int = 0) -> str:
        said = host.call(MINI8S, "image", "--private-registry", str(settings), *words, timeout=180)
        assert said.returncode == code, said.stderr
        return said.stdout + said.stderr

    assert image("pull", "depot.example/web:1", "--pin").startswith("pulled depot.example/web:1 (")
    assert "imported mini8s-" in image("import", *map(str, image_archives))
    here.apply(
        pod("user", container("sleep 1000") | {"image": "depot.example/web:1", "imagePullPolicy": "Never"})
    )
    here.wait_phase("user", "Running")
    listed = {name: one for one in json.loads(image("list", "-o", "json")) for name in one["names"]}
    assert listed["depot.example/web:1"]["pinned"] == "yes"
    assert f"{here.name}/user" in listed["depot.example/web:1"]["usedBy"]
    assert listed[BUSYBOX]["pinned"] == "yes"
    assert "it is pinned: unpin it first" in image("rm", "depot.example/web:1", code=1)
    assert image("unpin", "depot.example/web:1") == "unpinned depot.example/web:1\n"
    assert f"{__file__}: " in image("import", __file__, code=1)
