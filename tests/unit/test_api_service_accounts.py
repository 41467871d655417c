"""Tokens of service accounts: what they say, whom they are given, and when they are nobody's any more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fakes import tokens
from fakes.cluster import Cluster, pod

from mini8s.api.service_accounts import Refused, ServiceAccounts
from mini8s.objects.errors import ApiError, BadRequest, Conflict, Invalid, NotFound
from mini8s.objects.kinds import NODES, PODS, SECRETS, SERVICEACCOUNTS, Obj
from mini8s.registry.base import User
from mini8s.wire import jwt

ROBOT = "system:serviceaccount:default:robot"


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster()
    made.create(SERVICEACCOUNTS, {"metadata": {"name": "robot"}})
    made.create(NODES, {"metadata": {"name": "n1"}})
    made.create(PODS, pod(serviceAccountName="robot", nodeName="n1"))
    made.create(SECRETS, {"metadata": {"name": "door"}})
    return made


@pytest.fixture
def accounts(cluster: Cluster) -> ServiceAccounts:
    return ServiceAccounts(
        cluster.machine,
        issuer=tokens.NAME,
        audiences=[tokens.NAME],
        keys=tokens.key_set(),
        now=cluster.clock.now,
    )


def request(cluster: Cluster, bound: Obj | None = None, name: str = "robot", **spec: Any) -> Any:
    said = {"spec": spec | ({"boundObjectRef": bound} if bound else {})}
    return cluster.machine.create_subresource(cluster.ctx(), SERVICEACCOUNTS, "default", name, "token", said)


def token(cluster: Cluster, bound: Obj | None = None, **spec: Any) -> str:
    return str(request(cluster, bound, **spec)["status"]["token"])


def reference(kind: str, name: str, **more: str) -> Obj:
    return {"apiVersion": "v1", "kind": kind, "name": name, **more}


def uid(cluster: Cluster, kind: Any, name: str) -> str:
    return str(cluster.get(kind, name)["metadata"]["uid"])


def test_a_token_says_what_upstreams_says(cluster: Cluster) -> None:
    made = request(cluster, reference("Pod", "web"), expirationSeconds=700, audiences=["vault"])
    assert (made["kind"], made["apiVersion"]) == ("TokenRequest", "authentication.k8s.io/v1")
    assert made["status"]["expirationTimestamp"] == "2026-01-01T00:11:40Z"
    claims = jwt.Keys(tokens.key_set()).claims(made["status"]["token"])
    now = int(cluster.clock.now().timestamp())
    assert claims.pop("jti").startswith("uid-")
    assert claims == {
        "iss": tokens.NAME,
        "sub": ROBOT,
        "aud": ["vault"],
        "exp": now + 700,
        "iat": now,
        "nbf": now,
        "kubernetes.io": {
            "namespace": "default",
            "serviceaccount": {"name": "robot", "uid": uid(cluster, SERVICEACCOUNTS, "robot")},
            "pod": {"name": "web", "uid": uid(cluster, PODS, "web")},
            "node": {"name": "n1", "uid": uid(cluster, NODES, "n1")},
        },
    }


def test_an_hour_for_the_api_is_what_nobody_has_to_ask_for(cluster: Cluster) -> None:
    assert request(cluster)["spec"] == {"audiences": [tokens.NAME], "expirationSeconds": 3600}


@pytest.mark.parametrize(
    ("bound", "spec", "error", "message"),
    [
        (None, {"expirationSeconds": 599}, Invalid, "may not specify a duration less than 10 minutes"),
        (
            None,
            {"expirationSeconds": 2**33},
            Invalid,
            "may not specify a duration larger than 2\\^32 seconds",
        ),
        (reference("Pod", "gone"), {}, NotFound, 'pods "gone" not found'),
        (reference("Pod", "other"), {}, BadRequest, "to pod running with different serviceaccount name"),
        (
            reference("ConfigMap", "x"),
            {},
            BadRequest,
            "cannot bind token to object of type v1, Kind=ConfigMap",
        ),
        (
            reference("Secret", "door", uid="other"),
            {},
            Conflict,
            r"bound object reference \(other\) does not",
        ),
    ],
)
def test_refusals(cluster: Cluster, bound: Obj, spec: Obj, error: type[ApiError], message: str) -> None:
    cluster.create(PODS, pod("other"))
    with pytest.raises(error, match=message):
        request(cluster, bound, **spec)
    with pytest.raises(NotFound, match='serviceaccounts "nobody" not found'):
        request(cluster, name="nobody")


def test_who_holds_it_is_the_account(cluster: Cluster, accounts: ServiceAccounts) -> None:
    presented = token(cluster, reference("Pod", "web"))
    user = accounts(presented)
    assert user is not None
    extra = dict(user.extra)
    assert extra.pop("authentication.kubernetes.io/credential-id")[0].startswith("JTI=uid-")
    assert extra == {
        "authentication.kubernetes.io/node-name": ("n1",),
        "authentication.kubernetes.io/node-uid": (uid(cluster, NODES, "n1"),),
        "authentication.kubernetes.io/pod-name": ("web",),
        "authentication.kubernetes.io/pod-uid": (uid(cluster, PODS, "web"),),
    }
    groups = ("system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated")
    assert user == User(ROBOT, groups, uid(cluster, SERVICEACCOUNTS, "robot"), user.extra)
    assert accounts(presented) == user  # from what is remembered


@pytest.mark.parametrize(
    ("bound", "kind"),
    [
        (reference("Pod", "web"), PODS),
        (reference("Secret", "door"), SECRETS),
        (reference("Node", "n1"), NODES),
        (None, SERVICEACCOUNTS),
    ],
)
def test_it_ends_with_what_it_is_bound_to(
    cluster: Cluster, accounts: ServiceAccounts, bound: Obj | None, kind: Any
) -> None:
    presented = token(cluster, bound)
    assert accounts(presented)
    name = bound["name"] if bound else "robot"
    cluster.delete(kind, name, grace_seconds=0)
    with pytest.raises(Refused, match="has been deleted"):
        accounts.judge(presented, ())
    again = pod(serviceAccountName="robot") if kind is PODS else {"metadata": {"name": name}}
    cluster.create(kind, again)
    with pytest.raises(Refused, match="does not match"):
        accounts.judge(presented, ())


def test_a_pod_that_is_being_deleted_keeps_it_for_a_minute(
    cluster: Cluster, accounts: ServiceAccounts
) -> None:
    presented = token(cluster, reference("Pod", "web"))
    cluster.delete(PODS, "web", grace_seconds=30)
    cluster.clock.step(85)
    assert accounts(presented)
    cluster.clock.step(10)
    assert accounts(presented) is None


def test_its_time_ends(cluster: Cluster, accounts: ServiceAccounts) -> None:
    presented = token(cluster, expirationSeconds=600)
    cluster.clock.step(655)
    assert accounts(presented)
    cluster.clock.step(10)
    with pytest.raises(Refused, match="service account token has expired"):
        accounts.judge(presented, ())
    cluster.clock.step(-3600)
    with pytest.raises(Refused, match="not valid yet"):
        accounts.judge(presented, ())


def test_it_is_for_those_it_was_made_for(cluster: Cluster, accounts: ServiceAccounts) -> None:
    presented = token(cluster, audiences=["vault", "shop"])
    assert accounts(presented) is None
    assert accounts.judge(presented, ["shop", "other"]).audiences == ("shop",)
    with pytest.raises(Refused, match=r'audiences \["vault" "shop"\] is invalid for the target audiences'):
        accounts.judge(presented, ["other"])


def test_what_others_have_signed_is_nobodys(cluster: Cluster, accounts: ServiceAccounts) -> None:
    claims = jwt.Keys(tokens.key_set()).claims(token(cluster))
    for changed in ({"iss": "https://elsewhere"}, {"kubernetes.io": None}):
        with pytest.raises(Refused, match="invalid bearer token"):
            accounts.judge(tokens.sign(claims | changed), ())
    with pytest.raises(Refused, match="invalid bearer token"):
        accounts.judge("nonsense", ())


def test_a_new_pod_announces_that_it_will_want_one() -> None:
    told: list[str] = []
    issuer = replace(tokens.issuer(), prepare=lambda: told.append("soon"))
    cluster = Cluster(issuer=issuer)
    cluster.create(PODS, pod("dry"), dry_run=True)
    assert told == []
    cluster.create(PODS, pod())
    assert told == ["soon"]


def test_no_more_is_remembered_than_fits(
    cluster: Cluster, accounts: ServiceAccounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mini8s.api.service_accounts._KEPT", 2)
    for _ in range(4):
        assert accounts(token(cluster))
    assert len(accounts._verified) == 2
