"""PURE: what the resolver counts, for Prometheus."""

from __future__ import annotations

from collections.abc import Mapping

# metric, type, what HELP says, the counter
_COUNTED = (
    ("mini8s_dns_queries_total", "Queries that came as datagrams", "queries"),
    ("mini8s_dns_queries_tcp_total", "Queries that came over TCP", "queries_tcp"),
    ("mini8s_dns_slow_total", "Datagrams whose answer was not ready", "slow"),
    ("mini8s_dns_malformed_total", "Queries that could not be read", "malformed"),
    ("mini8s_dns_refused_total", "Queries left alone because too many waited", "refused"),
    ("mini8s_dns_forwarded_total", "Questions asked of other servers", "forwarded"),
    ("mini8s_dns_cached_total", "Questions answered with what other servers had said before", "cached"),
    ("mini8s_dns_upstream_failures_total", "Other servers that failed or stayed silent", "upstream_failures"),
    ("mini8s_dns_circles_total", "Own questions that other servers sent back here", "circles"),
)


def exposition(counters: Mapping[str, float], owners: int, *, synced: bool) -> str:
    """`owners`: Services, nodes and such that have names."""
    lines = [
        line
        for name, about, key in _COUNTED
        for line in (f"# HELP {name} {about}", f"# TYPE {name} counter", f"{name} {counters.get(key, 0):g}")
    ]
    lines += (
        "# HELP mini8s_dns_owners Services, nodes and such that have names",
        "# TYPE mini8s_dns_owners gauge",
    )
    lines += (f"mini8s_dns_owners {owners}", "# HELP mini8s_dns_synced Whether the picture is complete")
    lines += ("# TYPE mini8s_dns_synced gauge", f"mini8s_dns_synced {synced:d}")
    return "\n".join((*lines, ""))
