"""`kubectl create token`, and what its holder may and may not do; a pod that calls the API with its own."""

from __future__ import annotations

import base64
import json
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import kubectls
import pytest
from hosts.cluster import MINI8S, Cluster
from kubectls import Kubectl
from space import Space, container, pod, space

REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"


@pytest.fixture(scope="module")
def here(one_host: Cluster) -> Iterator[Space]:
    """A pod with a token of its own in a volume, and the API's certificate beside it."""
    source = {"serviceAccountToken": {"path": "token", "expirationSeconds": 600}}
    volume = {"name": "token", "projected": {"sources": [source]}}
    mount = {"name": "token", "mountPath": "/var/run/token"}
    with space(one_host, "tokens") as made:
        made.apply(pod("main", container("sleep 1000", volumeMounts=[mount]), volumes=[volume]))
        made.kubectl("wait", "--for=condition=Ready", "pod", "--all", "--timeout=120s")
        yield made


@pytest.fixture(params=kubectls.installed(), ids=str)
def kubectl(request: pytest.FixtureRequest) -> Kubectl:
    found: Kubectl = request.param
    return found


def run(here: Space, kubectl: Kubectl, *arguments: str) -> subprocess.CompletedProcess[str]:
    _, *options = here.cluster.kubectl_command("--namespace", here.name, *arguments)
    command = here.cluster.hosts[1].command(kubectl.program, *options)
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def asked(here: Space, token: str, path: str) -> tuple[int, str]:
    """What the API answers to the holder of a token."""
    files = here.cluster.hosts[1].data / "server" / "tls" / "ca.crt"
    said = here.cluster.curl(
        "--cacert", str(files), "--header", f"Authorization: Bearer {token}", "--write-out", "\n%{http_code}",
        f"https://10.99.0.11:6443{path}",
    )  # fmt: skip
    text, _, code = said.rpartition("\n")
    return int(code), text


def review(here: Space, token: str) -> dict[str, object]:
    body = json.dumps({"spec": {"token": token}})
    status: dict[str, object] = json.loads(here.cluster.api(REVIEWS, "--data", body))["status"]
    return status


def test_create_token(here: Space, kubectl: Kubectl) -> None:
    done = run(here, kubectl, "create", "token", "default", "--duration=20m")
    assert done.returncode == 0, done.stderr
    token = done.stdout.strip()
    status, text = asked(here, token, f"/api/v1/namespaces/{here.name}/pods")
    name = f"system:serviceaccount:{here.name}:default"
    refused = f'User "{name}" cannot list resource "pods" in API group "" in the namespace "{here.name}"'
    assert (status, json.loads(text)["message"]) == (403, f"pods is forbidden: {refused}")
    assert asked(here, token, "/version")[0] == 200
    assert asked(here, token[:-9] + "A" * 9, "/version")[0] == 401
    short = run(here, kubectl, "create", "token", "default", "--duration=9m")
    assert "may not specify a duration less than 10 minutes" in short.stderr


def test_a_token_ends_with_its_pod(here: Space) -> None:
    here.apply(pod("short", container("sleep 1000")))
    token = here.kubectl(
        "create", "token", "default", "--bound-object-kind=Pod", "--bound-object-name=short"
    ).strip()
    assert review(here, token)["authenticated"] is True
    here.kubectl("delete", "pod", "short", "--grace-period=0", "--force")
    assert "authenticated" not in review(here, token)
    assert asked(here, token, "/version")[0] == 401


def test_a_token_in_a_secret_ends_with_the_secret_which_ends_with_its_account(here: Space) -> None:
    here.kubectl("create", "serviceaccount", "robot")
    note = {"kubernetes.io/service-account.name": "robot"}
    secret = {"metadata": {"name": "key", "annotations": note}, "type": "kubernetes.io/service-account-token"}
    here.apply({"apiVersion": "v1", "kind": "Secret"} | secret)
    here.kubectl("wait", "--for=jsonpath={.data.token}", "secret", "key", "--timeout=120s")
    data = json.loads(here.kubectl("get", "secret", "key", "--output=json"))["data"]
    token = base64.b64decode(data["token"]).decode()
    assert review(here, token)["authenticated"] is True
    assert b"BEGIN CERTIFICATE" in base64.b64decode(data["ca.crt"])
    here.kubectl("delete", "serviceaccount", "robot")
    here.kubectl("wait", "--for=delete", "secret", "key", "--timeout=120s")
    assert "authenticated" not in review(here, token)


def test_a_pod_is_who_its_token_says(here: Space) -> None:
    token = here.kubectl("exec", "main", "--", "cat", "/var/run/token/token")
    said = review(here, token)
    user = said["user"]
    assert isinstance(user, dict)
    assert user["username"] == f"system:serviceaccount:{here.name}:default"
    assert user["extra"]["authentication.kubernetes.io/pod-name"] == ["main"]
    assert user["extra"]["authentication.kubernetes.io/node-name"] == ["h1"]


def test_others_can_find_the_keys(here: Space) -> None:
    token = here.kubectl("create", "token", "default").strip()
    status, text = asked(here, token, "/.well-known/openid-configuration")
    said = json.loads(text)
    assert (status, said["jwks_uri"]) == (200, "https://10.99.0.11:6443/openid/v1/jwks")
    status, text = asked(here, token, "/openid/v1/jwks")
    assert (status, json.loads(text)["keys"][0]["alg"]) == (200, "RS256")


