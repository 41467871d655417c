"""Requests made from our own OpenAPI documents, sane and insane, to the API process over TLS: whatever comes
in, a Status or an object goes out, and the process goes on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from depth import DEPTH, examples
from fakes.examples import EXAMPLES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from integration import api_process
from integration.api_process import ApiProcess
from requests.structures import CaseInsensitiveDict

from mini8s.objects.kinds import KINDS

GROUPS = sorted({f"apis/{kind.api_version}" if kind.group else f"api/{kind.version}" for kind in KINDS})
PATIENCE = 10  # seconds; an answer takes milliseconds
PASSED_ON = re.compile(r"/\{name\}/(log|exec|attach|portforward|proxy)\b")
NAMES = ("x", "y", "A b", "%2e%2e", "a" * 254)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    with api_process.running(tmp_path_factory.mktemp("api")) as running:
        for kind, example in EXAMPLES.items():
            running.ask("POST", kind.path("default" if kind.namespaced else ""), example)
        yield running


@pytest.fixture(scope="module")
def http(api: ApiProcess) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(api.folder / "ca.crt")
        session.cert = (str(api.folder / "admin.crt"), str(api.folder / "admin.key"))
        yield session


def send(http: requests.Session, api: ApiProcess, case: Any) -> requests.Response:
    """A watch goes on and on: of its answer only the beginning is looked at."""
    sent = case.as_transport_kwargs(base_url=api.url)
    answer = http.request(**sent, stream=True, timeout=PATIENCE)
    if answer.headers.get("Transfer-Encoding") != "chunked":
        assert answer.content is not None
    return answer


def check(answer: requests.Response, *, passed_on: bool) -> None:
    """`passed_on`: to a node, and there is none here."""
    code, headers = answer.status_code, CaseInsensitiveDict(answer.headers)
    assert code < 500 or code == 504 or (code == 503 and passed_on), answer.text
    if headers.get("Transfer-Encoding") == "chunked":
        assert code == 200
        return
    assert b"Traceback" not in answer.content
    if answer.request.method == "HEAD":
        assert not answer.content
        return
    if code < 400 or not headers.get("Content-Type", "").startswith("application/json"):
        return
    status = json.loads(answer.content)
    assert (status["kind"], status["apiVersion"], status["status"]) == ("Status", "v1", "Failure")
    assert status["code"] == code
    assert status["reason"]
    assert status["message"]
    if code == 422:
        assert all(cause["reason"] for cause in status["details"]["causes"])
    if code == 504:  # a version that is yet to come: no other reason may wait
        assert status["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


@pytest.mark.parametrize("group", GROUPS)
def test_requests_made_from_the_documents(api: ApiProcess, http: requests.Session, group: str) -> None:
    schema = schemathesis.openapi.from_dict(http.get(f"{api.url}/openapi/v3/{group}").json())
    ask_all(api, http, schema, examples(12))


def test_whatever_hangs_below_an_object(api: ApiProcess, http: requests.Session) -> None:
    schema = schemathesis.openapi.from_dict(http.get(f"{api.url}/openapi/v3/api/v1").json())
    below = schema.include(path_regex=r"\{name\}/(?!status)")
    operations = [found.ok() for found in below.get_all_operations()]
    assert {found.path.rpartition("/")[2] for found in operations} >= {"binding", "eviction", "token", "exec"}
    for operation in operations:
        ask_all(api, http, operation, examples(2))


def ask_all(api: ApiProcess, http: requests.Session, schema: Any, count: int) -> None:
    @settings(
        max_examples=count,
        derandomize=DEPTH == 1,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=schema.as_strategy(), name=st.sampled_from(NAMES), known=st.integers(0, 3))
    def ask(case: Any, name: str, known: int) -> None:
        if known and "namespace" in case.path_parameters:
            case.path_parameters["namespace"] = "default"
        if known and "name" in case.path_parameters and case.path_parameters["name"] != "default":
            case.path_parameters["name"] = name
        answer = send(http, api, case)
        try:
            check(answer, passed_on=PASSED_ON.search(case.path) is not None)
        finally:
            answer.close()

    ask()
    assert api.ask("GET", "/readyz") == (200, "ok")
