"""The values that fields take when nobody says any, by type (upstream: `pkg/apis/*/v1/defaults.go`).

CONSTANT: the field's value when it is missing or an empty string. COMPUTED: what depends on the rest of the
object; it gets the object with its constants in and returns what to put in besides. The schema documents
don't have these values, so both tables are written by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mini8s.objects.kinds import Obj

_CORE = "io.k8s.api.core.v1."
_APPS = "io.k8s.api.apps.v1."
_BATCH = "io.k8s.api.batch.v1."
_SCALING = "io.k8s.api.autoscaling."
_NETWORK = "io.k8s.api.networking.v1."
_RBAC = "io.k8s.api.rbac.v1."
_STORAGE = "io.k8s.api.storage.v1."

_CONTAINER: Mapping[str, Any] = {
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
    "resources": {},
}
_FILE_MODE: Mapping[str, Any] = {"defaultMode": 420}
_MANY = (1 << 31) - 1
_PORT: Mapping[str, Any] = {"protocol": "TCP"}

CONSTANT: Mapping[str, Mapping[str, Any]] = {
    f"{_CORE}PodSpec": {
        "restartPolicy": "Always",
        "dnsPolicy": "ClusterFirst",
        "terminationGracePeriodSeconds": 30,
        "schedulerName": "default-scheduler",
        "securityContext": {},
    },
    f"{_CORE}PodTemplateSpec": {"metadata": {}},
    f"{_CORE}Container": _CONTAINER,
    f"{_CORE}EphemeralContainer": _CONTAINER,
    f"{_CORE}ContainerPort": _PORT,
    f"{_CORE}HTTPGetAction": {"path": "/", "scheme": "HTTP"},
    f"{_CORE}GRPCAction": {"service": ""},
    f"{_CORE}ObjectFieldSelector": {"apiVersion": "v1"},
    f"{_CORE}SecretVolumeSource": _FILE_MODE,
    f"{_CORE}ConfigMapVolumeSource": _FILE_MODE,
    f"{_CORE}DownwardAPIVolumeSource": _FILE_MODE,
    f"{_CORE}ProjectedVolumeSource": _FILE_MODE,
    f"{_CORE}HostPathVolumeSource": {"type": ""},
    f"{_CORE}ServiceAccountTokenProjection": {"expirationSeconds": 3600},
    "io.k8s.api.authentication.v1.TokenRequestSpec": {"expirationSeconds": 3600},
    f"{_CORE}ServiceSpec": {"type": "ClusterIP", "sessionAffinity": "None"},
    f"{_CORE}ServicePort": _PORT,
    f"{_CORE}EndpointPort": _PORT,
    f"{_CORE}Secret": {"type": "Opaque"},
    f"{_CORE}Event": {"involvedObject": {}},
    "io.k8s.api.discovery.v1.EndpointPort": {"name": "", "protocol": "TCP"},
    f"{_APPS}DeploymentSpec": {
        "replicas": 1,
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
    },
    f"{_APPS}DeploymentStrategy": {"type": "RollingUpdate"},
    f"{_APPS}RollingUpdateDeployment": {"maxSurge": "25%", "maxUnavailable": "25%"},
    f"{_APPS}ReplicaSetSpec": {"replicas": 1},
    # What Go writes of a status that says nothing; typed clients rely on it.
    f"{_APPS}ReplicaSetStatus": {"replicas": 0},
    f"{_APPS}StatefulSetStatus": {"replicas": 0, "availableReplicas": 0},
    f"{_APPS}DaemonSetStatus": {
        "currentNumberScheduled": 0,
        "desiredNumberScheduled": 0,
        "numberMisscheduled": 0,
        "numberReady": 0,
    },
    f"{_CORE}ReplicationControllerStatus": {"replicas": 0},
    f"{_SCALING}v2.HorizontalPodAutoscalerStatus": {"currentReplicas": 0, "desiredReplicas": 0},
    f"{_NETWORK}IngressStatus": {"loadBalancer": {}},
    "io.k8s.api.policy.v1.PodDisruptionBudgetStatus": {
        "currentHealthy": 0,
        "desiredHealthy": 0,
        "disruptionsAllowed": 0,
        "expectedPods": 0,
    },
    f"{_STORAGE}VolumeAttachmentStatus": {"attached": False},
    f"{_APPS}StatefulSetSpec": {
        "replicas": 1,
        "revisionHistoryLimit": 10,
        "podManagementPolicy": "OrderedReady",
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
    },
    f"{_APPS}StatefulSetUpdateStrategy": {"type": "RollingUpdate"},
    f"{_APPS}RollingUpdateStatefulSetStrategy": {"partition": 0},
    f"{_APPS}StatefulSetPersistentVolumeClaimRetentionPolicy": {
        "whenDeleted": "Retain",
        "whenScaled": "Retain",
    },
    f"{_APPS}DaemonSetSpec": {
        "revisionHistoryLimit": 10,
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
    },
    f"{_APPS}DaemonSetUpdateStrategy": {"type": "RollingUpdate"},
    f"{_APPS}RollingUpdateDaemonSet": {"maxSurge": 0, "maxUnavailable": 1},
    f"{_CORE}PersistentVolumeSpec": {"persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem"},
    f"{_CORE}PersistentVolumeClaim": {"status": {"phase": "Pending"}},
    f"{_CORE}PersistentVolumeClaimSpec": {"volumeMode": "Filesystem"},
    f"{_BATCH}JobTemplateSpec": {"metadata": {}},
    f"{_BATCH}CronJobSpec": {
        "concurrencyPolicy": "Allow",
        "suspend": False,
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 1,
    },
    f"{_BATCH}PodFailurePolicyOnPodConditionsPattern": {"status": "True"},
    f"{_SCALING}v1.HorizontalPodAutoscalerSpec": {"minReplicas": 1},
    f"{_SCALING}v2.HorizontalPodAutoscalerSpec": {"minReplicas": 1},
    f"{_NETWORK}IngressClassParametersReference": {"scope": "Cluster"},
    f"{_NETWORK}NetworkPolicyPort": _PORT,
    f"{_RBAC}RoleRef": {"apiGroup": "rbac.authorization.k8s.io"},
    "io.k8s.api.scheduling.v1.PriorityClass": {"preemptionPolicy": "PreemptLowerPriority"},
    f"{_STORAGE}StorageClass": {"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"},
    f"{_STORAGE}CSIDriverSpec": {
        "attachRequired": True,
        "fsGroupPolicy": "ReadWriteOnceWithFSType",
        "podInfoOnMount": False,
        "requiresRepublish": False,
        "seLinuxMount": False,
        "storageCapacity": False,
        "volumeLifecycleModes": ["Persistent"],
    },
}

_PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
_VOLUME_NAME_ONLY = frozenset({"name"})


def _probe(probe: Obj) -> Obj:
    return {name: default for name, default in _PROBE.items() if not probe.get(name)}


def _container(container: Obj) -> Obj:
    if container.get("imagePullPolicy"):
        return {}
    return {"imagePullPolicy": "Always" if _floats(container.get("image") or "") else "IfNotPresent"}


def _floats(image: str) -> bool:
    """Whether an image's name is without a digest and tagged `latest`, outright or by saying no tag."""
    if "@" in image:
        return False
    _, colon, tag = image.rpartition("/")[2].partition(":")
    return not colon or tag == "latest"


