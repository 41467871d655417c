"""The controllers on a fake API, driven by hand: no threads of their own, no waiting, a clock to step."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mini8s.client.informer import Informers
from mini8s.controllers import manager
from mini8s.controllers.base import Context, Controller
from mini8s.controllers.executor import Authority, Executor, no_authority
from mini8s.controllers.runner import Runner
from mini8s.controllers.settings import ControllerSettings
from mini8s.objects import meta
from mini8s.objects.kinds import (
    DAEMONSETS,
    DEPLOYMENTS,
    NAMESPACES,
    NODES,
    PODS,
    REPLICASETS,
    SERVICES,
    STATEFULSETS,
    Kind,
    Obj,
)
from mini8s.objects.time import format_time
from mini8s.util.clock import FakeClock
from mini8s.util.workers import Stop
from tests.fakes.api import FakeApi, FakeEvents

NAMESPACE = "default"


class World:
    """`settle` runs everything until no queue holds a key; `step` lets time pass first."""

    def __init__(
        self,
        controllers: Sequence[Callable[[Context], Controller]] = manager.CONTROLLERS,
        settings: ControllerSettings | None = None,
        *,
        after: World | None = None,
        authority: Authority = no_authority,
    ) -> None:
        """`after`: the controllers start anew; all that they know is what that one has stored."""
        self.clock = after.clock if after else FakeClock()
        self.api = after.api if after else FakeApi(self.clock.now, endless=False)
        self.events = FakeEvents()
        self.informers = Informers(self.api, Stop())
        self.settings = settings or ControllerSettings()
        self.context = Context(self.api, self.informers, self.clock, self.settings)
        self.executor = Executor(self.api, self.events, authority=authority)
        self.runners = [
            Runner(make(self.context), self.context, self.executor, Stop()) for make in controllers
        ]
        if not after:
            self.api.create(NAMESPACES, {"metadata": {"name": NAMESPACE}})

    def close(self) -> None:
        """Nothing is left that watches."""
        assert self.informers.close()

    def observe(self) -> None:
        """Bring the caches up to date."""
        for informer in self.informers._informers.values():
            informer.step()

    def settle(self, rounds: int = 200) -> None:
        self.observe()
        for _ in range(rounds):
            drained = [self._drain(runner) for runner in self.runners]
            if not any(drained):
                return
            self.observe()
        waiting = {runner.name: len(runner.queue) for runner in self.runners if len(runner.queue)}
        raise AssertionError(f"not settled: {waiting}")

    def step(self, seconds: float) -> None:
        self.clock.step(seconds)
        self.settle()

    def _drain(self, runner: Runner) -> bool:
        keys = len(runner.queue)
        for _ in range(keys):
            runner.step(0)
        return keys > 0

    # ---- what a test reads and does

    def all(self, kind: Kind) -> list[Obj]:
        return list(self.api.list(kind).items)

    def get(self, kind: Kind, name: str) -> Obj:
        return self.api.get(kind, NAMESPACE if kind.namespaced else "", name)

    def names(self, kind: Kind) -> list[str]:
        return [meta.name(obj) for obj in self.all(kind)]

    def writes(self) -> list[str]:
        """What was written since the last call, shortly."""
        said = [
            f"{call.verb} {call.kind.plural} {call.name} {call.subresource}".strip()
            for call in self.api.calls
        ]
        self.api.calls.clear()
        return said

    def told(self) -> list[str]:
        """Reason and message of the events since the last call."""
        said = [f"{reason}: {message}" for _, _, reason, message in self.events.said]
        self.events.said.clear()
        return said

    def run_pods(self, *, ready: bool = True, node: str = "n1", only: Callable[[Obj], bool] = bool) -> None:
        """What scheduler and kubelet would do for all pods: place them, run them, finish the deleted."""
        for pod in filter(only, self.all(PODS)):
            if meta.deleting(pod):
                self.api.delete(PODS, NAMESPACE, meta.name(pod), grace_seconds=0)
                continue
            if not pod["spec"].get("nodeName"):
                self.api.bind(NAMESPACE, meta.name(pod), node)
            self.set_ready(meta.name(pod), ready)

    def set_ready(self, name: str, ready: bool, ip: str = "") -> None:
        pod = self.get(PODS, name)
        state = "True" if ready else "False"
        old = (pod.get("status") or {}).get("conditions") or [{}]
        if old[0].get("status") == state:
            return
        condition = {"type": "Ready", "status": state, "lastTransitionTime": format_time(self.clock.now())}
        number = int(meta.uid(pod).removeprefix("uid-"))
        status = {
            "phase": "Running",
            "podIP": ip or f"10.42.{number // 250}.{number % 250 + 1}",
            "conditions": [condition],
        }
        self.api.patch_status(PODS, NAMESPACE, name, {"status": status})


def template(image: str = "web:v1", **labels: str) -> Obj:
    return {
        "metadata": {"labels": labels or {"app": "web"}},
        "spec": {"containers": [{"name": "c", "image": image}], "terminationGracePeriodSeconds": 30},
    }


def replica_set(name: str = "web", replicas: int = 3, **spec: object) -> Obj:
    return {
        "apiVersion": REPLICASETS.api_version,
        "kind": REPLICASETS.kind,
        "metadata": {"namespace": NAMESPACE, "name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template(),
            **spec,
        },
    }


def deployment(name: str = "web", replicas: int = 3, **spec: object) -> Obj:
    return {
        "apiVersion": DEPLOYMENTS.api_version,
        "kind": DEPLOYMENTS.kind,
        "metadata": {"namespace": NAMESPACE, "name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template(),
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
            },
            "revisionHistoryLimit": 10,
            "progressDeadlineSeconds": 600,
            **spec,
        },
    }


def _workload(kind: Kind, name: str, spec: Obj) -> Obj:
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {"namespace": NAMESPACE, "name": name},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template(), **spec},
    }


def stateful_set(name: str = "web", replicas: int = 3, **spec: object) -> Obj:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
    known = {"replicas": replicas, "serviceName": name, "updateStrategy": rolling, "revisionHistoryLimit": 10}
    return _workload(STATEFULSETS, name, known | spec)


def daemon_set(name: str = "web", **spec: object) -> Obj:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    return _workload(DAEMONSETS, name, {"updateStrategy": rolling, "revisionHistoryLimit": 10} | spec)


def pod(name: str, *, node: str = "", labels: dict[str, str] | None = None, **spec: object) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": NAMESPACE, "name": name, "labels": labels or {}},
        "spec": {
            "containers": [{"name": "c", "image": "i"}],
            **({"nodeName": node} if node else {}),
            **spec,
        },
    }


def service(name: str = "web", **spec: object) -> Obj:
    return {
        "apiVersion": SERVICES.api_version,
        "kind": SERVICES.kind,
        "metadata": {"namespace": NAMESPACE, "name": name},
        "spec": {
            "clusterIP": "10.43.0.9",
            "selector": {"app": "web"},
            "ports": [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}],
            **spec,
        },
    }


def node(name: str, ready: str = "True", **spec: object) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": NODES.kind,
        "metadata": {"name": name},
        "spec": dict(spec),
        "status": {"conditions": [{"type": "Ready", "status": ready, "reason": "KubeletReady"}]},
    }
