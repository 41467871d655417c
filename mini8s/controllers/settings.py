"""What the controllers' patience is made of, each with its unit and the reason for its default."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, tzinfo


@dataclass(frozen=True, slots=True)
class ControllerSettings:
    """Defaults are kube-controller-manager's unless the comment says why not."""

    node_grace_seconds: float = 40.0  # silence after which a node is lost; four missed heartbeats
    node_startup_grace_seconds: float = 60.0  # the same for a node that was never heard of
    orphan_grace_seconds: float = 40.0  # how long a pod may be bound to a node that is not there
    pod_gc_every_seconds: float = 20.0
    terminated_pod_threshold: int = (
        1000  # finished pods kept; upstream's 12,500 are too many for a small host
    )
    burst_replicas: int = 500  # pods a ReplicaSet creates or deletes in one round
    server_node: str = ""  # the node of the server's own agent, "" when it runs none
    api_node: str = ""  # the node whose address is the API's too; "" when the API has one of its own
    local_zone: tzinfo = UTC  # where a CronJob means its hours when it names no place: as cron, the host's
    endpoints_per_slice: int = 100
    service_load_balancers: bool = True  # whether Services of type LoadBalancer get addresses of hosts
    cluster_cidr: str = ""  # where pods' addresses are; nothing is said of strays when it is not known
    api_port: int = 0  # of the server, which no load balancer gets; 0 when it is not known
    root_ca: Callable[[], str] = str  # the cluster's CA as PEM, as it is now; nothing is published when empty
    certificate_seconds: int = 365 * 86400  # the longest that a certificate which somebody asks for may live
    resync_namespace_seconds: float = 2.0  # how often a terminating namespace is looked at again
