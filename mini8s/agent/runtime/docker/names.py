"""How a pod's identity is written on its containers, and read back: the agent's only memory of what runs."""

from __future__ import annotations

from mini8s.agent.runtime.specs import ContainerSpec, SandboxSpec

UID = "mini8s.io/pod-uid"
NAMESPACE = "mini8s.io/pod-namespace"
POD = "mini8s.io/pod-name"
CONTAINER = "mini8s.io/container"
ATTEMPT = "mini8s.io/attempt"
ROLE = "mini8s.io/role"  # sandbox | container
SANDBOX = "mini8s.io/sandbox-id"

SANDBOX_NAME = "POD"  # no container can be called so: names are lower case


def container_name(container: str, pod: str, namespace: str, uid: str, attempt: int) -> str:
    """`m8s_web_hello-5d9_default_UID_0`: the engine refuses a second one, so nothing is started twice."""
    return f"m8s_{container}_{pod}_{namespace}_{uid}_{attempt}"


def name_of_sandbox(spec: SandboxSpec) -> str:
    return container_name(SANDBOX_NAME, spec.pod, spec.namespace, spec.uid, spec.attempt)


def name_of_container(spec: ContainerSpec) -> str:
    return container_name(spec.name, spec.pod, spec.namespace, spec.uid, spec.attempt)


def sandbox_labels(spec: SandboxSpec) -> dict[str, str]:
    return {**spec.labels, ROLE: "sandbox", **_identity(spec.namespace, spec.pod, spec.uid, spec.attempt)}


def container_labels(sandbox_id: str, spec: ContainerSpec) -> dict[str, str]:
    return {
        **spec.labels,
        ROLE: "container",
        CONTAINER: spec.name,
        SANDBOX: sandbox_id,
        **_identity(spec.namespace, spec.pod, spec.uid, spec.attempt),
    }


def _identity(namespace: str, pod: str, uid: str, attempt: int) -> dict[str, str]:
    return {NAMESPACE: namespace, POD: pod, UID: uid, ATTEMPT: str(attempt)}
