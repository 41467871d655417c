"""Admission, plugin by plugin: what it fills in, what it does not let through, and in which words."""

from __future__ import annotations

import base64
import re
import threading
from copy import deepcopy
from typing import Any

import pytest
from fakes.cluster import Cluster, config_map, deployment, pod, service
from fakes.examples import EXAMPLES
from hypothesis import given
from hypothesis import strategies as st

from mini8s.objects import kinds
from mini8s.objects.errors import ApiError, Forbidden, Invalid
from mini8s.objects.kinds import (
    CONFIGMAPS,
    DEPLOYMENTS,
    INGRESSCLASSES,
    INGRESSES,
    LIMITRANGES,
    NAMESPACES,
    PERSISTENTVOLUMECLAIMS,
    PERSISTENTVOLUMES,
    PODS,
    PRIORITYCLASSES,
    RESOURCEQUOTAS,
    RUNTIMECLASSES,
    SERVICEACCOUNTS,
    SERVICES,
    SIGNINGREQUESTS,
    STORAGECLASSES,
    Obj,
)
from mini8s.objects.quotas import usage
from mini8s.objects.signers import CLIENT
from mini8s.registry.base import Context, User
from mini8s.wire import tls


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def asks(name: str = "web", *, requests: Obj | None = None, limits: Obj | None = None, **spec: Any) -> Obj:
    resources = {"requests": requests or {}, "limits": limits or {}}
    return pod(name, containers=[{"name": "main", "image": "i", "resources": resources}], **spec)


def limit(cluster: Cluster, kind: str = "Container", **bounds: Obj) -> None:
    cluster.create(LIMITRANGES, {"metadata": {"name": "l"}, "spec": {"limits": [{"type": kind} | bounds]}})


def quota(cluster: Cluster, hard: Obj, **spec: Any) -> None:
    cluster.create(RESOURCEQUOTAS, {"metadata": {"name": "q"}, "spec": {"hard": hard} | spec})


def refusal(cluster: Cluster, kind: kinds.Kind, obj: Obj) -> str:
    with pytest.raises(Forbidden) as refused:
        cluster.create(kind, obj)
    return refused.value.message


def test_a_limit_range_fills_in_what_is_not_said(cluster: Cluster) -> None:
    limit(cluster, default={"cpu": "1", "memory": "1Gi"}, defaultRequest={"cpu": "100m"})
    made = cluster.create(PODS, asks(requests={"memory": "64Mi"}))
    assert made["spec"]["containers"][0]["resources"] == {
        "requests": {"cpu": "100m", "memory": "64Mi"},
        "limits": {"cpu": "1", "memory": "1Gi"},
    }
    assert made["status"]["qosClass"] == "Burstable"
    assert made["metadata"]["annotations"]["kubernetes.io/limit-ranger"] == (
        "LimitRanger plugin set: cpu request for container main; cpu, memory limit for container main"
    )


@pytest.mark.parametrize(
    ("kind", "bounds", "requests", "limits", "said"),
    [
        (
            "Container",
            {"max": {"cpu": "1"}},
            {},
            {"cpu": "2"},
            "maximum cpu usage per Container is 1, but limit is 2",
        ),
        ("Pod", {"max": {"cpu": "1"}}, {}, {}, "maximum cpu usage per Pod is 1.  No limit is specified"),
        ("Pod", {"max": {"memory": "1Gi"}}, {}, {"memory": "2Gi"}, "per Pod is 1Gi, but limit is 2Gi"),
        (
            "Pod",
            {"min": {"cpu": "1"}},
            {"cpu": "500m"},
            {},
            "minimum cpu usage per Pod is 1, but request is 500m",
        ),
        (
            "Container",
            {"maxLimitRequestRatio": {"cpu": "2"}},
            {"cpu": "1"},
            {"cpu": "3"},
            "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000",
        ),
    ],
)
def test_a_limit_range_refuses(
    cluster: Cluster, kind: str, bounds: Obj, requests: Obj, limits: Obj, said: str
) -> None:
    limit(cluster, kind, **bounds)
    message = refusal(cluster, PODS, asks(requests=requests, limits=limits))
    assert message.startswith('pods "web" is forbidden: ')
    assert said in message


