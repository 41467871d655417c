"""Which labels a node may give itself: not those by which others decide what it may be trusted with
(KEP-279; upstream's `kubeletapis.IsKubeletLabel` and NodeRestriction)."""

from __future__ import annotations

from collections.abc import Iterable

RESTRICTED = "node-restriction.kubernetes.io"
ALLOWED_PREFIXES = ("kubelet.kubernetes.io", "node.kubernetes.io")
ALLOWED = frozenset({
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/instance-type",
    "beta.kubernetes.io/os",
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "kubernetes.io/arch",
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "node.kubernetes.io/instance-type",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
})  # fmt: skip


def forbidden(keys: Iterable[str]) -> list[str]:
    """Those of the keys that a node may neither give itself nor change."""
    return sorted(key for key in keys if not _is_a_nodes(key))


def _is_a_nodes(key: str) -> bool:
    space = key.rpartition("/")[0]
    if _within(space, RESTRICTED):
        return False
    kubernetes = _within(space, "kubernetes.io") or _within(space, "k8s.io")
    return not kubernetes or key in ALLOWED or any(_within(space, prefix) for prefix in ALLOWED_PREFIXES)


def _within(space: str, domain: str) -> bool:
    return space == domain or space.endswith(f".{domain}")
