"""How this node keeps pods apart: its policy, completed by what its engine says of itself, and the control
groups that hold pods to it."""

from __future__ import annotations

import threading

from mini8s.agent.kubelet.isolation.admission import Rejection, rejection
from mini8s.agent.kubelet.isolation.cgroup_tree import CgroupTree
from mini8s.agent.kubelet.isolation.pod_cgroup import parent, pod_cgroup
from mini8s.agent.kubelet.isolation.policy import Policy
from mini8s.agent.runtime.base import Runtime
from mini8s.objects.kinds import Obj


class Isolation:
    """The engine is asked once: a driver is not changed under containers that run. Every call may raise
    EngineDown until it has answered."""

    def __init__(self, runtime: Runtime, settings: Policy, groups: CgroupTree) -> None:
        self._runtime = runtime
        self._settings = settings
        self._groups = groups
        self._lock = threading.Lock()  # guards the one below
        self._complete: Policy | None = None

    @property
    def policy(self) -> Policy:
        with self._lock:
            if self._complete is None:
                self._complete = self._settings.with_engine(self._runtime.info())
            return self._complete

    def rejects(self, pod: Obj) -> Rejection | None:
        return rejection(pod, self.policy)

    def hold(self, pod: Obj) -> None:
        """Make the pod's group, with its limits as they are wanted now."""
        self._groups.ensure(pod_cgroup(pod, self.policy), self.policy)

    def release(self, uid: str) -> None:
        """Nothing of the pod runs any more."""
        self._groups.remove(parent(uid, self.policy), self.policy)