def test_a_limit_range_of_claims(cluster: Cluster) -> None:
    limit(cluster, "PersistentVolumeClaim", max={"storage": "500Mi"})
    said = refusal(cluster, PERSISTENTVOLUMECLAIMS, EXAMPLES[PERSISTENTVOLUMECLAIMS])
    assert "maximum storage usage per PersistentVolumeClaim is 500Mi, but limit is 1Gi" in said


def test_a_quota_counts_what_is_stored(cluster: Cluster) -> None:
    quota(cluster, {"pods": "2", "configmaps": "1", "count/deployments.apps": "1"})
    for name in ("a", "b"):
        cluster.create(PODS, pod(name))
    assert refusal(cluster, PODS, pod("c")) == (
        'pods "c" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2'
    )
    cluster.patch(PODS, "a", {"status": {"phase": "Succeeded"}}, subresource="status")
    cluster.create(PODS, pod("c"))
    cluster.create(CONFIGMAPS, config_map())
    assert "exceeded quota" in refusal(cluster, CONFIGMAPS, config_map("more"))
    cluster.create(DEPLOYMENTS, deployment())
    assert "count/deployments.apps=1" in refusal(cluster, DEPLOYMENTS, deployment("more"))


def test_a_quota_of_resources(cluster: Cluster) -> None:
    quota(cluster, {"requests.cpu": "1", "limits.memory": "1Gi"})
    assert refusal(cluster, PODS, pod()).endswith(
        "failed quota: q: must specify limits.memory for: main; requests.cpu for: main"
    )
    fits = {"requests": {"cpu": "600m"}, "limits": {"memory": "256Mi"}}
    cluster.create(PODS, asks("a", **fits))
    assert refusal(cluster, PODS, asks("b", **fits)) == (
        'pods "b" is forbidden: exceeded quota: q, requested: requests.cpu=600m, '
        "used: requests.cpu=600m, limited: requests.cpu=1"
    )


def test_a_quota_of_a_scope(cluster: Cluster) -> None:
    quota(cluster, {"pods": "0"}, scopes=["BestEffort"])
    assert "exceeded quota" in refusal(cluster, PODS, pod())
    cluster.create(PODS, asks(requests={"cpu": "1"}))


def test_a_quota_of_ports_and_storage(cluster: Cluster) -> None:
    quota(cluster, {"services.nodeports": "1", "requests.storage": "1Gi"})
    ports = [{"port": 80, "name": "a"}, {"port": 81, "name": "b"}]
    assert "services.nodeports=2" in refusal(cluster, SERVICES, service(type="NodePort", ports=ports))
    cluster.create(SERVICES, service(ports=ports))
    claim = deepcopy(EXAMPLES[PERSISTENTVOLUMECLAIMS])
    cluster.create(PERSISTENTVOLUMECLAIMS, claim)
    claim["metadata"] = {"name": "y"}
    said = refusal(cluster, PERSISTENTVOLUMECLAIMS, claim)
    assert "requested: requests.storage=1Gi, used: requests.storage=1Gi" in said


def test_usage_of_every_kind_can_be_counted() -> None:
    for kind, obj in EXAMPLES.items():
        assert usage(kind, obj)[f"count/{kind.resource}"] == 1


@given(st.lists(st.tuples(st.integers(1, 9), st.booleans()), max_size=12))
def test_no_more_is_let_in_than_a_quota_allows(story: list[tuple[int, bool]]) -> None:
    """And nobody is refused for whom there is room, also after others went."""
    cluster, there = Cluster(), list[tuple[str, int]]()
    quota(cluster, {"pods": "4", "requests.cpu": "16m"})
    for number, (milli, goes) in enumerate(story):
        if goes and there:
            cluster.delete(PODS, there.pop(0)[0])
        fits = len(there) < 4 and sum(size for _, size in there) + milli <= 16
        try:
            cluster.create(PODS, asks(f"p{number}", requests={"cpu": f"{milli}m"}))
            there.append((f"p{number}", milli))
        except Forbidden:
            assert not fits
        else:
            assert fits


