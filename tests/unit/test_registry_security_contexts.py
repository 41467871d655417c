"""Security contexts that can't be: what is said of them, and of which field."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.cluster import Cluster, pod

from mini8s.objects.errors import Invalid
from mini8s.objects.kinds import PODS

Obj = dict[str, Any]
POD, MAIN = "spec.securityContext", "spec.containers[0].securityContext"


def whole(context: Obj | None = None, container: Obj | None = None, **spec: Any) -> Obj:
    made = pod(**spec)
    made["spec"]["securityContext"] = context or {}
    made["spec"]["containers"][0]["securityContext"] = container or {}
    return made


@pytest.mark.parametrize(
    ("wanted", "field", "said"),
    [
        (whole({"runAsUser": -1}), f"{POD}.runAsUser", "must be between 0 and 2147483647, inclusive"),
        (whole({"fsGroup": 2**31}), f"{POD}.fsGroup", "must be between 0 and 2147483647, inclusive"),
        (whole({"supplementalGroups": [1, -2]}), f"{POD}.supplementalGroups[1]", "must be between 0 and"),
        (whole({"fsGroupChangePolicy": "Never"}), f"{POD}.fsGroupChangePolicy", "supported values"),
        (whole({"supplementalGroupsPolicy": "x"}), f"{POD}.supplementalGroupsPolicy", "supported values"),
        (whole({"sysctls": [{"name": "a b", "value": "1"}]}), f"{POD}.sysctls[0].name", "match regex"),
        (
            whole({"sysctls": [{"name": "net.x", "value": "1"}, {"name": "net/x", "value": "1"}]}),
            f"{POD}.sysctls[1].name",
            "Duplicate value",
        ),
        (
            whole({"sysctls": [{"name": "net.x", "value": "1"}]}, hostNetwork=True),
            f"{POD}.sysctls[0].name",
            "may not be specified when 'hostNetwork' is true",
        ),
        (
            whole({"sysctls": [{"name": "kernel.sem", "value": "1"}]}, hostIPC=True),
            f"{POD}.sysctls[0].name",
            "may not be specified when 'hostIPC' is true",
        ),
        (
            whole(hostPID=True, shareProcessNamespace=True),
            f"{POD}.shareProcessNamespace",
            "ShareProcessNamespace and HostPID cannot both be enabled",
        ),
        (whole({}, {"procMount": "x"}), f"{MAIN}.procMount", "supported values"),
        (whole({}, {"seccompProfile": {}}), f"{MAIN}.seccompProfile.type", "type is required when"),
        (
            whole({"seccompProfile": {"type": "Localhost"}}),
            f"{POD}.seccompProfile.localhostProfile",
            "must be set when seccomp type is Localhost",
        ),
        (
            whole({"seccompProfile": {"type": "Localhost", "localhostProfile": "../p"}}),
            f"{POD}.seccompProfile.localhostProfile",
            "must not contain '..'",
        ),
        (
            whole({"seccompProfile": {"type": "Unconfined", "localhostProfile": "p"}}),
            f"{POD}.seccompProfile.localhostProfile",
            "can only be set when seccomp type is Localhost",
        ),
        (
            whole({}, {"appArmorProfile": {"type": "Localhost", "localhostProfile": " p"}}),
            f"{MAIN}.appArmorProfile.localhostProfile",
            "must not be padded with whitespace",
        ),
        (
            whole({}, {"privileged": True, "allowPrivilegeEscalation": False}),
            MAIN,
            "cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
        ),
        (
            whole({}, {"capabilities": {"add": ["CAP_SYS_ADMIN"]}, "allowPrivilegeEscalation": False}),
            MAIN,
            "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN",
        ),
        (whole(os={"name": "plan9"}), "spec.os.name", "supported values"),
        (whole(readinessGates=[{"conditionType": "a/b/c"}]), "spec.readinessGates[0].conditionType", "/"),
    ],
)
def test_refused(wanted: Obj, field: str, said: str) -> None:
    with pytest.raises(Invalid) as refused:
        Cluster().create(PODS, wanted)
    assert [cause.field for cause in refused.value.causes] == [field]
    assert said in refused.value.causes[0].message


def test_taken() -> None:
    wanted = whole(
        {
            "runAsUser": 0,
            "fsGroup": 2**31 - 1,
            "sysctls": [{"name": "net.ipv4.ip_forward", "value": "1"}, {"name": "kernel.sem", "value": "1"}],
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        {"seccompProfile": {"type": "Localhost", "localhostProfile": "a/p.json"}, "procMount": "Unmasked"},
    )
    Cluster().create(PODS, wanted)
