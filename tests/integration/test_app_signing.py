"""The signer of tokens: a real child with the key that bootstrap made, started and ended as it is needed."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mini8s.app import api, bootstrap
from mini8s.app.layout import agent_files, server_files
from mini8s.config import ServerSettings
from mini8s.objects.errors import BadRequest, ServiceUnavailable
from mini8s.wire import jwt, tls

# gevent must patch before anything else is imported, so each run is a process of its own.
HEAD = """
from mini8s.app import hub
hub.patch()
import json, os, sys, gevent
from mini8s.app import signing
from mini8s.objects.errors import ServiceUnavailable
signing.KEEP_SECONDS = 0.3

def gone(signer):
    while signer._child is not None:
        gevent.sleep(0.02)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("data")
    plan = bootstrap.Plan(("localhost",), "https://localhost:6443")
    bootstrap.prepare_server(server_files(str(made)), agent_files(str(made)), plan, datetime.now(UTC))
    return made


def run(text: str, folder: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", HEAD + text, str(folder)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_the_key_is_roots_alone_and_stays(folder: Path) -> None:
    files = server_files(str(folder))
    assert files.token_key.stat().st_mode & 0o777 == 0o600
    before = files.token_key.read_bytes(), files.token_keys.read_bytes()
    bootstrap._token_key(files)
    assert (files.token_key.read_bytes(), files.token_keys.read_bytes()) == before


def test_many_at_once_get_each_their_own(folder: Path) -> None:
    text = """
signer = signing.token_signer(sys.argv[1])
jobs = [gevent.spawn(signer.sign, {"n": n}) for n in range(20)]
gevent.joinall(jobs)
print(*[job.value for job in jobs])
signer.close()
"""
    found = run(text, folder)
    keys = jwt.Keys(json.loads(server_files(str(folder)).token_keys.read_bytes()))
    assert [keys.claims(token)["n"] for token in found] == list(range(20))


def test_the_child_goes_when_nobody_asks_and_comes_again(folder: Path) -> None:
    text = """
signer = signing.token_signer(sys.argv[1])
for _ in range(2):
    assert signer.sign({})
    child = signer._child
    gone(signer)
    print(child.wait(60))
signer.sign({})
signer._child.kill()
print(bool(signer.sign({})))
signer.close()
"""
    assert run(text, folder) == ["-9", "-9", "True"]


def test_it_can_be_there_before_it_is_asked(folder: Path) -> None:
    text = """
signer = signing.token_signer(sys.argv[1])
signing.KEEP_SECONDS = 60
for _ in range(3):
    signer.prepare()
while signer._child is None:
    gevent.sleep(0.02)
child = signer._child
print(child is not None, bool(signer.sign({})), signer._child is child)
signing.KEEP_SECONDS = 0.3
signer.sign({})
gone(signer)
while signer._child is None:
    signer.prepare()
    gevent.sleep(0.02)
gone(signer)
print(signer._child)
"""
    assert run(text, folder) == ["True", "True", "True", "None"]


def test_one_that_cannot_start_is_a_refusal(tmp_path: Path) -> None:
    text = """
signer = signing.token_signer(sys.argv[1])
try:
    signer.sign({})
except ServiceUnavailable as error:
    print("refused")
"""
    (tmp_path / "empty").mkdir()
    assert run(text, tmp_path / "empty") == ["refused"]


def test_a_nodes_request_is_signed_in_a_process_of_its_own(folder: Path) -> None:
    """What another release asks besides is left alone, and only a bad request is the asker's fault."""
    settings = replace(ServerSettings(), data_dir=str(folder), certificate_seconds=600)
    request = tls.new_request(bootstrap.node_leaf("pi")).certificate.decode()
    signed = api._sign(settings, "pi", request)
    certificate = signed["certificate"].encode()
    assert tls.subject(certificate) == "system:node:pi"
    assert tls.life(certificate).ends < datetime.now(UTC) + timedelta(seconds=601)
    assert signed["key"] == tls.key_id(request.encode())
    more = {"data_dir": str(folder), "node": "pi", "seconds": 600, "request": request, "more": 1}
    command = [sys.executable, "-m", "mini8s.app.sign"]
    subprocess.run(command, input=json.dumps(more), text=True, capture_output=True, check=True)
    with pytest.raises(BadRequest):
        api._sign(settings, "pi", "nothing")
    with pytest.raises(ServiceUnavailable):
        api._sign(replace(settings, data_dir=f"{folder}/none"), "pi", request)
