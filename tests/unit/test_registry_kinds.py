"""Every kind alike: it is stored, put again, read back, has a status apart, and says what it refuses."""

from __future__ import annotations

import base64
from copy import deepcopy
from typing import Any

import pytest
from fakes.cluster import Cluster, deployment
from fakes.examples import BACKEND, CLAIM, EXAMPLES, ONCE, REQUEST, ROLE_REF, SELECTOR, TEMPLATE

from mini8s.objects import kinds, schema
from mini8s.objects.errors import Forbidden, Invalid
from mini8s.objects.kinds import KINDS, Kind, Obj
from mini8s.objects.time import format_time
from mini8s.registry.kinds import BY_KIND
from mini8s.wire import tls

KEPT = [kind for kind in KINDS if kind.kept]
WITH_STATUS = [kind for kind in KEPT if "status" in kind.subresources]


def title(kind: Kind) -> str:
    return f"{kind.plural}-{kind.version}"


def example(kind: Kind, **spec: Any) -> Obj:
    obj = deepcopy(EXAMPLES[kind])
    return obj | ({"spec": obj["spec"] | spec} if spec else {})


def test_there_is_an_example_of_each() -> None:
    assert set(EXAMPLES) == set(KEPT)


@pytest.mark.parametrize("kind", KEPT, ids=title)
def test_it_is_kept_and_can_be_put_again(kind: Kind) -> None:
    cluster = Cluster()
    made = cluster.create(kind, example(kind))
    assert cluster.get(kind, "x") == made
    assert cluster.update(kind, made) == made
    again = example(kind)
    if not BY_KIND[kind.stored].unconditional_update:
        again["metadata"]["resourceVersion"] = made["metadata"]["resourceVersion"]
    if protection := made["metadata"].get("finalizers"):
        again["metadata"]["finalizers"] = protection
    assert cluster.update(kind, again) == made
    assert cluster.names(kind) == (["default", "x"] if kind is kinds.NAMESPACES else ["x"])


@pytest.mark.parametrize("kind", WITH_STATUS, ids=title)
def test_the_status_is_apart_from_the_rest(kind: Kind) -> None:
    cluster = Cluster()
    made = cluster.create(kind, example(kind))
    said = {"conditions": [{"type": "Odd", "status": "True"}], "phase": "Odd"}
    known = {part: value for part, value in said.items() if part in _status_fields(kind)}
    refused = cluster.patch(kind, "x", {"status": known})
    assert refused.get("status") == made.get("status")
    changed = cluster.patch(kind, "x", {"status": known, "spec": {"odd": 1}}, subresource="status")
    assert changed.get("spec") == made.get("spec")
    for part, value in known.items():
        got = changed["status"][part]
        assert got == value or got[0]["type"] == "Odd"


def _status_fields(kind: Kind) -> set[str]:
    return set(schema.of(kind).field("status").schema.fields)


def without(kind: Kind, part: str) -> Obj:
    obj = example(kind)
    del obj["spec"][part]
    return obj


def path(**parts: Any) -> Obj:
    return example(
        kinds.INGRESSES,
        rules=[{"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": BACKEND} | parts]}}],
    )


def backend(**parts: Any) -> Obj:
    return example(kinds.INGRESSES, defaultBackend=parts)


def peer(**parts: Any) -> Obj:
    return example(kinds.NETWORKPOLICIES, ingress=[{"from": [parts]}])


def port(**parts: Any) -> Obj:
    return example(kinds.NETWORKPOLICIES, ingress=[{"ports": [parts]}])


def limit(**parts: Any) -> Obj:
    return example(kinds.LIMITRANGES, limits=[{"type": "Container"} | parts])


def rule(**parts: Any) -> Obj:
    return example(kinds.ROLES) | {"rules": [parts]}


def subject(**parts: Any) -> Obj:
    return example(kinds.ROLEBINDINGS) | {"subjects": [parts]}


def metric(**parts: Any) -> Obj:
    return example(kinds.AUTOSCALERS, metrics=[parts])


def cron_job(**parts: Any) -> Obj:
    return example(kinds.CRONJOBS, jobTemplate={"spec": {"template": ONCE} | parts})


def named(kind: Kind, name: str, **parts: Any) -> Obj:
    return example(kind) | {"metadata": {"name": name}} | parts


