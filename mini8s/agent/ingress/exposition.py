"""PURE: what this room counts, for Prometheus."""

from __future__ import annotations

from collections.abc import Mapping

from mini8s.agent.ingress.plan import Plan


def exposition(counters: Mapping[str, int], plan: Plan) -> str:
    rows = (
        ("mini8s_ingress_reloads_total", "counter", "New configurations of the proxy", counters["reloads"]),
        (
            "mini8s_ingress_changes_total",
            "counter",
            "Commands that changed endpoints of a running proxy",
            counters["changes"],
        ),
        (
            "mini8s_ingress_failures_total",
            "counter",
            "Rounds that the proxy could not follow",
            counters["failures"],
        ),
        ("mini8s_ingress_paths", "gauge", "Paths that are routed", len(plan.exact) + len(plan.prefixes)),
        ("mini8s_ingress_problems", "gauge", "What Ingresses want and can not have", len(plan.problems)),
    )
    return "".join(
        f"# HELP {name} {about}\n# TYPE {name} {kind}\n{name} {value}\n" for name, kind, about, value in rows
    )