def test_many_at_once_do_not_exceed_a_quota(cluster: Cluster) -> None:
    quota(cluster, {"configmaps": "5"})
    made: list[str] = []

    def create(name: str) -> None:
        try:
            cluster.create(CONFIGMAPS, config_map(name))
        except ApiError:
            return
        made.append(name)

    threads = [threading.Thread(target=create, args=(f"c{index}",)) for index in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(made) == len(cluster.names(CONFIGMAPS)) == 5


def label(cluster: Cluster, **levels: str) -> None:
    labels = {f"pod-security.kubernetes.io/{mode}": level for mode, level in levels.items()}
    cluster.patch(NAMESPACES, "default", {"metadata": {"labels": labels}})


def secured(**context: Any) -> Obj:
    return pod(containers=[{"name": "main", "image": "i", "securityContext": context}])


GOOD = {
    "allowPrivilegeEscalation": False,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


UNRESTRICTED = (
    'allowPrivilegeEscalation != false (container "main" must set '
    "securityContext.allowPrivilegeEscalation=false), "
    'unrestricted capabilities (container "main" must set securityContext.capabilities.drop=["ALL"]), '
    'runAsNonRoot != true (pod or container "main" must set securityContext.runAsNonRoot=true), '
    'seccompProfile (pod or container "main" must set securityContext.seccompProfile.type to '
    '"RuntimeDefault" or "Localhost")'
)


def in_host(path: str) -> Obj:
    return pod(volumes=[{"name": "v", "hostPath": {"path": path}}])


@pytest.mark.parametrize(
    ("level", "obj", "said"),
    [
        ("baseline", pod(hostNetwork=True, hostPID=True), "host namespaces (hostNetwork=true, hostPID=true)"),
        (
            "baseline",
            secured(privileged=True),
            'privileged (container "main" must not set securityContext.privileged=true)',
        ),
        ("baseline", in_host("/"), 'hostPath volumes (volume "v")'),
        (
            "baseline",
            secured(capabilities={"add": ["NET_ADMIN"]}),
            'non-default capabilities (container "main" must not include "NET_ADMIN"',
        ),
        (
            "restricted",
            pod(),
            UNRESTRICTED,
        ),
        (
            "restricted",
            secured(**GOOD, runAsUser=0),
            'runAsUser=0 (container "main" must not set runAsUser=0)',
        ),
    ],
)
def test_pods_keep_to_their_namespaces_standard(cluster: Cluster, level: str, obj: Obj, said: str) -> None:
    label(cluster, enforce=level)
    message = refusal(cluster, PODS, obj)
    assert message.startswith(f'pods "web" is forbidden: violates PodSecurity "{level}:latest": ')
    assert said in message


def test_good_pods_pass_and_templates_are_warned_of(cluster: Cluster) -> None:
    label(cluster, enforce="restricted", warn="restricted")
    cluster.create(PODS, secured(**GOOD))
    ctx = cluster.ctx()
    cluster.machine.create(ctx, DEPLOYMENTS, "default", deployment())
    assert ctx.warnings[0].startswith(
        'would violate PodSecurity "restricted:latest": allowPrivilegeEscalation'
    )


def test_a_level_that_is_none_is_refused(cluster: Cluster) -> None:
    with pytest.raises(Invalid, match="must be one of privileged, baseline, restricted"):
        label(cluster, enforce="strict")


def test_a_priority_class_is_a_number(cluster: Cluster) -> None:
    made = {"metadata": {"name": "gold"}, "value": 7, "preemptionPolicy": "Never"}
    cluster.create(PRIORITYCLASSES, made)
    spec = cluster.create(PODS, pod(priorityClassName="gold"))["spec"]
    assert (spec["priority"], spec["preemptionPolicy"]) == (7, "Never")


def test_one_priority_class_is_everybodys(cluster: Cluster) -> None:
    made = {"metadata": {"name": "usual"}, "value": 5, "globalDefault": True}
    cluster.create(PRIORITYCLASSES, made)
    spec = cluster.create(PODS, pod())["spec"]
    assert (spec["priorityClassName"], spec["priority"]) == ("usual", 5)
    said = refusal(cluster, PRIORITYCLASSES, made | {"metadata": {"name": "other"}})
    assert "PriorityClass usual is already marked as default. Only one default can exist" in said


def test_claims_and_ingresses_get_the_default_class(cluster: Cluster) -> None:
    for kind, key in ((STORAGECLASSES, "storageclass"), (INGRESSCLASSES, "ingressclass")):
        mark = {f"{key}.kubernetes.io/is-default-class": "true"}
        for name in ("b", "a"):
            metadata = {"name": name, "annotations": mark}
            cluster.create(kind, EXAMPLES[kind] | {"metadata": metadata})
        cluster.create(kind, EXAMPLES[kind])
    claim = cluster.create(PERSISTENTVOLUMECLAIMS, EXAMPLES[PERSISTENTVOLUMECLAIMS])
    assert claim["spec"]["storageClassName"] == "a"
    assert cluster.create(INGRESSES, EXAMPLES[INGRESSES])["spec"]["ingressClassName"] == "a"
    none = deepcopy(EXAMPLES[PERSISTENTVOLUMECLAIMS])
    none["metadata"]["name"], none["spec"]["storageClassName"] = "y", ""
    assert cluster.create(PERSISTENTVOLUMECLAIMS, none)["spec"]["storageClassName"] == ""


def test_a_pod_runs_as_somebody_who_is_there(cluster: Cluster) -> None:
    said = refusal(cluster, PODS, pod(serviceAccountName="robot"))
    assert 'error looking up service account default/robot: serviceaccount "robot" not found' in said
    secrets = [{"name": "registry"}]
    cluster.create(SERVICEACCOUNTS, {"metadata": {"name": "robot"}, "imagePullSecrets": secrets})
    assert cluster.create(PODS, pod(serviceAccountName="robot"))["spec"]["imagePullSecrets"] == secrets


def test_a_signing_request_says_who_asked(cluster: Cluster) -> None:
    ctx = Context(User("jane", ("dev",)), cluster.clock.now())
    said = deepcopy(EXAMPLES[SIGNINGREQUESTS])
    said["spec"]["username"] = "system:admin"
    cluster.machine.create(ctx, SIGNINGREQUESTS, "", said)
    spec = cluster.get(SIGNINGREQUESTS, "x")["spec"]
    assert (spec["username"], spec["groups"]) == ("jane", ["dev"])


def test_who_decides_on_a_request_or_signs_it_needs_the_right_on_its_signer(cluster: Cluster) -> None:
    cluster.create(SIGNINGREQUESTS, EXAMPLES[SIGNINGREQUESTS])
    rights: set[tuple[str, str]] = set()

    def may(verb: str, kind: kinds.Kind, _space: str, name: str, _sub: str) -> bool:
        assert (kind.group, kind.plural) == ("certificates.k8s.io", "signers")
        return (verb, name) in rights

    def change(subresource: str, word: str) -> None:
        ctx = Context(User("jane"), cluster.clock.now(), may=may)
        patch: Obj = {"status": {"conditions": [{"type": word, "status": "True"}]}}
        patch["spec"] = {"signerName": "b.io/signer"}  # of which he has the right, and which stays what it is
        media = "application/merge-patch+json"
        cluster.machine.patch(ctx, SIGNINGREQUESTS, "", "x", patch, media, subresource=subresource)

    for subresource, verb, word in (("approval", "approve", "Approved"), ("status", "sign", "Failed")):
        said = f'user not permitted to {verb} requests with signerName "a.io/signer"'
        rights |= {(verb, "b.io/*"), (verb, "a.io/other")}
        with pytest.raises(Forbidden, match=re.escape(f'certificates.k8s.io "x" is forbidden: {said}')):
            change(subresource, word)
        for name in ("a.io/signer", "a.io/*"):
            rights.add((verb, name))
            change(subresource, word)
            rights.discard((verb, name))


def test_nobody_asks_to_become_an_administrator(cluster: Cluster) -> None:
    said = deepcopy(EXAMPLES[SIGNINGREQUESTS])
    root = tls.new_request(tls.Leaf("jane", ("dev", "system:masters"))).certificate
    said["spec"] |= {"request": base64.b64encode(root).decode(), "signerName": CLIENT}
    why = "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed"
    assert refusal(cluster, SIGNINGREQUESTS, said).endswith(why)
    said["spec"]["request"] = "YQ=="
    assert "failed to parse CSR: PEM block type must be" in refusal(cluster, SIGNINGREQUESTS, said)


def test_storage_is_protected_from_its_first_moment(cluster: Cluster) -> None:
    for kind, finalizer in ((PERSISTENTVOLUMECLAIMS, "pvc"), (PERSISTENTVOLUMES, "pv")):
        made = cluster.create(kind, EXAMPLES[kind])
        assert made["metadata"]["finalizers"] == [f"kubernetes.io/{finalizer}-protection"]


def api_access(made: Obj) -> tuple[list[str], list[list[str]]]:
    """The names of the volumes, and of what each container mounts."""
    spec = made["spec"]
    containers = (*(spec.get("initContainers") or ()), *spec["containers"])
    mounted = [[mount["name"] for mount in one.get("volumeMounts") or ()] for one in containers]
    return [volume["name"] for volume in spec.get("volumes") or ()], mounted


def test_containers_find_what_they_need_to_call_the_api(cluster: Cluster) -> None:
    two = [{"name": "a", "image": "i"}, {"name": "b", "image": "i"}]
    made = cluster.create(PODS, pod(containers=two, initContainers=[{"name": "init", "image": "i"}]))
    [name], mounted = api_access(made)
    assert re.fullmatch("kube-api-access-[a-z2-9]{5}", name)
    assert mounted == [[name]] * 3
    assert made["spec"]["containers"][0]["volumeMounts"] == [
        {"name": name, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": True}
    ]
    token, ca, namespace = made["spec"]["volumes"][0]["projected"]["sources"]
    assert token == {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}
    assert ca["configMap"]["name"] == "kube-root-ca.crt"
    assert namespace["downwardAPI"]["items"][0]["path"] == "namespace"


@pytest.mark.parametrize(
    ("account", "said", "has"),
    [
        (None, None, True),
        (False, None, False),
        (False, True, True),
        (True, False, False),
        (None, False, False),
    ],
)
def test_a_token_may_be_declined_by_the_pod_or_else_its_account(
    cluster: Cluster, account: bool | None, said: bool | None, has: bool
) -> None:
    made: Obj = {"metadata": {"name": "robot"}}
    cluster.create(
        SERVICEACCOUNTS, made | ({} if account is None else {"automountServiceAccountToken": account})
    )
    spec: Obj = {} if said is None else {"automountServiceAccountToken": said}
    volumes, _ = api_access(cluster.create(PODS, pod(serviceAccountName="robot", **spec)))
    assert bool(volumes) == has


def test_what_a_container_has_at_that_place_stays(cluster: Cluster) -> None:
    own = {"name": "own", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
    container = {"name": "main", "image": "i", "volumeMounts": [own]}
    made = cluster.create(PODS, pod(containers=[container], volumes=[{"name": "own", "emptyDir": {}}]))
    assert api_access(made) == (["own"], [["own"]])
    mirror = pod("mirror")
    mirror["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
    assert api_access(cluster.create(PODS, mirror)) == ([], [[]])


def test_a_runtime_class_costs_and_places(cluster: Cluster) -> None:
    gpu = {"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}
    cluster.create(
        RUNTIMECLASSES,
        {
            "metadata": {"name": "nvidia"},
            "handler": "nvidia",
            "overhead": {"podFixed": {"memory": "64Mi"}},
            "scheduling": {"nodeSelector": {"gpu": "yes"}, "tolerations": [gpu]},
        },
    )
    spec = cluster.create(PODS, pod(runtimeClassName="nvidia", nodeSelector={"zone": "a"}))["spec"]
    assert spec["overhead"] == {"memory": "64Mi"}
    assert spec["nodeSelector"] == {"zone": "a", "gpu": "yes"}
    assert gpu in spec["tolerations"]
    same = pod("same", runtimeClassName="nvidia", overhead={"memory": "65536Ki"}, tolerations=[gpu])
    assert cluster.create(PODS, same)["spec"]["tolerations"].count(gpu) == 1


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"runtimeClassName": "gold"}, 'pod rejected: RuntimeClass "gold" not found'),
        ({"overhead": {"cpu": "1"}}, "Pod Overhead set without corresponding RuntimeClass defined Overhead"),
        (
            {"runtimeClassName": "plain", "overhead": {"cpu": "1"}},
            "Pod's Overhead doesn't match RuntimeClass's defined Overhead",
        ),
        (
            {"runtimeClassName": "plain", "nodeSelector": {"a": "2"}},
            "conflict: runtimeClass.scheduling.nodeSelector[a] = 1; pod.spec.nodeSelector[a] = 2",
        ),
    ],
)
def test_a_runtime_class_that_does_not_fit(cluster: Cluster, spec: Obj, said: str) -> None:
    plain = {"metadata": {"name": "plain"}, "handler": "h", "scheduling": {"nodeSelector": {"a": "1"}}}
    cluster.create(RUNTIMECLASSES, plain)
    assert said in refusal(cluster, PODS, pod(**spec))
