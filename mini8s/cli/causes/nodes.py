"""Why a node takes no pods."""

from __future__ import annotations

from mini8s.cli.causes.base import Cause, World, ended, title
from mini8s.objects import conditions, meta
from mini8s.objects.kinds import LEASES, Obj

PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")


def node(world: World, obj: Obj) -> Cause:
    about, ready = title(obj), conditions.get(obj, "Ready")
    if ready is None:
        return Cause(about, "it has registered and not reported yet")
    if ready["status"] == "Unknown":
        lease = world.get(LEASES, "kube-node-lease", meta.name(obj))
        since = ((lease or {}).get("spec") or {}).get("renewTime") or ready.get("lastHeartbeatTime") or "ever"
        return Cause(about, f"it is lost: its agent has said nothing since {since}")
    if ready["status"] != "True":
        return Cause(about, f"it is not ready: {ended(ready.get('message') or ready.get('reason') or '')}")
    for kind in PRESSURES:
        if conditions.is_true(obj, kind):
            message = (conditions.get(obj, kind) or {}).get("message") or kind
            return Cause(about, f"it is short of something ({kind}): {ended(message)}")
    if obj["spec"].get("unschedulable"):
        return Cause(about, "it is cordoned: it keeps its pods and takes no new ones")
    taints = [f"{one['key']}:{one['effect']}" for one in obj["spec"].get("taints") or ()]
    if taints:
        return Cause(about, f"it is ready, for pods that tolerate {', '.join(taints)}", well=True)
    return Cause(about, "it is ready", well=True)
