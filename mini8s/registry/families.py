"""Which IP families a Service has (KEP-563, `alloc.go: initIPFamilyFields`). PURE.

A policy says how many a Service wants, the cluster how many there are. A headless Service without a selector
may have any: its endpoints are made by somebody else, who may know more than the cluster.
"""

from __future__ import annotations

from collections.abc import Sequence

from mini8s.objects import ip
from mini8s.objects.ip import FAMILIES
from mini8s.objects.kinds import Obj
from mini8s.registry.problems import Causes, duplicate, invalid, not_supported
from mini8s.registry.rules import values

PARTS = ("ipFamilyPolicy", "ipFamilies", "clusterIPs")
SINGLE, PREFER, REQUIRE = POLICIES = "SingleStack", "PreferDualStack", "RequireDualStack"


def check(spec: Obj) -> Causes:
    """What is wrong whatever the cluster has (`ValidateServiceClusterIPsRelatedFields`)."""
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


def check_addresses(spec: Obj) -> Causes:
    """What is wrong with the addresses that a Service asks for: at most one of each family, in the order of
    its families."""
    listed, families = spec.get("clusterIPs") or [], spec.get("ipFamilies") or []
    if len(listed) > 2:
        yield invalid("spec.clusterIPs", listed, "may only hold up to 2 values")
    if len(listed) > 1 and "None" in listed:
        yield invalid("spec.clusterIPs", listed, "'None' must be the first and only value")
        return
    for index, one in enumerate(listed if listed != ["None"] else ()):
        field, family = f"spec.clusterIPs[{index}]", ip.family_of_address(one)
        if not family:
            yield invalid(field, one, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")
        elif index < len(families) and families[index] in FAMILIES and family != families[index]:
            why = f"expected an {families[index]} value as indicated by `ipFamilies[{index}]`"
            yield invalid(field, one, why)
    if len(listed) == 2 and len({ip.family_of_address(one) for one in listed}) == 1:
        yield invalid("spec.clusterIPs", listed, "may specify no more than one IP for each IP family")


def settle(spec: Obj, configured: Sequence[str], was: Obj | None = None) -> Causes:
    """Fill in what was left open by the families that the cluster has; what is asked for that it lacks. Who
    prefers two and has one (`was` so before) gets the other when something of that is changed, and not
    because the cluster has another by now."""
    if was and was.get("ipFamilyPolicy") == PREFER and all(spec.get(one) == was.get(one) for one in PARTS):
        return
    open_ended = spec.get("clusterIP") == "None" and not spec.get("selector")
    policy = spec.get("ipFamilyPolicy") or (REQUIRE if open_ended else SINGLE)
    families = list(spec.get("ipFamilies") or ())
    asked = [ip.family_of_address(one) for one in spec.get("clusterIPs") or () if one != "None"]
    families += asked[len(families) :]
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


def check_update(spec: Obj, was: Obj) -> Causes:
    """What a Service has first stays; its second address may come, and goes only when SingleStack says so
    (`validateUpgradeDowngradeClusterIPs`, `validateUpgradeDowngradeIPFamilies`). A second family that is just
    not said any more is filled in again."""
    for part in ("clusterIPs", "ipFamilies"):
        now = spec.get(part) or []
        for index, (new, old) in enumerate(zip(now, was.get(part) or [], strict=False)):
            if new != old:
                yield invalid(f"spec.{part}[{index}]", now, "may not change once set")
    policy, now = spec.get("ipFamilyPolicy"), spec.get("clusterIPs") or []
    if len(was.get("clusterIPs") or []) > 1 and len(now) == 1 and policy != SINGLE:
        why = "must be set to 'SingleStack' when releasing the secondary clusterIP"
        yield invalid("spec.ipFamilyPolicy", policy, why)
