"""A small valid object of every kind that is stored, as a person would write it."""

from __future__ import annotations

import base64
from typing import Any

from fakes.cluster import config_map, deployment, pod, service

from mini8s.objects import kinds
from mini8s.objects.kinds import Kind, Obj

TEMPLATE: Obj = {
    "metadata": {"labels": {"app": "x"}},
    "spec": {"containers": [{"name": "main", "image": "busybox:1"}]},
}
ONCE: Obj = TEMPLATE | {"spec": TEMPLATE["spec"] | {"restartPolicy": "Never"}}
SELECTOR: Obj = {"matchLabels": {"app": "x"}}
REQUEST = b"""\
-----BEGIN CERTIFICATE REQUEST-----
MIHWMH4CAQAwHDEMMAoGA1UECgwDZGV2MQwwCgYDVQQDDANhbm4wWTATBgcqhkjO
PQIBBggqhkjOPQMBBwNCAAQG1GTqPNlc9++HMlppJZRzMl0791H+Sx9Splz5rRcX
MTlY+70AQzCcbRQ+YWzn1YhvPNnBRG8N67PUoGzabY5joAAwCgYIKoZIzj0EAwID
SAAwRQIhAK1kdtQNhTR6NA8hxaeVsko2Rx5+/O8InJ4ocOVzGWEkAiBRzAKsbo0S
yS/b6r6Z+I5qCXX0U3sDO4Ia9DXKLEkN1Q==
-----END CERTIFICATE REQUEST-----
"""
CLAIM: Obj = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
ROLE_REF: Obj = {"kind": "ClusterRole", "name": "admin", "apiGroup": "rbac.authorization.k8s.io"}
ADDRESSES: Obj = {"addressType": "IPv4", "endpoints": [{"addresses": ["10.42.0.9"]}]}
ABOUT: Obj = {"kind": "Pod", "name": "p", "namespace": "default"}
RULES: list[Obj] = [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]
BACKEND: Obj = {"service": {"name": "web", "port": {"number": 80}}}


def _of(**parts: Any) -> Obj:
    return {"metadata": {"name": "x"}} | parts


def _spec(**spec: Any) -> Obj:
    return _of(spec=spec)


EXAMPLES: dict[Kind, Obj] = {
    kinds.NAMESPACES: _of(),
    kinds.NODES: _of(),
    kinds.PODS: pod("x"),
    kinds.SERVICES: service("x"),
    kinds.ENDPOINTS: _of(subsets=[{"addresses": [{"ip": "10.42.0.9"}], "ports": [{"port": 80}]}]),
    kinds.CONFIGMAPS: config_map("x", a="b"),
    kinds.SECRETS: _of(stringData={"a": "b"}),
    kinds.EVENTS: _of(involvedObject=ABOUT),
    kinds.SERVICEACCOUNTS: _of(),
    kinds.PODTEMPLATES: _of(template=TEMPLATE),
    kinds.REPLICATIONCONTROLLERS: _spec(selector={"app": "x"}, template=TEMPLATE),
    kinds.RESOURCEQUOTAS: _spec(hard={"pods": "5", "limits.cpu": "2", "count/jobs.batch": "1"}),
    kinds.LIMITRANGES: _spec(limits=[{"type": "Container", "max": {"cpu": "1"}}]),
    kinds.PERSISTENTVOLUMES: _spec(
        capacity={"storage": "1Gi"}, accessModes=["ReadWriteOnce"], hostPath={"path": "/data"}
    ),
    kinds.PERSISTENTVOLUMECLAIMS: _spec(**CLAIM),
    kinds.DEPLOYMENTS: deployment("x"),
    kinds.REPLICASETS: _spec(selector=SELECTOR, template=TEMPLATE),
    kinds.STATEFULSETS: _spec(
        selector=SELECTOR,
        template=TEMPLATE,
        serviceName="x",
        volumeClaimTemplates=[{"metadata": {"name": "data"}, "spec": CLAIM}],
    ),
    kinds.DAEMONSETS: _spec(selector=SELECTOR, template=TEMPLATE),
    kinds.CONTROLLERREVISIONS: _of(data={"spec": {}}, revision=1),
    kinds.JOBS: _spec(template=ONCE),
    kinds.CRONJOBS: _spec(schedule="*/5 * * * *", jobTemplate={"spec": {"template": ONCE}}),
    kinds.AUTOSCALERS: _spec(scaleTargetRef={"kind": "Deployment", "name": "x"}, maxReplicas=3),
    kinds.AUTOSCALERS_V1: _spec(scaleTargetRef={"kind": "Deployment", "name": "x"}, maxReplicas=3),
    kinds.INGRESSES: _spec(
        rules=[{"host": "a.b", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": BACKEND}]}}]
    ),
    kinds.INGRESSCLASSES: _spec(controller="acme.io/foo"),
    kinds.NETWORKPOLICIES: _spec(podSelector={}, egress=[{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]),
    kinds.DISRUPTIONBUDGETS: _spec(minAvailable="50%", selector=SELECTOR),
    kinds.ROLES: _of(rules=RULES),
    kinds.ROLEBINDINGS: _of(roleRef=ROLE_REF, subjects=[{"kind": "User", "name": "jane"}]),
    kinds.CLUSTERROLES: _of(rules=[*RULES, {"verbs": ["get"], "nonResourceURLs": ["/metrics"]}]),
    kinds.CLUSTERROLEBINDINGS: _of(roleRef=ROLE_REF, subjects=[{"kind": "Group", "name": "all"}]),
    kinds.PRIORITYCLASSES: _of(value=1000),
    kinds.STORAGECLASSES: _of(provisioner="mini8s.io/local"),
    kinds.VOLUMEATTACHMENTS: _spec(attacher="a", nodeName="n", source={"persistentVolumeName": "v"}),
    kinds.CSIDRIVERS: _spec(),
    kinds.CSINODES: _spec(drivers=[{"name": "d", "nodeID": "n"}]),
    kinds.CSISTORAGECAPACITIES: _of(storageClassName="fast", capacity="5Gi"),
    kinds.LEASES: _spec(holderIdentity="me"),
    kinds.ENDPOINTSLICES: _of(**ADDRESSES),
    kinds.EVENTS_V1: _of(
        regarding=ABOUT,
        eventTime="2026-01-01T00:00:00.000000Z",
        reportingController="x.io/y",
        reportingInstance="y-1",
        action="Look",
        reason="Looked",
        type="Normal",
    ),
    kinds.RUNTIMECLASSES: _of(handler="runc"),
    kinds.SIGNINGREQUESTS: _spec(
        request=base64.b64encode(REQUEST).decode(), usages=["client auth"], signerName="a.io/signer"
    ),
}
