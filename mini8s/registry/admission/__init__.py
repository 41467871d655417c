"""What the cluster has to say to a change before its kind is asked: one ordered table.

A plugin may fill in fields of the new object and may raise; it sees the object after its defaults and before
its rules. A new plugin is a file here and a line in ADMISSION. The order is upstream's: who fills in comes
before who judges what was filled in, and quotas count what all others let through.
"""

from __future__ import annotations

from collections.abc import Callable

from mini8s.registry.admission.accounts import service_account
from mini8s.registry.admission.attempt import Attempt
from mini8s.registry.admission.certificates import (
    certificate_approval,
    certificate_requester,
    certificate_signing,
    certificate_subject,
    certificate_times,
)
from mini8s.registry.admission.classes import (
    default_ingress_class,
    default_storage_class,
    only_default_priority,
    priority,
)
from mini8s.registry.admission.grants import no_escalation
from mini8s.registry.admission.limits import limit_ranger
from mini8s.registry.admission.namespaces import IMMORTAL, namespace_lifecycle
from mini8s.registry.admission.node_restriction import node_restriction
from mini8s.registry.admission.owners import owner_references_permission
from mini8s.registry.admission.quota import Turns, counts, resource_quota
from mini8s.registry.admission.runtime_classes import runtime_class
from mini8s.registry.admission.security import pod_security_standard
from mini8s.registry.admission.storage import claim_resize, storage_protection
from mini8s.registry.admission.tolerations import default_toleration_seconds

__all__ = ["ADMISSION", "IMMORTAL", "Attempt", "Turns", "admit", "counts"]

ADMISSION: tuple[Callable[[Attempt], None], ...] = (
    namespace_lifecycle,
    limit_ranger,
    service_account,
    node_restriction,
    pod_security_standard,
    priority,
    only_default_priority,
    default_toleration_seconds,
    default_storage_class,
    storage_protection,
    claim_resize,
    default_ingress_class,
    runtime_class,
    certificate_requester,
    certificate_approval,
    certificate_signing,
    certificate_subject,
    certificate_times,
    owner_references_permission,
    no_escalation,
    resource_quota,
)


def admit(attempt: Attempt) -> None:
    for plugin in ADMISSION:
        plugin(attempt)
