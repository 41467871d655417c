"""Which IP families a Service has (KEP-563, `alloc.go: initIPFamilyFields`). PURE.

A policy says how many a Service wants, the cluster how many there are. A headless Service without a selector
may have any: its endpoints are made by somebody else, who may know more than the cluster.
"""

from __future__ import annotations

from collections.abc import Sequence

from mini8s.objects.kinds import Obj
from mini8s.registry.problems import Causes, duplicate, invalid, not_supported
from mini8s.registry.rules import values

SINGLE, PREFER, REQUIRE = POLICIES = "SingleStack", "PreferDualStack", "RequireDualStack"
FAMILIES = ("IPv4", "IPv6")


def check(spec: Obj) -> Causes:
    """What is wrong whatever the cluster has."""
    families, policy = spec.get("ipFamilies") or [], spec.get("ipFamilyPolicy")
    yield from values.one_of(spec, "ipFamilyPolicy", "spec", POLICIES)
    for index, family in enumerate(families):
        field = f"spec.ipFamilies[{index}]"
        if family not in FAMILIES:
            yield not_supported(field, family, FAMILIES)
        elif family in families[:index]:
            yield duplicate(field, family)
    if (policy or SINGLE) == SINGLE:
        for part, word in (("clusterIPs", "cluster IPs"), ("ipFamilies", "IP families")):
            if len(spec.get(part) or ()) > 1:
                why = f"must be 'RequireDualStack' or 'PreferDualStack' when multiple {word} are specified"
                yield invalid("spec.ipFamilyPolicy", policy, why)


def settle(spec: Obj, configured: Sequence[str]) -> Causes:
    """Fill in what was left open by the families that the cluster has; what is asked for that it lacks."""
    open_ended = spec.get("clusterIP") == "None" and not spec.get("selector")
    policy = spec.get("ipFamilyPolicy") or (REQUIRE if open_ended else SINGLE)
    families = list(spec.get("ipFamilies") or ())
    if not open_ended:
        if policy == REQUIRE and len(configured) < 2:
            yield invalid(
                "spec.ipFamilyPolicy", policy, "this cluster is not configured for dual-stack services"
            )
        for index, family in enumerate(families):
            if family not in configured:
                yield invalid(f"spec.ipFamilies[{index}]", family, "not configured on this cluster")
    families = families or [configured[0]]
    if policy != SINGLE and len(families) == 1 and (open_ended or len(configured) > 1):
        families += [family for family in FAMILIES if family not in families]
    spec["ipFamilyPolicy"], spec["ipFamilies"] = policy, families


def keep(spec: Obj, was: Obj) -> None:
    """An update that is silent leaves them; one that only says SingleStack gives the second family up."""
    for part in ("ipFamilyPolicy", "ipFamilies"):
        if was.get(part) and not spec.get(part):
            spec[part] = was[part]
    down = spec.get("ipFamilyPolicy") == SINGLE and was.get("ipFamilyPolicy") in {PREFER, REQUIRE}
    for part in ("ipFamilies", "clusterIPs") if down else ():
        if len(spec.get(part) or ()) > 1 and spec[part] == was.get(part):
            spec[part] = spec[part][:1]