def _volume(volume: Obj) -> Obj:
    return {} if volume.keys() - _VOLUME_NAME_ONLY else {"emptyDir": {}}


def _pod_spec(spec: Obj) -> Obj:
    """On the host's network a container's port is the host's; both names of the service account are kept."""
    made: Obj = {}
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        made |= {"serviceAccountName": account, "serviceAccount": account}
    if spec.get("hostNetwork"):
        for group in ("containers", "initContainers"):
            if spec.get(group):
                made[group] = [_with_host_ports(container) for container in spec[group]]
    return made


def _with_host_ports(container: Obj) -> Obj:
    if not container.get("ports"):
        return container
    ports = [
        port
        if port.get("hostPort") or not port.get("containerPort")
        else port | {"hostPort": port["containerPort"]}
        for port in container["ports"]
    ]
    return container | {"ports": ports}


def _pod(pod: Obj) -> Obj:
    """What holds for pods, but not for the templates that they are made of."""
    spec = pod.get("spec")
    if spec is None:
        return {}
    made = {"enableServiceLinks": True} | spec
    for group in ("containers", "initContainers"):
        if spec.get(group):
            made[group] = [_with_requests(container) for container in spec[group]]
    return {"spec": made}


def _with_requests(container: Obj) -> Obj:
    """Who states a limit and no request requests the limit."""
    resources = container.get("resources") or {}
    limits = resources.get("limits")
    if not limits:
        return container
    requests = {**limits, **(resources.get("requests") or {})}
    return container | {"resources": resources | {"requests": requests}}


def _service_port(port: Obj) -> Obj:
    return {} if port.get("targetPort") not in {None, "", 0} else {"targetPort": port.get("port", 0)}


def _service(spec: Obj) -> Obj:
    made: Obj = {}
    outside = spec["type"] in {"NodePort", "LoadBalancer"}
    if spec["type"] != "ExternalName" and not spec.get("internalTrafficPolicy"):
        made["internalTrafficPolicy"] = "Cluster"
    if (outside or spec.get("externalIPs")) and not spec.get("externalTrafficPolicy"):
        made["externalTrafficPolicy"] = "Cluster"
    if spec["type"] == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is None:
        made["allocateLoadBalancerNodePorts"] = True
    if spec["sessionAffinity"] == "ClientIP" and not spec.get("sessionAffinityConfig"):
        made["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": 10800}}
    return made


