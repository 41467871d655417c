"""The audit log: what a policy lets it say of a request, and the file that it goes to."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes.http import FakeServer
from hypothesis import given
from hypothesis import strategies as st

from mini8s.api import target
from mini8s.api.answer import Answer
from mini8s.api.attributes import Attributes, Decision
from mini8s.api.audit import policy
from mini8s.api.audit.policy import BadPolicy, parse
from mini8s.api.audit.trail import Audit, answered
from mini8s.app.audit_log import AuditLog, CurrentPolicy, read_policy
from mini8s.objects.kinds import CONFIGMAPS, DEPLOYMENTS, NODES, PODS, SECRETS, Kind
from mini8s.registry.base import User

JANE = User("jane", ("dev", "system:authenticated"))
CORE: dict[str, Any] = {"group": ""}


def of(*rules: dict[str, Any], **more: Any) -> policy.Policy:
    return parse({"apiVersion": policy.API_VERSION, "kind": policy.KIND, "rules": list(rules)} | more)


class Server(FakeServer):
    """With the events that its requests left, as (stage, code) or whole."""

    def __init__(self, *rules: dict[str, Any], **more: Any) -> None:
        self.lines: list[bytes] = []
        super().__init__((of(*rules, **more), self.lines.append))
        self.lines.clear()

    @property
    def events(self) -> list[Any]:
        return [json.loads(line) for line in self.lines]

    @property
    def last(self) -> Any:
        return self.events[-1]

    @property
    def stages(self) -> list[tuple[str, Any]]:
        return [(one["stage"], one.get("responseStatus", {}).get("code")) for one in self.events]


def level(rule: dict[str, Any], verb: str, kind: Kind | None = None, **more: str) -> str:
    return of({"level": "Metadata"} | rule).verdict(JANE, Attributes(verb, kind, **more)).level


FITS = [
    ({}, ("get", PODS), {}),
    ({}, ("get", None), {"path": "/version"}),
    ({"users": ["ann", "jane"], "userGroups": ["dev"], "verbs": ["get", "list"]}, ("get", PODS), {}),
    ({"resources": [CORE]}, ("get", PODS), {"subresource": "log"}),
    (
        {"resources": [CORE | {"resources": ["pods/log", "pods/status"]}]},
        ("get", PODS),
        {"subresource": "log"},
    ),
    ({"resources": [CORE | {"resources": ["pods/*"]}]}, ("get", PODS), {"subresource": "log"}),
    ({"resources": [CORE | {"resources": ["*/log"]}]}, ("get", PODS), {"subresource": "log"}),
    ({"resources": [CORE | {"resources": ["*"]}]}, ("get", PODS), {"subresource": "log"}),
    ({"resources": [CORE | {"resources": ["pods"], "resourceNames": ["a"]}]}, ("get", PODS), {"name": "a"}),
    ({"namespaces": ["shop"]}, ("get", PODS), {"namespace": "shop"}),
    ({"namespaces": [""]}, ("get", NODES), {}),
    ({"nonResourceURLs": ["/healthz*", "/version"]}, ("get", None), {"path": "/healthz/x"}),
    ({"nonResourceURLs": ["*"]}, ("get", None), {"path": "/x"}),
]
DOES_NOT = [
    ({"users": ["ann"]}, ("get", PODS), {}),
    ({"userGroups": ["ops"]}, ("get", PODS), {}),
    ({"verbs": ["list"]}, ("get", PODS), {}),
    ({"resources": [CORE]}, ("get", DEPLOYMENTS), {}),
    ({"resources": [CORE]}, ("get", None), {"path": "/version"}),
    ({"resources": [CORE | {"resources": ["pods"]}]}, ("get", PODS), {"subresource": "log"}),
    ({"resources": [CORE | {"resources": ["*/log"]}]}, ("get", PODS), {}),
    ({"resources": [CORE | {"resources": ["pods"], "resourceNames": ["a"]}]}, ("get", PODS), {"name": "b"}),
    ({"namespaces": ["shop"]}, ("get", NODES), {}),
    ({"namespaces": ["shop"]}, ("get", None), {"path": "/version"}),
    ({"nonResourceURLs": ["/version"]}, ("get", None), {"path": "/version/"}),
    ({"nonResourceURLs": ["*"]}, ("get", PODS), {}),
]


@pytest.mark.parametrize(("rule", "asked", "more"), FITS)
def test_a_rule_that_fits(rule: dict[str, Any], asked: tuple[str, Kind | None], more: dict[str, str]) -> None:
    assert level(rule, *asked, **more) == "Metadata"


@pytest.mark.parametrize(("rule", "asked", "more"), DOES_NOT)
def test_a_rule_that_does_not(
    rule: dict[str, Any], asked: tuple[str, Kind | None], more: dict[str, str]
) -> None:
    assert level(rule, *asked, **more) == "None"


def test_the_first_rule_that_fits_counts() -> None:
    found = of({"level": "None", "resources": [CORE | {"resources": ["pods"]}]}, {"level": "Request"})
    assert found.verdict(JANE, Attributes("get", PODS)).level == "None"
    assert found.verdict(JANE, Attributes("get", NODES)).level == "Request"


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ({"level": "All"}, r"rules\[0\].level: 'All' is none of None, Metadata, Request, RequestResponse"),
        ({"level": "None", "user": []}, r"unknown field rules\[0\].user"),
        ({"level": "None", "users": "ann"}, r"rules\[0\].users is not a list of texts"),
        ({"level": "None", "resources": [{"group": "apps/v1"}]}, "no name of a group"),
        ({"level": "None", "resources": [{"resourceNames": ["a"]}]}, "resourceNames requires at least one"),
        ({"level": "None", "nonResourceURLs": ["/a*b"]}, "'/a\\*b' is no path"),
        ({"level": "None", "nonResourceURLs": ["/a"], "namespaces": ["b"]}, "cannot apply to both"),
        ({"level": "None", "omitStages": ["End"]}, "'End' is none of RequestReceived"),
    ],
)
def test_what_is_no_policy(rule: dict[str, Any], why: str) -> None:
    with pytest.raises(BadPolicy, match=why):
        of(rule)


@given(st.recursive(st.none() | st.booleans() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(
    st.sampled_from(["level", "users", "resources", "omitStages", "group"]), inner)))  # fmt: skip
def test_whatever_stands_there_is_a_policy_or_told(said: Any) -> None:
    for whole in (said, {"apiVersion": policy.API_VERSION, "kind": policy.KIND, "rules": [said]}):
        try:
            parse(whole)
        except BadPolicy:
            continue


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(BadPolicy, match="can't be read"):
        read_policy(str(tmp_path / "none"))
    (tmp_path / "policy.yaml").write_text("a: [")
    with pytest.raises(BadPolicy, match="can't be read"):
        read_policy(str(tmp_path / "policy.yaml"))
    (tmp_path / "policy.yaml").write_text("apiVersion: audit.k8s.io/v1\nkind: Policy\n")
    with pytest.raises(BadPolicy, match="rules: there are none"):
        read_policy(str(tmp_path / "policy.yaml"))


def test_who_asked_for_what_and_what_came_of_it() -> None:
    server = Server({"level": "Metadata"})
    body = {"metadata": {"name": "a"}, "data": {"k": "v"}}
    heard = server.ask("POST", "/api/v1/namespaces/default/configmaps?dryRun=All", body, headers={
        "User-Agent": "curl/8", "X-Forwarded-For": "192.0.2.7"})  # fmt: skip
    assert server.stages == [("RequestReceived", None), ("ResponseComplete", 201)]
    first, last = server.events
    assert first["auditID"] == last["auditID"] == heard.headers["Audit-Id"]
    assert last | {"stageTimestamp": "", "auditID": ""} == {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": "",
        "stage": "ResponseComplete",
        "requestURI": "/api/v1/namespaces/default/configmaps?dryRun=All",
        "verb": "create",
        "user": {"username": "system:admin", "groups": ["system:masters", "system:authenticated"]},
        "sourceIPs": ["192.0.2.7"],
        "userAgent": "curl/8",
        "objectRef": {
            "resource": "configmaps",
            "namespace": "default",
            "name": "a",
            "apiVersion": "v1",
        },
        "responseStatus": {"metadata": {}, "code": 201},
        "requestReceivedTimestamp": "2026-01-01T00:00:00.000000Z",
        "stageTimestamp": "",
        "annotations": {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": ""},
    }
    assert "requestObject" not in last


def test_what_is_refused_is_told_too() -> None:
    server = Server({"level": "Metadata", "omitStages": ["RequestReceived"]})
    server.ask("GET", "/api/v1/namespaces/default/pods", user="jane")
    told = server.last
    assert told["responseStatus"]["reason"] == "Forbidden"
    assert told["responseStatus"]["code"] == 403
    assert told["annotations"]["authorization.k8s.io/decision"] == "forbid"
    server.ask("GET", "/api/v1/pods", user="nobody", headers={"Authorization": "Bearer guess"})
    assert server.stages[-1] == ("ResponseStarted", 401)
    assert server.last["user"] == {}
    assert b"guess" not in b"".join(server.lines)


def test_for_whom_somebody_speaks() -> None:
    server = Server({"level": "Metadata", "omitStages": ["RequestReceived"]})
    server.ask("GET", "/api/v1/pods", headers={"Impersonate-User": "ann"})
    assert server.last["user"]["username"] == "system:admin"
    assert server.last["impersonatedUser"]["username"] == "ann"
    assert server.last["responseStatus"]["code"] == 403


def test_bodies_are_there_at_their_levels() -> None:
    server = Server({"level": "Request", "verbs": ["create"]}, {"level": "RequestResponse"})
    path = "/api/v1/namespaces/default/services"
    server.ask("POST", path, {"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}})
    assert server.last["requestObject"]["spec"] == {"ports": [{"port": 80}]}
    assert "responseObject" not in server.last
    patch = {"metadata": {"labels": {"a": "b"}}}
    merge = {"Content-Type": "application/merge-patch+json"}
    server.ask("PATCH", f"{path}/a", patch, headers=merge)
    assert server.last["requestObject"] == patch
    assert server.last["responseObject"]["metadata"]["labels"] == {"a": "b"}
    server.ask("POST", path, b"kind: [", headers={"Content-Type": "application/yaml"})
    assert "requestObject" not in server.last


@pytest.mark.parametrize("kind", [SECRETS, CONFIGMAPS])
def test_what_may_be_secret_is_written_only_where_a_rule_names_it(kind: Kind) -> None:
    path, body = f"/api/v1/namespaces/default/{kind.plural}", {"metadata": {"name": "a"}}
    body |= {"stringData" if kind is SECRETS else "data": {"k": "sesame"}}
    everything: dict[str, Any] = {"level": "RequestResponse"}
    for rule in (everything, everything | {"resources": [CORE | {"resources": ["*"]}]}):
        server = Server(rule)
        server.ask("POST", path, body)
        assert server.last["objectRef"]["name"] == "a"
        assert server.last["level"] == "RequestResponse"
        server.ask("GET", path)
        told = b"".join(server.lines)
        assert b"sesame" not in told
        assert b"Object" not in told
    named = Server(everything | {"resources": [CORE | {"resources": [kind.plural]}]})
    named.ask("POST", path, body)
    assert b"sesame" in b"".join(named.lines)


@pytest.mark.parametrize(("status", "body"), [(404, b"no JSON"), (201, b""), (500, b"[1]"), (201, b"7")])
def test_what_a_pod_answers_through_the_proxy_is_whatever_it_is(status: int, body: bytes) -> None:
    lines: list[bytes] = []
    audit = Audit(of({"level": "RequestResponse"}), lines.append, Clock(), lambda *_: Decision(True))
    path = "/api/v1/namespaces/default/pods/a/proxy/x"
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": path, "wsgi.input": None}
    audit.received(environ, JANE, target.parse(path))
    answered(environ, Answer(body, status, "application/json"))
    assert json.loads(lines[-1])["responseStatus"] == {"metadata": {}, "code": status}


def test_managed_fields_can_be_left_out() -> None:
    body = {"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}}
    for bare in (True, False):
        server = Server({"level": "RequestResponse"}, omitManagedFields=bare)
        server.ask("POST", "/api/v1/namespaces/default/services", body)
        assert ("managedFields" in server.last["responseObject"]["metadata"]) is not bare


def test_what_nobody_wants_to_know_costs_no_line() -> None:
    server = Server({"level": "None", "users": ["system:admin"]}, {"level": "Metadata"})
    assert "Audit-Id" not in server.ask("GET", "/version").headers
    assert server.lines == []
    server.ask("GET", "/version", user="nobody")
    assert [one["user"]["username"] for one in server.events] == ["system:anonymous"] * 2
    server.ask("GET", "/cacerts", user="nobody")
    assert server.last["requestURI"] == "/cacerts"


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_full_file_is_set_aside_and_old_ones_go(tmp_path: Path) -> None:
    clock = Clock()
    log = AuditLog(tmp_path / "log" / "audit.log", max_bytes=10, max_days=2, max_files=2, now=clock)
    for number in range(5):
        log.write(b"%07d\n" % number)
    folder = tmp_path / "log"
    stamps = ["2026-01-01T00-00-03.000", "2026-01-01T00-00-04.000"]
    assert names(folder) == [*(f"audit-{stamp}.log" for stamp in stamps), "audit.log"]
    assert (folder / "audit.log").read_bytes() == b"0000004\n"
    assert (folder / "audit.log").stat().st_mode & 0o777 == 0o600
    clock.now += timedelta(days=3)
    log.write(b"0000005\n")
    assert len(names(folder)) == 2
    log.close()
    again = AuditLog(folder / "audit.log", max_bytes=30, max_days=0, max_files=0, now=clock)
    again.write(b"0000006\n")
    assert (folder / "audit.log").read_bytes() == b"0000005\n0000006\n"
    again.close()


def test_a_line_that_cannot_be_written_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log = AuditLog(tmp_path / "audit.log", max_bytes=0, max_days=0, max_files=0, now=Clock())
    log.write(b"1\n")
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        log.write(b"2\n")
        log.write(b"3\n")
    log.write(b"4\n")
    log.close()
    assert (tmp_path / "audit.log").read_bytes() == b"1\n4\n"
    assert [record.message for record in caplog.records] == [
        f"{tmp_path}/audit.log can't be written: No space left on device"
    ]


def test_a_reload_reads_the_policy_again_and_keeps_it_when_the_new_one_is_wrong(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "policy.yaml"
    said = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "None"}]}
    path.write_text(json.dumps(said))
    current = CurrentPolicy(str(path))
    what = Attributes("get", path="/version")
    assert current.verdict(JANE, what).level == "None"
    path.write_text(json.dumps(said | {"rules": [{"level": "Metadata"}]}))
    current.reload({"audit_policy_file": str(path)})
    assert current.verdict(JANE, what).level == "Metadata"
    path.write_text("rules: 1")
    current.reload({"audit_policy_file": str(path)})
    assert current.verdict(JANE, what).level == "Metadata"
    assert "the one before counts on" in caplog.text
