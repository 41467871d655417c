"""Each rule seen refusing: one line a rule, an object that breaks it and what upstream would say."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.cluster import Cluster, config_map, deployment, pod, service

from mini8s.objects.errors import Invalid
from mini8s.objects.kinds import (
    CONFIGMAPS,
    DEPLOYMENTS,
    ENDPOINTS,
    ENDPOINTSLICES,
    EVENTS,
    LEASES,
    NAMESPACES,
    NODES,
    PODS,
    REPLICASETS,
    SECRETS,
    SERVICES,
    Kind,
    Obj,
)

cluster = Cluster()  # nothing here is ever stored


def refusal(kind: Kind, obj: Obj) -> Invalid:
    with pytest.raises(Invalid) as refused:
        cluster.create(kind, obj)
    assert not cluster.exists(kind, obj["metadata"].get("name", ""))
    return refused.value


def said(kind: Kind, obj: Obj) -> list[str]:
    return [f"{cause.field}: {cause.message}" for cause in refusal(kind, obj).causes]


def container(**parts: Any) -> Obj:
    return pod(containers=[{"name": "main", "image": "busybox:1"} | parts])


def volume(**source: Any) -> Obj:
    return pod(volumes=[{"name": "v"} | source])


def projected(**source: Any) -> Obj:
    return volume(projected={"sources": [source]})


def mounts(**parts: Any) -> Obj:
    made = container(volumeMounts=[{"name": "v", "mountPath": "/v"} | parts])
    made["spec"]["volumes"] = [{"name": "v", "emptyDir": {}}]
    return made


def meta(**parts: Any) -> Obj:
    return {"metadata": {"name": "x"} | parts}


def node(**spec: Any) -> Obj:
    return {"metadata": {"name": "n"}, "spec": spec}


def rolling(**parts: Any) -> Obj:
    return deployment(strategy={"type": "RollingUpdate", "rollingUpdate": parts})


def env(**source: Any) -> Obj:
    return container(env=[{"name": "A", "valueFrom": source}])


def by_name_of_node(**expression: Any) -> Obj:
    terms = {"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name"} | expression]}]}
    return pod(affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}})


def piece(**parts: Any) -> Obj:
    return {"metadata": {"name": "x"}, "addressType": "IPv4", "endpoints": []} | parts


ADDRESS = "spec.containers[0]"

METADATA = [
    (meta(name=""), "metadata.name: Required value: name or generateName is required"),
    (meta(name="A_b"), 'metadata.name: Invalid value: "A_b": a lowercase RFC 1123 subdomain must consist of'),
    (meta(name="", generateName="A-"), 'metadata.generateName: Invalid value: "A-": a lowercase RFC'),
    (meta(labels={"a b": "c"}), 'metadata.labels: Invalid value: "a b": name part must consist of'),
    (meta(labels={"a": "b c"}), 'metadata.labels: Invalid value: "b c": a valid label must be'),
    (meta(annotations={"/a": ""}), 'metadata.annotations: Invalid value: "/a": prefix part must be'),
    (meta(annotations={"a": "x" * 300_000}), "metadata.annotations: Too long: may not be more than 262144"),
    (meta(finalizers=["mine"]), 'metadata.finalizers[0]: Invalid value: "mine": name is neither a standard'),
    (meta(finalizers=["orphan", "foregroundDeletion"]), "finalizer orphan and foregroundDeletion cannot be"),
    (meta(ownerReferences=[{}]), 'metadata.ownerReferences[0].uid: Invalid value: "": uid must not be empty'),
    (
        meta(
            ownerReferences=[
                {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": name, "controller": True}
                for name in ("a", "b")
            ]
        ),
        'Only one reference can have Controller set to true. Found "true" in references for a and b',
    ),
]

POD = [
    (pod(containers=[]), "spec.containers: Required value"),
    (container(name=""), f"{ADDRESS}.name: Required value"),
    (container(name="A"), f'{ADDRESS}.name: Invalid value: "A": a lowercase RFC 1123 label must'),
    (container(image=""), f"{ADDRESS}.image: Required value"),
    (container(image=" x"), f'{ADDRESS}.image: Invalid value: " x": must not have leading or trailing white'),
    (pod(containers=[{"name": "a", "image": "b"}] * 2), 'spec.containers[1].name: Duplicate value: "a"'),
    (
        pod(initContainers=[{"name": "main", "image": "b"}]),
        'spec.initContainers[0].name: Duplicate value: "m',
    ),
    (
        container(imagePullPolicy="Often"),
        f'{ADDRESS}.imagePullPolicy: Unsupported value: "Often": supported ',
    ),
    (container(ports=[{}]), f"{ADDRESS}.ports[0].containerPort: Required value"),
    (container(ports=[{"containerPort": 70000}]), "must be between 1 and 65535, inclusive"),
    (container(ports=[{"name": "a", "containerPort": 1}, {"name": "a", "containerPort": 2}]), "Duplicate va"),
    (container(ports=[{"containerPort": 1, "protocol": "IP"}]), "ports[0].protocol: Unsupported value"),
    (container(ports=[{"containerPort": 1, "hostPort": 9}] * 2), 'hostPort: Duplicate value: "TCP//9"'),
    (container(volumeMounts=[{"name": "v", "mountPath": "/v"}]), 'volumeMounts[0].name: Not found: "v"'),
    (container(volumeMounts=[{"name": "v"}]), "volumeMounts[0].mountPath: Required value"),
    (container(env=[{"name": ""}]), f"{ADDRESS}.env[0].name: Required value"),
    (container(env=[{"name": "1="}]), f'{ADDRESS}.env[0].name: Invalid value: "1="'),
    (env(), 'env[0].valueFrom: Invalid value: "": must specify one of: `fieldRef`'),
    (env(fieldRef={"fieldPath": "spec.host"}), "error converting fieldPath: field label not supported"),
    (env(configMapKeyRef={"name": "a"}), "env[0].valueFrom.configMapKeyRef.key: Required value"),
    (container(envFrom=[{"configMapRef": {}}]), "envFrom[0].configMapRef.name: Required value"),
    (
        container(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}),
        f'{ADDRESS}.resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
    ),
    (container(resources={"limits": {"cpu": "-1"}}), 'resources.limits[cpu]: Invalid value: "-1": must be'),
    (container(resources={"limits": {"gpu": "1"}}), "must be a standard resource type or fully qualified"),
    (container(resources={"requests": {"x.io/gpu": "1"}}), "Limit must be set for non overcommit resources"),
    (container(livenessProbe={}), f"{ADDRESS}.livenessProbe: Required value: must specify a handler type"),
    (
        container(readinessProbe={"exec": {"command": ["a"]}, "tcpSocket": {"port": 1}}),
        f"{ADDRESS}.readinessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
    ),
    (container(livenessProbe={"httpGet": {"port": 0}}), "livenessProbe.httpGet.port: Invalid value: 0: must"),
    (
        container(livenessProbe={"exec": {"command": ["a"]}, "successThreshold": 2}),
        "livenessProbe.successThreshold: Invalid value: 2: must be 1",
    ),
    (
        pod(initContainers=[{"name": "i", "image": "b", "livenessProbe": {"exec": {"command": ["a"]}}}]),
        "spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without",
    ),
    (volume(emptyDir={}, hostPath={"path": "/x"}), "may not specify more than 1 volume type"),
    (volume(hostPath={}), "spec.volumes[0].hostPath.path: Required value"),
    (volume(hostPath={"path": "/a/../b"}), "must not contain '..'"),
    (volume(hostPath={"path": "/a", "type": "Odd"}), "spec.volumes[0].hostPath.type: Unsupported value"),
    (volume(configMap={}), "spec.volumes[0].configMap.name: Required value"),
    (volume(secret={"secretName": "s", "items": [{"key": "a", "path": "/b"}]}), "must be a relative path"),
    (volume(secret={"secretName": "s", "defaultMode": 4096}), "must be a number between 0 and 0777"),
    (volume(downwardAPI={"items": [{"path": "a"}]}), "one of fieldRef and resourceFieldRef is required"),
    (pod(volumes=[{"name": "v"}, {"name": "v"}]), 'spec.volumes[1].name: Duplicate value: "v"'),
    (volume(ephemeral={}), "spec.volumes[0].ephemeral.volumeClaimTemplate: Required value"),
    (
        volume(ephemeral={"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteOnce"]}}}),
        "spec.volumes[0].ephemeral.volumeClaimTemplate.spec.resources[storage]: Required value",
    ),
    (
        volume(downwardAPI={"items": [{"path": "p", "fieldRef": {"fieldPath": "status.podIP"}}]}),
        'spec.volumes[0].downwardAPI.items[0].fieldRef.fieldPath: Unsupported value: "status.podIP"',
    ),
    (
        volume(downwardAPI={"items": [{"path": "p", "resourceFieldRef": {"resource": "limits.cpu"}}]}),
        "spec.volumes[0].downwardAPI.items[0].resourceFieldRef.containerName: Required value",
    ),
    (
        projected(serviceAccountToken={"path": "t", "expirationSeconds": 10}),
        (
            "spec.volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 10: "
            "may not specify a duration less than 10 minutes"
        ),
    ),
    (
        projected(clusterTrustBundle={"path": "/t"}),
        "spec.volumes[0].projected.sources[0].clusterTrustBundle.path: Invalid value",
    ),
    (
        projected(configMap={"name": "c", "items": [{"key": "a", "path": "t"}, {"key": "b", "path": "t"}]}),
        'spec.volumes[0].projected.sources[0].configMap: Invalid value: "t": conflicting duplicate paths: t',
    ),
    (
        mounts(subPath="a", subPathExpr="b"),
        (
            'spec.containers[0].volumeMounts[0].subPathExpr: Invalid value: "b": subPathExpr and subPath are '
            "mutually exclusive"
        ),
    ),
    (
        mounts(mountPropagation="Both"),
        'spec.containers[0].volumeMounts[0].mountPropagation: Unsupported value: "Both"',
    ),
    (
        mounts(mountPropagation="Bidirectional"),
        (
            "spec.containers[0].volumeMounts[0].mountPropagation: Forbidden: Bidirectional mount propagation "
            "is available only to privileged containers"
        ),
    ),
    (
        mounts(recursiveReadOnly="Enabled"),
        (
            "spec.containers[0].volumeMounts[0].recursiveReadOnly: Forbidden: may only be specified when "
            "readOnly is true"
        ),
    ),
    (
        container(volumeDevices=[{"name": "no", "devicePath": "/d"}]),
        'spec.containers[0].volumeDevices[0].name: Not found: "no"',
    ),
    (
        pod(restartPolicy="Maybe"),
        'spec.restartPolicy: Unsupported value: "Maybe": supported values: "Always"',
    ),
    (pod(dnsPolicy="None"), "spec.dnsConfig.nameservers: Required value: must provide at least one DNS"),
    (pod(terminationGracePeriodSeconds=-1), "must be greater than or equal to 0"),
    (pod(activeDeadlineSeconds=0), "must be between 1 and 2147483647, inclusive"),
    (pod(nodeSelector={"a b": "c"}), 'spec.nodeSelector: Invalid value: "a b"'),
    (pod(tolerations=[{"key": "", "operator": "Equal"}]), "operator must be Exists when `key` is empty"),
    (pod(tolerations=[{"operator": "Exists", "tolerationSeconds": 1}]), "effect must be 'NoExecute' when"),
    (pod(hostAliases=[{"ip": "x"}]), 'spec.hostAliases[0].ip: Invalid value: "x": must be a valid IP'),
    (pod(topologySpreadConstraints=[{}]), "maxSkew: Invalid value: 0: must be greater than zero"),
    (
        pod(affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}}}),
        "nodeSelectorTerms: Required value: must have at least one node selector term",
    ),
    (
        by_name_of_node(values=["a"]),
        'matchFields[0].operator: Invalid value: "": not a valid selector operator',
    ),
    (by_name_of_node(operator="In"), "matchFields[0].values: Required value: must be only one value when"),
    (by_name_of_node(operator="In", values=["A"]), 'matchFields[0].values[0]: Invalid value: "A"'),
    (by_name_of_node(operator="In", key="x", values=["a"]), 'matchFields[0].key: Invalid value: "x"'),
    (
        pod(affinity={"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{}]}}),
        "topologyKey: Required value: can not be empty",
    ),
]

SERVICE = [
    (service(ports=[]), "spec.ports: Required value"),
    (service(ports=[{"port": 80}, {"port": 81}]), "spec.ports[0].name: Required value"),
    (
        service(ports=[{"name": "a", "port": 1}, {"name": "a", "port": 2}]),
        'ports[1].name: Duplicate value: "a"',
    ),
    (service(ports=[{"name": "a", "port": 1}, {"name": "b", "port": 1}]), "spec.ports[1]: Duplicate value"),
    (service(ports=[{"port": 0}]), "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535"),
    (service(type="Odd"), 'spec.type: Unsupported value: "Odd": supported values: "ClusterIP"'),
    (service(ports=[{"port": 1, "nodePort": 30000}]), "may not be used when `type` is 'ClusterIP'"),
    (service("1web"), "a DNS-1035 label must consist of"),
    (service(selector={"a b": "c"}), 'spec.selector: Invalid value: "a b"'),
    (service(clusterIP="x"), 'spec.clusterIPs[0]: Invalid value: "x": must be a valid IP address'),
    (service(clusterIP="None", type="NodePort"), "may not be set to 'None' for NodePort services"),
    (service(clusterIPs=["10.43.0.2"], clusterIP="10.43.0.3"), "first value must match `clusterIP`"),
    (service(ipFamilies=["IPv6"]), 'spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this'),
    (service(ipFamilies=["IPv9"]), 'spec.ipFamilies[0]: Unsupported value: "IPv9": supported values: "IPv4"'),
    (service(ipFamilies=["IPv4", "IPv4"]), 'spec.ipFamilies[1]: Duplicate value: "IPv4"'),
    (service(ipFamilies=["IPv4", "IPv6"]), "when multiple IP families are specified"),
    (service(ipFamilyPolicy="Both"), 'spec.ipFamilyPolicy: Unsupported value: "Both": supported values: "Pr'),
    (service(ipFamilyPolicy="RequireDualStack"), "this cluster is not configured for dual-stack services"),
    (service(type="ExternalName", ipFamilies=["IPv4"]), "spec.ipFamilies: Forbidden: may not be set when"),
    (service(type="ExternalName"), "spec.externalName: Required value"),
    (
        service(loadBalancerSourceRanges=["10.0.0.0/8"]),
        "spec.LoadBalancerSourceRanges: Forbidden: may only be",
    ),
    (service(type="LoadBalancer", loadBalancerSourceRanges=["10.0.0.1"]), "must be a valid CIDR value"),
    (service(loadBalancerClass="a/b"), "spec.loadBalancerClass: Forbidden: may only be used when `type` is"),
    (service(type="LoadBalancer", loadBalancerClass="a b"), 'spec.loadBalancerClass: Invalid value: "a b"'),
    (service(allocateLoadBalancerNodePorts=True), "spec.allocateLoadBalancerNodePorts: Forbidden"),
    (service(healthCheckNodePort=31000), "may only be set when `type` is 'LoadBalancer' and"),
    (service(trafficDistribution="Far"), 'spec.trafficDistribution: Unsupported value: "Far": supported'),
    (service(externalTrafficPolicy="Local"), "may only be set for externally-accessible services"),
    (service(sessionAffinity="Odd"), 'spec.sessionAffinity: Unsupported value: "Odd"'),
    (
        service(sessionAffinity="ClientIP", sessionAffinityConfig={"clientIP": {"timeoutSeconds": 0}}),
        "must be greater than 0 and less than 86400",
    ),
]

WORKLOAD = [
    (deployment(selector=None), "spec.selector: Required value"),
    (deployment(selector={}), "empty selector is invalid for deployment"),
    (deployment(selector={"matchLabels": {"a": "b"}}), "`selector` does not match template `labels`"),
    (deployment(selector={"matchExpressions": [{"key": "a", "operator": "Odd"}]}), "not a valid selector op"),
    (deployment(replicas=-1), "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
    (deployment(strategy={"type": "Odd"}), 'spec.strategy.type: Unsupported value: "Odd"'),
    (deployment(strategy={"type": "Recreate", "rollingUpdate": {}}), "may not be specified when strategy"),
    (rolling(maxSurge=0, maxUnavailable=0), "may not be 0 when `maxSurge` is 0"),
    (rolling(maxUnavailable="101%"), "must not be greater than 100%"),
    (rolling(maxSurge="many"), "a valid percent string must be a numeric string followed by"),
    (deployment(minReadySeconds=600), "must be greater than minReadySeconds"),
    (
        deployment(
            template={"metadata": {"labels": {"app": "web"}}, "spec": pod(restartPolicy="Never")["spec"]}
        ),
        'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
    ),
    (
        deployment(template={"metadata": {"labels": {"app": "web"}}, "spec": {}}),
        "spec.template.spec.containers: Required value",
    ),
]

OTHERS = [
    (CONFIGMAPS, config_map(**{"a/b": "c"}), 'data[a/b]: Invalid value: "a/b": a valid config key must'),
    (CONFIGMAPS, config_map(a="x" * (1 << 21)), "Too long: may not be more than 1048576 bytes"),
    (CONFIGMAPS, config_map(a="b") | {"binaryData": {"a": "Yg=="}}, "duplicate of key present in binaryData"),
    (SECRETS, meta() | {"type": "kubernetes.io/tls"}, "data[tls.crt]: Required value"),
    (SECRETS, meta() | {"data": {"..": "Yg=="}}, "data[..]: Invalid value"),
    (NAMESPACES, meta(name="a.b"), 'metadata.name: Invalid value: "a.b": a lowercase RFC 1123 label'),
    (NODES, node(taints=[{"key": "a", "effect": "Odd"}]), "spec.taints[0].effect: Unsupported value"),
    (NODES, node(taints=[{"key": "a", "effect": "NoExecute"}] * 2), "spec.taints[1]: Duplicate value"),
    (NODES, node(podCIDR="x"), 'spec.podCIDR: Invalid value: "x": must be a valid CIDR value'),
    (LEASES, meta() | {"spec": {"leaseDurationSeconds": 0}}, "must be greater than 0"),
    (ENDPOINTS, meta() | {"subsets": [{}]}, "must specify `addresses` or `notReadyAddresses`"),
    (ENDPOINTS, meta() | {"subsets": [{"addresses": [{"ip": "127.0.0.1"}]}]}, "may not be in the loopback"),
    (ENDPOINTS, meta() | {"subsets": [{"addresses": [{"ip": "x"}]}]}, "must be a valid IP address"),
    (ENDPOINTSLICES, piece(addressType="Odd"), 'addressType: Unsupported value: "Odd"'),
    (ENDPOINTSLICES, piece(endpoints=[{"addresses": []}]), "must contain at least 1 address"),
    (ENDPOINTSLICES, piece(endpoints=[{"addresses": ["fd00::1"]}]), "must be a valid IPv4 address"),
    (ENDPOINTSLICES, piece(endpoints=[{"addresses": ["169.254.1.1"]}]), "may not be in the link-local range"),
    (ENDPOINTSLICES, piece(endpoints=[{"addresses": ["224.0.0.7"]}]), "the link-local multicast range"),
    (ENDPOINTSLICES, piece(endpoints=[{"addresses": ["0.0.0.0"]}]), "may not be unspecified (0.0.0.0)"),
    (ENDPOINTSLICES, piece(endpoints=[{"addresses": ["1.1.1.1"]}] * 1001), "Too many: 1001: must have at mo"),
    (ENDPOINTSLICES, piece(ports=[{"port": 1}, {"port": 2}]), 'ports[1].name: Duplicate value: ""'),
    (EVENTS, meta() | {"involvedObject": {"namespace": "other"}}, "does not match event.namespace"),
]  # fmt: skip

CASES = [
    *((CONFIGMAPS, *case) for case in METADATA),
    *((PODS, *case) for case in POD),
    *((SERVICES, *case) for case in SERVICE),
    *((DEPLOYMENTS, *case) for case in WORKLOAD),
    *OTHERS,
]


@pytest.mark.parametrize(("kind", "obj", "expected"), CASES, ids=[case[2][:60] for case in CASES])
def test_refused(kind: Kind, obj: Obj, expected: str) -> None:
    found = said(kind, obj)
    assert [line for line in found if expected in line], found


def test_a_request_may_be_all_of_its_limit() -> None:
    same = {"requests": {"cpu": "1", "x.io/gpu": "2"}, "limits": {"cpu": "1000m", "x.io/gpu": "2"}}
    cluster.create(PODS, container(resources=same), dry_run=True)


def test_templates_are_held_to_the_same_rules_with_their_own_path() -> None:
    broken = deployment(
        template={"metadata": {"labels": {"app": "web"}}, "spec": container(image="")["spec"]}
    )
    for kind in (DEPLOYMENTS, REPLICASETS):
        assert "spec.template.spec.containers[0].image: Required value" in said(kind, broken)


def test_one_message_for_one_and_a_list_for_several() -> None:
    one = refusal(DEPLOYMENTS, deployment(replicas=-1))
    assert one.message == (
        'Deployment.apps "web" is invalid: '
        "spec.replicas: Invalid value: -1: must be greater than or equal to 0"
    )
    assert one.status()["details"] == {
        "name": "web",
        "group": "apps",
        "kind": "Deployment",
        "causes": [
            {
                "reason": "FieldValueInvalid",
                "message": "Invalid value: -1: must be greater than or equal to 0",
                "field": "spec.replicas",
            }
        ],
    }
    two = refusal(PODS, pod(containers=[{}]))
    assert two.message == (
        'Pod "web" is invalid: [spec.containers[0].name: Required value, '
        "spec.containers[0].image: Required value]"
    )


def test_a_selector_is_for_life() -> None:
    world = Cluster()
    world.create(DEPLOYMENTS, deployment())
    other = {"app": "other"}
    template = {"metadata": {"labels": other}, "spec": pod()["spec"]}
    with pytest.raises(Invalid, match=r"spec.selector: Invalid value: .*: field is immutable$"):
        world.update(DEPLOYMENTS, deployment(selector={"matchLabels": other}, template=template))


def test_a_load_balancer_keeps_its_class_and_its_port_for_checks() -> None:
    world, local = Cluster(), {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}
    made = world.create(SERVICES, service(loadBalancerClass="a/b", **local))
    with pytest.raises(Invalid, match=r"spec.loadBalancerClass: Invalid value: .*: may not change once set"):
        world.update(SERVICES, service(loadBalancerClass="a/c", **local))
    port = 31000 if made["spec"]["healthCheckNodePort"] != 31000 else 31001
    with pytest.raises(Invalid, match=r"spec.healthCheckNodePort: Invalid value: .*: field is immutable"):
        world.update(SERVICES, service(loadBalancerClass="a/b", healthCheckNodePort=port, **local))
    plain = world.update(SERVICES, service(loadBalancerClass="a/b", type="ClusterIP"))["spec"]
    assert {"loadBalancerClass", "healthCheckNodePort", "allocateLoadBalancerNodePorts"}.isdisjoint(plain)


def test_types_that_stay() -> None:
    world = Cluster()
    world.create(SECRETS, {"metadata": {"name": "s"}, "type": "mine.io/x"})
    kept = world.update(SECRETS, {"metadata": {"name": "s"}, "stringData": {"a": "b"}})
    assert kept["type"] == "mine.io/x"
    with pytest.raises(Invalid, match=r'type: Invalid value: "yours.io/x": field is immutable'):
        world.update(SECRETS, {"metadata": {"name": "s"}, "type": "yours.io/x"})
    world.create(ENDPOINTSLICES, piece())
    with pytest.raises(Invalid, match='addressType: Invalid value: "IPv6": field is immutable'):
        world.update(ENDPOINTSLICES, piece(addressType="IPv6"))