def _strategy(strategy: Obj) -> Obj:
    if strategy["type"] != "RollingUpdate" or strategy.get("rollingUpdate"):
        return {}
    return {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}


def _node_status(status: Obj) -> Obj:
    return (
        {} if status.get("allocatable") or not status.get("capacity") else {"allocatable": status["capacity"]}
    )


def _stateful_update(strategy: Obj) -> Obj:
    rolling = strategy["type"] == "RollingUpdate" and not strategy.get("rollingUpdate")
    return {"rollingUpdate": {"partition": 0}} if rolling else {}


def _daemon_update(strategy: Obj) -> Obj:
    rolling = strategy["type"] == "RollingUpdate" and not strategy.get("rollingUpdate")
    return {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}} if rolling else {}


def _replication_controller(found: Obj) -> Obj:
    """It selects what its template makes, and is labelled like that itself."""
    spec = {"replicas": 1} | (found.get("spec") or {})
    labels = _template_labels(spec)
    made: Obj = {"spec": spec}
    if labels:
        made["spec"] = {"selector": labels} | {key: value for key, value in spec.items() if value != {}}
        made |= _labelled(found, labels)
    return made


def _job(found: Obj) -> Obj:
    spec = found.get("spec")
    if spec is None:
        return {}
    once = {"completions": 1} if "completions" not in spec and "parallelism" not in spec else {}
    made = {
        **once,
        "parallelism": 1,
        "backoffLimit": _MANY if spec.get("backoffLimitPerIndex") is not None else 6,
        "completionMode": "NonIndexed",
        "suspend": False,
        "manualSelector": False,
        "podReplacementPolicy": "Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed",
    } | spec
    return {"spec": made} | _labelled(found, _template_labels(spec))


def _template_labels(spec: Obj) -> dict[str, str]:
    metadata = (spec.get("template") or {}).get("metadata") or {}
    found: dict[str, str] = metadata.get("labels") or {}
    return found


def _labelled(found: Obj, labels: dict[str, str]) -> Obj:
    metadata = found.get("metadata") or {}
    return {"metadata": metadata | {"labels": labels}} if labels and not metadata.get("labels") else {}


def _autoscaler(spec: Obj) -> Obj:
    if spec.get("metrics"):
        return {}
    target = {"type": "Utilization", "averageUtilization": 80}
    return {"metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]}


def _behavior(found: Obj) -> Obj:
    """Up by four pods or twofold, whichever is more, and down as far as wanted, every 15 seconds."""
    twofold = {"type": "Percent", "value": 100, "periodSeconds": 15}
    four = {"type": "Pods", "value": 4, "periodSeconds": 15}
    up = {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [four, twofold]}
    down = {"selectPolicy": "Max", "policies": [twofold]}
    return {"scaleUp": up | (found.get("scaleUp") or {}), "scaleDown": down | (found.get("scaleDown") or {})}


def _network_policy(spec: Obj) -> Obj:
    if spec.get("policyTypes"):
        return {}
    return {"policyTypes": ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]}


def _subject(subject: Obj) -> Obj:
    named = subject.get("kind") in {"User", "Group"} and not subject.get("apiGroup")
    return {"apiGroup": "rbac.authorization.k8s.io"} if named else {}


def _limit_range_item(item: Obj) -> Obj:
    """A container's limit is the most there may be; its request the limit, else the least."""
    if item.get("type") != "Container":
        return {}
    limits = {**(item.get("max") or {}), **(item.get("default") or {})}
    requests = {**(item.get("min") or {}), **limits, **(item.get("defaultRequest") or {})}
    made = {"default": limits, "defaultRequest": requests}
    return {part: value for part, value in made.items() if value}


COMPUTED: Mapping[str, Callable[[Obj], Obj]] = {
    f"{_CORE}Probe": _probe,
    f"{_CORE}Container": _container,
    f"{_CORE}EphemeralContainer": _container,
    f"{_CORE}Volume": _volume,
    f"{_CORE}PodSpec": _pod_spec,
    f"{_CORE}Pod": _pod,
    f"{_CORE}ServicePort": _service_port,
    f"{_CORE}ServiceSpec": _service,
    f"{_CORE}NodeStatus": _node_status,
    f"{_APPS}DeploymentStrategy": _strategy,
    f"{_APPS}StatefulSetUpdateStrategy": _stateful_update,
    f"{_APPS}DaemonSetUpdateStrategy": _daemon_update,
    f"{_CORE}ReplicationController": _replication_controller,
    f"{_CORE}LimitRangeItem": _limit_range_item,
    f"{_BATCH}Job": _job,
    f"{_SCALING}v2.HorizontalPodAutoscalerSpec": _autoscaler,
    f"{_SCALING}v2.HorizontalPodAutoscalerBehavior": _behavior,
    f"{_NETWORK}NetworkPolicySpec": _network_policy,
    f"{_RBAC}Subject": _subject,
}