STATEFUL, DAEMONS, CONTROLLERS = kinds.STATEFULSETS, kinds.DAEMONSETS, kinds.REPLICATIONCONTROLLERS
QUOTAS, CLAIMS, VOLUMES = kinds.RESOURCEQUOTAS, kinds.PERSISTENTVOLUMECLAIMS, kinds.PERSISTENTVOLUMES
SCALERS, BUDGETS, CERTIFICATES = kinds.AUTOSCALERS, kinds.DISRUPTIONBUDGETS, kinds.SIGNINGREQUESTS

REFUSED: list[tuple[Kind, Obj, str]] = [
    (STATEFUL, example(STATEFUL, podManagementPolicy="Odd"), "spec.podManagementPolicy: Invalid value"),
    (STATEFUL, example(STATEFUL, updateStrategy={"type": "Odd"}), "must be 'RollingUpdate' or 'OnDelete'"),
    (
        STATEFUL,
        example(STATEFUL, updateStrategy={"type": "OnDelete", "rollingUpdate": {}}),
        "only allowed for updateStrategy 'RollingUpdate'",
    ),
    (
        STATEFUL,
        example(STATEFUL, replicas=-1),
        "spec.replicas: Invalid value: -1: must be greater than or eq",
    ),
    (STATEFUL, example(STATEFUL, ordinals={"start": -1}), "spec.ordinals.start: Invalid value: -1"),
    (STATEFUL, example(STATEFUL, selector={}), "empty selector is invalid for statefulset"),
    (STATEFUL, without(STATEFUL, "selector"), "spec.selector: Required value"),
    (STATEFUL, without(STATEFUL, "template"), "spec.template: Required value"),
    (
        STATEFUL,
        example(STATEFUL, volumeClaimTemplates=[{"metadata": {"name": "d"}, "spec": {}}]),
        "spec.volumeClaimTemplates[0].spec.accessModes: Required value: at least 1 access mode is required",
    ),
    (DAEMONS, example(DAEMONS, selector={"matchLabels": {"a": "b"}}), "`selector` does not match template"),
    (
        DAEMONS,
        example(DAEMONS, updateStrategy={"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 0}}),
        "spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0",
    ),
    (
        DAEMONS,
        example(DAEMONS, updateStrategy={"rollingUpdate": {"maxUnavailable": 1, "maxSurge": 1}}),
        "may not be set when maxUnavailable is non-zero",
    ),
    (
        CONTROLLERS,
        example(CONTROLLERS, template=ONCE),
        'Unsupported value: "Never": supported values: "Always"',
    ),
    (CONTROLLERS, example(CONTROLLERS, selector={"app": "y"}), "`selector` does not match template `labels`"),
    (kinds.CONTROLLERREVISIONS, {"metadata": {"name": "x"}}, "data: Required value: data is mandatory"),
    (kinds.JOBS, example(kinds.JOBS, template=TEMPLATE), 'valid values: "OnFailure", "Never"'),
    (
        kinds.JOBS,
        example(kinds.JOBS, completionMode="Indexed", parallelism=1),
        "when completion mode is Indexed",
    ),
    (kinds.JOBS, example(kinds.JOBS, backoffLimit=-1), "spec.backoffLimit: Invalid value: -1"),
    (
        kinds.CRONJOBS,
        example(kinds.CRONJOBS, schedule="* * *"),
        "expected exactly 5 fields, found 3: [* * *]",
    ),
    (kinds.CRONJOBS, example(kinds.CRONJOBS, schedule=""), "spec.schedule: Required value"),
    (kinds.CRONJOBS, example(kinds.CRONJOBS, schedule="TZ=UTC * * * * *"), "use timeZone field instead"),
    (kinds.CRONJOBS, example(kinds.CRONJOBS, timeZone="Mars/North"), "unknown time zone Mars/North"),
    (kinds.CRONJOBS, example(kinds.CRONJOBS, concurrencyPolicy="Odd"), "spec.concurrencyPolicy: Unsupported"),
    (
        kinds.CRONJOBS,
        cron_job(manualSelector=True),
        'manualSelector: Unsupported value: true: supported values: "fa',
    ),
    (kinds.CRONJOBS, cron_job(selector=SELECTOR), "`selector` will be auto-generated"),
    (kinds.CRONJOBS, named(kinds.CRONJOBS, "x" * 53), "must be no more than 52 characters"),
    (
        QUOTAS,
        example(QUOTAS, hard={"odd": "1"}),
        'spec.hard[odd]: Invalid value: "odd": must be a standard reso',
    ),
    (QUOTAS, example(QUOTAS, hard={"pods": "1500m"}), 'Invalid value: "1500m": must be an integer'),
    (QUOTAS, example(QUOTAS, hard={"cpu": "-1"}), "must be greater than or equal to 0"),
    (QUOTAS, example(QUOTAS, scopes=["Odd"]), 'spec.scopes[0]: Unsupported value: "Odd"'),
    (QUOTAS, example(QUOTAS, scopes=["BestEffort", "NotBestEffort"]), "conflicting scopes"),
    (kinds.LIMITRANGES, limit(min={"cpu": "2"}, max={"cpu": "1"}), "min value 2 is greater than max value 1"),
    (kinds.LIMITRANGES, limit(default={"cpu": "2"}, max={"cpu": "1"}), "default value 2 is greater than max"),
    (kinds.LIMITRANGES, limit(maxLimitRequestRatio={"cpu": "500m"}), "ratio 500m is less than 1"),
    (kinds.LIMITRANGES, limit(type="Pod", default={"cpu": "1"}), "may not be specified when `type` is 'Pod'"),
    (
        kinds.LIMITRANGES,
        example(kinds.LIMITRANGES, limits=[{"type": "Pod"}] * 2),
        'type: Duplicate value: "Pod"',
    ),
    (CLAIMS, example(CLAIMS, accessModes=["Odd"]), 'spec.accessModes: Unsupported value: "Odd"'),
    (CLAIMS, example(CLAIMS, resources={}), "spec.resources[storage]: Required value"),
    (CLAIMS, example(CLAIMS, resources={"requests": {"storage": "0"}}), "must be greater than zero"),
    (CLAIMS, example(CLAIMS, volumeMode="Odd"), 'spec.volumeMode: Unsupported value: "Odd"'),
    (
        CLAIMS,
        example(CLAIMS, accessModes=["ReadWriteOncePod", "ReadWriteOnce"]),
        "may not use ReadWriteOncePod with other access modes",
    ),
    (VOLUMES, without(VOLUMES, "hostPath"), "spec: Required value: must specify a volume type"),
    (VOLUMES, example(VOLUMES, nfs={"server": "s", "path": "/"}), "may not specify more than 1 volume type"),
    (VOLUMES, without(VOLUMES, "capacity"), "spec.capacity: Required value"),
    (VOLUMES, example(VOLUMES, hostPath={"path": "/a/../b"}), "must not contain '..'"),
    (SCALERS, example(SCALERS, maxReplicas=0), "spec.maxReplicas: Invalid value: 0: must be greater than 0"),
    (SCALERS, example(SCALERS, minReplicas=9), "must be greater than or equal to `minReplicas`"),
    (
        SCALERS,
        example(SCALERS, scaleTargetRef={"kind": "Deployment"}),
        "spec.scaleTargetRef.name: Required va",
    ),
    (SCALERS, metric(type="Odd"), 'spec.metrics[0].type: Unsupported value: "Odd"'),
    (SCALERS, metric(type="Resource"), "must populate information for the given metric source"),
    (SCALERS, metric(type="Resource", resource={"name": "cpu"}), "must specify a metric target type"),
    (
        SCALERS,
        metric(
            type="Resource",
            resource={"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 0}},
        ),
        "target.averageUtilization: Invalid value: 0: must be greater than 0",
    ),
    (
        SCALERS,
        example(SCALERS, behavior={"scaleUp": {"policies": [{"type": "Pods"}]}}),
        "must be greater than zero",
    ),
    (
        kinds.INGRESSES,
        example(kinds.INGRESSES, rules=[]),
        "either `defaultBackend` or `rules` must be specified",
    ),
    (kinds.INGRESSES, path(path="x"), 'path: Invalid value: "x": must be an absolute path'),
    (kinds.INGRESSES, path(path="/a//b"), "must not contain '//'"),
    (kinds.INGRESSES, path(pathType="Odd"), 'pathType: Unsupported value: "Odd"'),
    (kinds.INGRESSES, path(backend={}), "backend: Required value: resource or service backend is required"),
    (kinds.INGRESSES, backend(service={"name": "web"}), "port name or number is required"),
    (
        kinds.INGRESSES,
        example(kinds.INGRESSES, rules=[{"host": "10.0.0.1"}]),
        "must be a DNS name, not an IP",
    ),
    (
        kinds.INGRESSES,
        example(kinds.INGRESSES, rules=[{"host": "*"}]),
        "a wildcard DNS-1123 subdomain must start",
    ),
    (kinds.INGRESSCLASSES, example(kinds.INGRESSCLASSES, controller="x"), "must be a domain-prefixed path"),
    (kinds.NETWORKPOLICIES, peer(), "spec.ingress[0].from[0]: Required value: must specify a peer"),
    (
        kinds.NETWORKPOLICIES,
        peer(ipBlock={"cidr": "10.0.0.0/8"}, podSelector={}),
        "may not specify both ipBlock and another peer",
    ),
    (
        kinds.NETWORKPOLICIES,
        peer(ipBlock={"cidr": "10.0.0.0/8", "except": ["11.0.0.0/9"]}),
        'except[0]: Invalid value: "11.0.0.0/9": must be a strict subset of `cidr`',
    ),
    (kinds.NETWORKPOLICIES, peer(ipBlock={"cidr": "10.0.0.1"}), "must be a valid CIDR value"),
    (kinds.NETWORKPOLICIES, port(port=90, endPort=80), "must be greater than or equal to `port`"),
    (kinds.NETWORKPOLICIES, port(endPort=80), "may not be specified when `port` is not specified"),
    (BUDGETS, example(BUDGETS, maxUnavailable=1), "minAvailable and maxUnavailable cannot be both set"),
    (BUDGETS, example(BUDGETS, minAvailable="150%"), "must not be greater than 100%"),
    (kinds.ROLES, rule(apiGroups=[""], resources=["pods"]), "verbs must contain at least one value"),
    (
        kinds.ROLES,
        rule(verbs=["get"], nonResourceURLs=["/x"]),
        "namespaced rules cannot apply to non-resource",
    ),
    (kinds.ROLES, rule(verbs=["get"]), "resource rules must supply at least one api group"),
    (kinds.ROLES, named(kinds.ROLES, "a/b"), "may not contain '/'"),
    (kinds.ROLEBINDINGS, subject(kind="Odd", name="x"), 'subjects[0].kind: Unsupported value: "Odd"'),
    (kinds.ROLEBINDINGS, subject(kind="User"), "subjects[0].name: Required value"),
    (
        kinds.CLUSTERROLEBINDINGS,
        example(kinds.CLUSTERROLEBINDINGS) | {"subjects": [{"kind": "ServiceAccount", "name": "a"}]},
        "subjects[0].namespace: Required value",
    ),
    (
        kinds.CLUSTERROLEBINDINGS,
        example(kinds.CLUSTERROLEBINDINGS) | {"roleRef": ROLE_REF | {"kind": "Role"}},
        'roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"',
    ),
    (kinds.PRIORITYCLASSES, named(kinds.PRIORITYCLASSES, "system-x"), "reserved for system use only"),
    (
        kinds.PRIORITYCLASSES,
        named(kinds.PRIORITYCLASSES, "x", value=2_000_000_000),
        "maximum allowed value of a",
    ),
    (kinds.STORAGECLASSES, {"metadata": {"name": "x"}}, "provisioner: Required value"),
    (kinds.RUNTIMECLASSES, named(kinds.RUNTIMECLASSES, "x", handler="A"), 'handler: Invalid value: "A"'),
    (CERTIFICATES, example(CERTIFICATES, request="YQ=="), "PEM block type must be CERTIFICATE REQUEST"),
    (
        CERTIFICATES,
        example(CERTIFICATES, request=base64.b64encode(REQUEST.replace(b"MIHW", b"MIHX")).decode()),
        "it ends too early",
    ),
    (
        CERTIFICATES,
        example(CERTIFICATES, signerName="kubernetes.io/legacy-unknown"),
        "legacy signerName is not allowed via this API version",
    ),
    (CERTIFICATES, example(CERTIFICATES, usages=["odd"]), 'spec.usages[0]: Unsupported value: "odd"'),
    (CERTIFICATES, example(CERTIFICATES, signerName="x"), "must be a fully qualified domain and path"),
    (
        CERTIFICATES,
        example(CERTIFICATES, expirationSeconds=5),
        "may not specify a duration less than 600 seconds",
    ),
    (
        kinds.CSINODES,
        example(kinds.CSINODES, drivers=[{"name": "d"}]),
        "spec.drivers[0].nodeID: Required value",
    ),
    (kinds.CSISTORAGECAPACITIES, {"metadata": {"name": "x"}}, "storageClassName: Required value"),
    (kinds.VOLUMEATTACHMENTS, without(kinds.VOLUMEATTACHMENTS, "attacher"), "spec.attacher: Required value"),
]


def causes(error: Invalid) -> str:
    return "\n".join(f"{cause.field}: {cause.message}" for cause in error.causes)


@pytest.mark.parametrize(
    ("kind", "obj", "said"), REFUSED, ids=[f"{row[0].plural}-{row[2][:40]}" for row in REFUSED]
)
def test_what_breaks_a_rule_is_refused(kind: Kind, obj: Obj, said: str) -> None:
    with pytest.raises(Invalid) as refused:
        Cluster().create(kind, obj)
    assert said in causes(refused.value)


FIXED: list[tuple[Kind, Obj, str]] = [
    (
        STATEFUL,
        {"spec": {"serviceName": "y"}},
        "updates to statefulset spec for fields other than 'replicas', ",
    ),
    (
        DAEMONS,
        {"spec": {"selector": {"matchLabels": {"app": None, "b": "c"}}}},
        "spec.selector: Invalid value",
    ),
    (kinds.JOBS, {"spec": {"completions": 7}}, "spec.completions: Invalid value: 7: field is immutable"),
    (kinds.JOBS, {"spec": {"template": {"spec": {"nodeName": "n"}}}}, "spec.template: Invalid value"),
    (kinds.CONTROLLERREVISIONS, {"data": {"spec": {"a": 1}}}, "data: Invalid value"),
    (QUOTAS, {"spec": {"scopes": ["BestEffort"]}}, "spec.scopes: Invalid value"),
    (CLAIMS, {"spec": {"accessModes": ["ReadOnlyMany"]}}, "spec is immutable after creation except"),
    (CLAIMS, {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}, "spec is immutable after creation"),
    (
        VOLUMES,
        {"spec": {"hostPath": {"path": "/b"}}},
        "spec.persistentvolumesource is immutable after creation",
    ),
    (kinds.ROLEBINDINGS, {"roleRef": {"name": "other"}}, "cannot change roleRef"),
    (kinds.PRIORITYCLASSES, {"value": 5}, "value: Forbidden: may not be changed in an update."),
    (kinds.STORAGECLASSES, {"provisioner": "other.io/x"}, "updates to provisioner are forbidden."),
    (kinds.STORAGECLASSES, {"volumeBindingMode": "WaitForFirstConsumer"}, "field is immutable"),
    (kinds.RUNTIMECLASSES, {"handler": "other"}, "handler: Invalid value"),
    (kinds.INGRESSCLASSES, {"spec": {"controller": "b.io/c"}}, "spec.controller: Invalid value"),
    (kinds.VOLUMEATTACHMENTS, {"spec": {"nodeName": "m"}}, "spec: Invalid value"),
    (kinds.CSISTORAGECAPACITIES, {"storageClassName": "slow"}, "storageClassName: Invalid value"),
    (kinds.CSIDRIVERS, {"spec": {"attachRequired": False}}, "spec.attachRequired: Invalid value"),
]


@pytest.mark.parametrize(
    ("kind", "patch", "said"), FIXED, ids=[f"{row[0].plural}-{row[2][:30]}" for row in FIXED]
)
def test_what_is_fixed_stays(kind: Kind, patch: Obj, said: str) -> None:
    cluster = Cluster()
    before = cluster.create(kind, example(kind))
    with pytest.raises(Invalid) as refused:
        cluster.patch(kind, "x", patch)
    assert said in causes(refused.value)
    assert cluster.get(kind, "x") == before


@pytest.mark.parametrize("kind", [kind for kind in WITH_STATUS if kind is not kinds.NODES], ids=title)
def test_a_new_status_has_what_its_type_requires(kind: Kind) -> None:
    made = Cluster().create(kind, example(kind))
    definition = schema.definitions()[schema.of(kind).field("status").schema.name]
    assert set(definition.get("required", ())) <= set(made.get("status", {})) | {"currentMetrics"}


def test_a_job_finds_its_pods_by_its_own_uid() -> None:
    made = Cluster().create(kinds.JOBS, example(kinds.JOBS))
    uid = made["metadata"]["uid"]
    assert made["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    labels = made["spec"]["template"]["metadata"]["labels"]
    assert labels["job-name"] == labels["batch.kubernetes.io/job-name"] == "x"
    assert made["metadata"]["labels"] == {"app": "x"}
    assert (made["spec"]["completions"], made["spec"]["backoffLimit"]) == (1, 6)


def test_a_claim_that_is_bound_may_grow_and_not_shrink() -> None:
    cluster = Cluster()
    cluster.create(CLAIMS, example(CLAIMS))
    cluster.patch(CLAIMS, "x", {"spec": {"volumeName": "v", "storageClassName": "fast"}})
    cluster.patch(CLAIMS, "x", {"status": {"phase": "Bound"}}, subresource="status")
    with pytest.raises(Forbidden, match="only dynamically provisioned pvc can be resized"):
        cluster.patch(CLAIMS, "x", {"spec": {"resources": {"requests": {"storage": "2Gi"}}}})
    fast = {"metadata": {"name": "fast"}, "provisioner": "p.io/x", "allowVolumeExpansion": True}
    cluster.create(kinds.STORAGECLASSES, fast)
    larger = cluster.patch(CLAIMS, "x", {"spec": {"resources": {"requests": {"storage": "2Gi"}}}})
    assert larger["spec"]["resources"]["requests"]["storage"] == "2Gi"
    with pytest.raises(Invalid, match="field can not be less than previous value"):
        cluster.patch(CLAIMS, "x", {"spec": {"resources": {"requests": {"storage": "1Gi"}}}})


def test_a_request_is_decided_once_and_signed_once() -> None:
    cluster = Cluster()
    cluster.create(CERTIFICATES, example(CERTIFICATES))
    yes = {"type": "Approved", "status": "True", "reason": "x"}
    pem = base64.b64encode(tls.new_ca("x", cluster.clock.now()).certificate).decode()
    done = {"status": {"conditions": [yes], "certificate": pem}}
    decided = cluster.patch(CERTIFICATES, "x", done, subresource="approval")
    now = format_time(cluster.clock.now())
    yes |= {"lastUpdateTime": now, "lastTransitionTime": now}
    assert decided["status"] == {"conditions": [yes]}
    cluster.clock.step(60)
    signed = cluster.patch(
        CERTIFICATES, "x", {"status": {"certificate": pem, "conditions": []}}, subresource="status"
    )
    assert signed["status"] == {"conditions": [yes], "certificate": pem}
    no = {"type": "Denied", "status": "True"}
    for status, subresource, why in (
        ({"conditions": [yes, no]}, "approval", "Approved and Denied conditions are mutually exclusive"),
        ({"conditions": []}, "approval", 'updates may not remove a condition of type "Approved"'),
        ({"certificate": None}, "status", "updates may not modify existing certificate content"),
    ):
        with pytest.raises(Invalid, match=why):
            cluster.patch(CERTIFICATES, "x", {"status": status}, subresource=subresource)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"a", "must contain at least one CERTIFICATE PEM block"),
        (REQUEST, 'only CERTIFICATE PEM blocks are allowed, found "CERTIFICATE REQUEST"'),
    ],
)
def test_a_certificate_must_be_one(text: bytes, why: str) -> None:
    cluster = Cluster()
    cluster.create(CERTIFICATES, example(CERTIFICATES))
    change = {"status": {"certificate": base64.b64encode(text).decode()}}
    with pytest.raises(Invalid, match=f"status.certificate: Invalid value: <certificate data>: {why}"):
        cluster.patch(CERTIFICATES, "x", change, subresource="status")


def test_a_limit_range_fills_itself_in() -> None:
    made = Cluster().create(kinds.LIMITRANGES, limit(max={"cpu": "1"}, min={"memory": "1Mi"}))
    item = made["spec"]["limits"][0]
    assert (item["default"], item["defaultRequest"]) == ({"cpu": "1"}, {"cpu": "1", "memory": "1Mi"})


@pytest.mark.parametrize("kind", [kind for kind in KEPT if "scale" in kind.subresources], ids=title)
def test_workloads_are_scaled_through_a_scale(kind: Kind) -> None:
    cluster = Cluster()
    cluster.create(kind, example(kind) if kind is not kinds.DEPLOYMENTS else deployment("x"))
    scale = cluster.patch(kind, "x", {"spec": {"replicas": 4}}, subresource="scale")
    assert scale["status"]["selector"] == "app=x"
    assert cluster.get(kind, "x")["spec"]["replicas"] == 4


def test_a_claim_template_is_a_claim() -> None:
    made = Cluster().create(STATEFUL, example(STATEFUL))
    claim = made["spec"]["volumeClaimTemplates"][0]
    assert claim["spec"] == CLAIM | {"volumeMode": "Filesystem"}
    assert made["spec"]["updateStrategy"] == {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
