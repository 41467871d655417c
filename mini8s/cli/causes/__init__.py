"""Why something is as it is: each kind's own answer, from API data only.

A cause is one sentence and the causes behind it. What is asked of the cluster goes through `World`, so that
each answer is a function of what kubectl would show.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mini8s.cli.causes.base import Cause, World
from mini8s.cli.causes.claims import claim
from mini8s.cli.causes.nodes import node
from mini8s.cli.causes.pods import pod
from mini8s.cli.causes.services import service
from mini8s.cli.causes.workloads import daemon_set, deployment, job, replicas, stateful_set
from mini8s.objects import kinds
from mini8s.objects.kinds import Kind, Obj

ANSWERS: Mapping[Kind, Callable[[World, Obj], Cause]] = {
    kinds.PODS: pod,
    kinds.DEPLOYMENTS: deployment,
    kinds.REPLICASETS: replicas,
    kinds.REPLICATIONCONTROLLERS: replicas,
    kinds.STATEFULSETS: stateful_set,
    kinds.DAEMONSETS: daemon_set,
    kinds.JOBS: job,
    kinds.SERVICES: service,
    kinds.PERSISTENTVOLUMECLAIMS: claim,
    kinds.NODES: node,
}
