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

_CONTAINER: Mapping[str, Any] = {
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
    "resources": {},
}
_FILE_MODE: Mapping[str, Any] = {"defaultMode": 420}
_PORT: Mapping[str, Any] = {"protocol": "TCP"}

CONSTANT: Mapping[str, Mapping[str, Any]] = {
    f"{_CORE}PodSpec": {
        "restartPolicy": "Always",
        "dnsPolicy": "ClusterFirst",
        "terminationGracePeriodSeconds": 30,
        "schedulerName": "default-scheduler",
        "securityContext": {},
    },
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
    f"{_CORE}ServiceSpec": {"type": "ClusterIP", "sessionAffinity": "None"},
    f"{_CORE}ServicePort": _PORT,
    f"{_CORE}EndpointPort": _PORT,
    f"{_CORE}Secret": {"type": "Opaque"},
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
}
