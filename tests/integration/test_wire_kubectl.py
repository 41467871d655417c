"""What kubectl really sends, and how it reads YAML, against our decoders.

A tiny API on loopback knows a few kinds, records each POST and answers with what was sent.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import kubectls
import pytest
from kubectls import Kubectl

from mini8s.wire import codec, protobuf

KUBECTLS = kubectls.installed()
SPEAK_PROTOBUF = kubectls.installed(since=32) or [
    pytest.param(None, marks=pytest.mark.skip(reason="kubectl sends JSON before 1.32"))
]
RESOURCES = {
    "v1": "configmaps ConfigMap, secrets Secret, services Service, serviceaccounts ServiceAccount, "
    "resourcequotas ResourceQuota",
    "apps/v1": "deployments Deployment",
    "batch/v1": "jobs Job, cronjobs CronJob",
    "rbac.authorization.k8s.io/v1": "roles Role, rolebindings RoleBinding",
    "networking.k8s.io/v1": "ingresses Ingress",
    "policy/v1": "poddisruptionbudgets PodDisruptionBudget",
}
COMMANDS = [
    "create configmap a --from-literal=x=1 --from-literal=y= --from-file=BINARY",
    "create secret generic s --from-literal=p=q",
    "create deployment d --image=nginx --replicas=0 --port=80",
    "create service nodeport np --tcp=80:8080",
    "create service clusterip h --clusterip=None --tcp=80:http",
    "create serviceaccount x",
    "create quota q --hard=cpu=1,memory=1Gi",
    "create job j --image=x",
    "create cronjob c --image=x --schedule='*/1 * * * *'",
    "create role r --verb=get,list --resource=configmaps",
    "create rolebinding b --role=r --user=u --serviceaccount=a:b",
    "create ingress i --rule=a.b/p*=svc:80,tls=t",
    "create poddisruptionbudget p --selector=a=b --min-available=50%",
]

pytestmark = pytest.mark.skipif(not KUBECTLS, reason="kubectl is not installed")


class Recorder(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Api)
        self.bodies: list[bytes] = []


class Api(BaseHTTPRequestHandler):
    server: Recorder
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        version = path.removeprefix("/apis/").removeprefix("/api/")
        if path == "/api":
            self.answer({"kind": "APIVersions", "versions": ["v1"]})
        elif path == "/apis":
            self.answer({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups()})
        elif version in RESOURCES:
            listed = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version}
            self.answer(listed | {"resources": resources(version)})
        else:
            self.answer({"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}, 404)

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append(data)
        self.answer(protobuf.decode(data) if data.startswith(protobuf.MAGIC) else json.loads(data), 201)

    def answer(self, obj, code: int = 200) -> None:
        data = codec.encode_json(obj)
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments) -> None:
        """Tests are quiet."""


def groups():
    named = {version: {"groupVersion": version, "version": "v1"} for version in RESOURCES if "/" in version}
    return [
        {"name": version.partition("/")[0], "versions": [one], "preferredVersion": one}
        for version, one in named.items()
    ]


def resources(version: str):
    pairs = [pair.split() for pair in RESOURCES[version].split(",")]
    return [
        {"name": plural, "kind": kind, "singularName": "", "namespaced": True, "verbs": ["create"]}
        for plural, kind in pairs
    ]


@pytest.fixture(scope="module")
def api() -> Iterator[Recorder]:
    server = Recorder()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join(60)
    server.server_close()


def run(kubectl: Kubectl, api: Recorder, folder: Path, *arguments: str) -> str:
    url = f"http://127.0.0.1:{api.server_port}"
    command = [kubectl.program, "--server", url, "--cache-dir", str(folder / "cache"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def told(value):
    """Without zeros: JSON leaves most out, protobuf has most in."""
    if isinstance(value, dict):
        kept = {key: told(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item not in (None, "", {}, [], 0)}
    return [told(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("kubectl", SPEAK_PROTOBUF, ids=str)
@pytest.mark.parametrize("command", COMMANDS)
def test_protobuf_bodies_say_what_json_says(kubectl, command, api, tmp_path):
    binary = tmp_path / "binary"
    binary.write_bytes(b"\x00\xff\x01")
    arguments = shlex.split(command.replace("BINARY", str(binary)))
    api.bodies.clear()
    run(kubectl, api, tmp_path, *arguments)
    (sent,) = api.bodies
    assert sent.startswith(protobuf.MAGIC)
    shown = json.loads(run(kubectl, api, tmp_path, *arguments, "--dry-run=client", "-o", "json"))
    assert told(protobuf.decode(sent)) == told(shown)
    if "deployment" in command:
        assert protobuf.decode(sent)["spec"]["replicas"] == 0


YAML = """
apiVersion: example.com/v1
kind: CronTab
metadata: {name: x}
scalars: [y, Y, n, yes, yEs, on, OFF, 0777, 0o17, 0x1F, 0b101, 1_000, 1e3, 1.5, .5, "1.", 1., 2020-01-01,
  2020-01-01T00:00:00Z, ~, null, "", 12:30:45, .nan1, 1e+3, 08, -0x1, +5, 1e-3, 1_0.5, "=", =, 0x, 0b2, 0o8,
  -0777, +.5, -.5e-3, 0.1e3, 1E5, 1.0, 9223372036854775807, -9223372036854775808, 'y', !!str 5, !!binary aGk=]
keys: {9: a, true: b, 1.5: c, 0x10: d}
base: &base {x: 1, z: 2}
merged: {<<: *base, z: 3}
text: |
  a
   b
folded: >-
  c
  d
"""


def test_yaml_is_read_as_kubectl_reads_it(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text(YAML)
    command = [
        KUBECTLS[-1].program,
        "patch",
        "--local",
        "-f",
        str(path),
        "--type",
        "merge",
        "-p",
        "{}",
        "-o",
        "json",
    ]
    read = json.loads(subprocess.run(command, capture_output=True, timeout=60, check=True).stdout)
    assert codec.decode_yaml(YAML.encode()) == read


def test_kubectl_reads_our_yaml(tmp_path):
    words = [
        "y",
        "no",
        "1e3",
        "0o17",
        "12:30",
        "2026-01-01",
        "~",
        "",
        "<<",
        "=",
        "1_0",
        " a\n b\n",
        "a\nb\n",
        "é",
        "#",
    ]
    obj = {"apiVersion": "example.com/v1", "kind": "CronTab", "metadata": {"name": "x"}, "words": words}
    path = tmp_path / "x.yaml"
    path.write_bytes(codec.encode_yaml(obj))
    command = [
        KUBECTLS[-1].program,
        "patch",
        "--local",
        "-f",
        str(path),
        "--type",
        "merge",
        "-p",
        "{}",
        "-o",
        "json",
    ]
    assert json.loads(subprocess.run(command, capture_output=True, timeout=60, check=True).stdout) == obj