def test_a_pod_may_what_its_accounts_roles_say(here: Space) -> None:
    token = here.kubectl("exec", "main", "--", "cat", "/var/run/token/token")
    path = f"/api/v1/namespaces/{here.name}/pods"
    assert asked(here, token, path)[0] == 403
    here.kubectl(
        "create", "rolebinding", "viewer", "--clusterrole=view", f"--serviceaccount={here.name}:default"
    )
    assert asked(here, token, path)[0] == 200  # `view` has gathered its rules
    assert asked(here, token, path.replace("pods", "secrets"))[0] == 403
    assert asked(here, token, "/api/v1/pods")[0] == 403
    account = f"--as=system:serviceaccount:{here.name}:default"
    assert here.kubectl("auth", "can-i", "get", "pods", "--subresource=log", account).strip() == "yes"
    here.kubectl("delete", "rolebinding", "viewer")
    assert asked(here, token, path)[0] == 403


def test_a_key_of_ones_own_is_signed_when_somebody_approves(here: Space, tmp_path: Path) -> None:
    """openssl makes the key; a kubeconfig with the certificate may what roles say."""
    host = here.cluster.hosts[1]
    key, asked = tmp_path / "ann.key", tmp_path / "ann.csr"
    host.run("openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/O=dev/CN=ann",
             "-keyout", str(key), "-out", str(asked))  # fmt: skip
    spec = {
        "request": base64.b64encode(asked.read_bytes()).decode(),
        "signerName": "kubernetes.io/kube-apiserver-client",
        "usages": ["client auth"],
        "expirationSeconds": 3600,
    }
    here.kubectl("delete", "csr", "ann", "ben", "--ignore-not-found")
    for name in ("ann", "ben"):
        csr = {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest"}
        here.apply(csr | {"metadata": {"name": name}, "spec": spec})
    here.kubectl("certificate", "deny", "ben")
    here.kubectl("certificate", "approve", "ann")
    here.kubectl("wait", "--for=jsonpath={.status.certificate}", "csr", "ann", "--timeout=60s")
    assert here.kubectl("get", "csr", "ben", "--no-headers").split()[-1] == "Denied"
    assert here.kubectl("get", "csr", "ann", "--no-headers").split()[-1] == "Approved,Issued"
    certificate = tmp_path / "ann.crt"
    certificate.write_bytes(base64.b64decode(here.get("csr", "ann")["status"]["certificate"]))
    server = {"server": "https://10.99.0.11:6443", "certificate-authority": f"{host.data}/server/tls/ca.crt"}
    config = {
        "clusters": [{"name": "x", "cluster": server}],
        "users": [{"name": "x", "user": {"client-certificate": str(certificate), "client-key": str(key)}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x", "namespace": here.name}}],
        "current-context": "x",
    }
    anns = tmp_path / "kubeconfig"
    anns.write_text(json.dumps(config))
    assert "ann" in host.run("kubectl", "auth", "whoami", f"--kubeconfig={anns}")
    pods = ["get", "pods", f"--kubeconfig={anns}"]
    assert 'User "ann" cannot list resource "pods"' in host.call("kubectl", *pods).stderr
    here.kubectl("create", "rolebinding", "developers", "--clusterrole=view", "--group=dev")
    assert "main" in host.run("kubectl", *pods)
    here.kubectl("delete", "csr", "ann", "ben")


def test_what_the_server_keeps_is_roots_alone(here: Space) -> None:
    data = here.cluster.hosts[1].data
    agents = [data / "agent" / name for name in ("client.key", "client.crt", "ca.crt")]
    open_to_all = {".crt", ".jwks"}  # what is no secret
    for path in (data / "server", *(data / "server").rglob("*"), *agents):
        try:
            found = path.stat()
        except FileNotFoundError:  # a draft that has taken its file's place
            continue
        allowed = 0o700 if path.is_dir() else 0o644 if path.suffix in open_to_all else 0o600
        assert stat.S_IMODE(found.st_mode) & ~allowed == 0, f"{path} has {found.st_mode:o}"
        assert (found.st_uid, found.st_gid) == (0, 0)


def test_an_agent_opens_no_port_of_a_kubelet(here: Space) -> None:
    """Nor do the controllers, the scheduler and the proxy, which upstream has between 10248 and 10259."""
    listening = here.cluster.hosts[1].run("ss", "--listening", "--tcp", "--numeric", "--no-header")
    ports = {int(line.split()[3].rpartition(":")[2]) for line in listening.splitlines()}
    assert 6443 in ports
    assert ports.isdisjoint(range(10240, 10270))


def test_nothing_on_the_servers_disk_shows_a_secret(here: Space) -> None:
    data = here.cluster.hosts[1].data / "server"
    word = base64.b64encode(b"sesame-on-the-disk")
    here.kubectl("create", "secret", "generic", "word", "--from-literal=k=sesame-on-the-disk")
    assert [path for path in data.rglob("*") if path.is_file() and word in path.read_bytes()] == []
    keys = (data / "cred" / "encryption.json").read_bytes()
    said = here.cluster.hosts[1].run(MINI8S, "secrets", "rotate", "--data-dir", str(data.parent))
    assert "under a new key" in said
    assert (data / "cred" / "encryption.json").read_bytes() != keys
    assert here.kubectl("get", "secret", "word", "--output=jsonpath={.data.k}").encode() == word
