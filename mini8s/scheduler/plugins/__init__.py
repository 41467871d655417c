"""The plugins under kube-scheduler's names, in the order in which they are asked: cheap refusals first.

A filter or score of what a node *is* (labels, taints, images) is asked once per shape and node; one of what
is on it *now* after each change there. Surveys come after the filters. Numbers are the default weights.
"""

from __future__ import annotations

from mini8s.scheduler.base import Filter, Score, Survey
from mini8s.scheduler.plugins.balanced_allocation import balanced_allocation
from mini8s.scheduler.plugins.image_locality import image_locality
from mini8s.scheduler.plugins.node_affinity import node_affinity, preferred_node_affinity
from mini8s.scheduler.plugins.node_name import node_name
from mini8s.scheduler.plugins.node_ports import node_ports
from mini8s.scheduler.plugins.node_unschedulable import node_unschedulable
from mini8s.scheduler.plugins.pod_affinity import pod_affinity
from mini8s.scheduler.plugins.resources_fit import least_allocated, resources_fit
from mini8s.scheduler.plugins.spread import spread
from mini8s.scheduler.plugins.taint_toleration import prefer_untainted, taint_toleration
from mini8s.scheduler.plugins.topology_spread import topology_spread
from mini8s.scheduler.plugins.volume_binding import volume_binding, volume_restrictions
from mini8s.scheduler.plugins.volume_zone import volume_zone

FILTERS_AS_SUCH: dict[str, Filter] = {
    "NodeUnschedulable": node_unschedulable,
    "NodeName": node_name,
    "TaintToleration": taint_toleration,
    "NodeAffinity": node_affinity,
}
FILTERS_NOW: dict[str, Filter] = {
    "NodePorts": node_ports,
    "NodeResourcesFit": resources_fit,
    "VolumeRestrictions": volume_restrictions,
    "VolumeBinding": volume_binding,
    "VolumeZone": volume_zone,
}
SURVEYS: dict[str, tuple[Survey, int]] = {
    "PodTopologySpread": (topology_spread, 2),
    "InterPodAffinity": (pod_affinity, 2),
}
SCORES_AS_SUCH: dict[str, tuple[Score, int]] = {
    "TaintToleration": (prefer_untainted, 3),
    "NodeAffinity": (preferred_node_affinity, 2),
    "ImageLocality": (image_locality, 1),
}
SCORES_NOW: dict[str, tuple[Score, int]] = {
    "PodTopologySpread": (spread, 2),
    "NodeResourcesFit": (least_allocated, 1),
    "NodeResourcesBalancedAllocation": (balanced_allocation, 1),
}
