"""The plugins in the order in which they are asked: cheap refusals first, then scores with their weights."""

from __future__ import annotations

from mini8s.scheduler.base import Filter, Score, Survey
from mini8s.scheduler.plugins.least_allocated import least_allocated
from mini8s.scheduler.plugins.node_affinity import node_affinity, preferred_node_affinity
from mini8s.scheduler.plugins.node_name import node_name
from mini8s.scheduler.plugins.node_ports import node_ports
from mini8s.scheduler.plugins.node_unschedulable import node_unschedulable
from mini8s.scheduler.plugins.pod_affinity import pod_affinity
from mini8s.scheduler.plugins.resources_fit import resources_fit
from mini8s.scheduler.plugins.spread import spread
from mini8s.scheduler.plugins.taint_toleration import prefer_untainted, taint_toleration
from mini8s.scheduler.plugins.topology_spread import topology_spread
from mini8s.scheduler.plugins.volume_binding import volume_binding, volume_restrictions

FILTERS: tuple[Filter, ...] = (
    node_unschedulable,
    node_name,
    taint_toleration,
    node_affinity,
    node_ports,
    resources_fit,
    volume_restrictions,
    volume_binding,
)

SURVEYS: tuple[tuple[Survey, int], ...] = ((topology_spread, 2), (pod_affinity, 2))  # after the filters

SCORES: tuple[tuple[Score, int], ...] = (
    (prefer_untainted, 3),
    (preferred_node_affinity, 2),
    (spread, 2),
    (least_allocated, 1),
)
