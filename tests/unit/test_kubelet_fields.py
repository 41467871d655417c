"""agent/kubelet/FIELDS.md against the API's types and the code: nothing of a pod is left out in silence."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from fakes.node_agent import NodeAgent, container, pod

from mini8s.agent.kubelet.isolation.unsupported import UNSUPPORTED
from mini8s.objects.schema.load import raw_definitions

Obj = dict[str, Any]
ROOT = Path(__file__).parents[2] / "mini8s"
ROW = re.compile(r"\| `(\w+)\.(\w+)` \| (done|refused|not applicable|not yet) \| (.+) \|")
LISTED = [found.groups() for found in ROW.finditer((ROOT / "agent/kubelet/FIELDS.md").read_text())]
UNLISTED = {"Volume", "VolumeProjection"}  # refused because the code doesn't know them
OF_CONTAINERS = "EphemeralContainer"  # has all fields of a Container, and one more


def fields(kind: str) -> set[str]:
    return set(raw_definitions()[f"io.k8s.api.core.v1.{kind}"]["properties"])


def test_every_field_has_its_row() -> None:
    kinds = {kind for kind, *_ in LISTED}
    assert kinds >= {"PodSpec", "Container", "PodSecurityContext", "SecurityContext", "Probe", "Lifecycle"}
    for kind in kinds:
        found = fields(kind) - (fields("Container") if kind == OF_CONTAINERS else set())
        assert {field for name, field, *_ in LISTED if name == kind} == found
    assert len(LISTED) == len({row[:2] for row in LISTED})


@pytest.mark.parametrize(("kind", "field", "state", "where"), LISTED, ids=lambda word: word)
def test_the_row_is_true(kind: str, field: str, state: str, where: str) -> None:
    if state in {"not applicable", "not yet"}:
        assert len(where.split()) > 3
        return
    text = (ROOT / where.strip("`")).read_text()
    if state == "refused" and kind in UNLISTED:
        return
    assert field in text or field.removesuffix("Probe") in text
    if state == "refused":
        assert f"{kind}.{field}" in {one.field for one in UNSUPPORTED} or "volumeDevices" in field


REFUSED: dict[str, Obj] = {
    "PodSpec.hostUsers": pod(hostUsers=False),
    "PodSpec.resourceClaims": pod(resourceClaims=[{"name": "gpu"}]),
    "PodSpec.resources": pod(resources={"limits": {"cpu": "1"}}),
    "PodSecurityContext.supplementalGroupsPolicy": pod(
        securityContext={"supplementalGroupsPolicy": "Strict"}
    ),
    "PodSecurityContext.windowsOptions": pod(securityContext={"windowsOptions": {"hostProcess": True}}),
    "SecurityContext.windowsOptions": pod(
        "web", container("c", securityContext={"windowsOptions": {"hostProcess": True}})
    ),
    "ResourceRequirements.claims": pod("web", container("c", resources={"claims": [{"name": "gpu"}]})),
}


@pytest.mark.parametrize(
    ("kind", "field"), [row[:2] for row in LISTED if row[2] == "refused" and row[0] in UNLISTED]
)
def test_a_volume_that_is_refused_is_told_in_an_event(kind: str, field: str, tmp_path: Path) -> None:
    of_volume = {"name": "v", field: {}}
    of_projection = {"name": "v", "projected": {"sources": [{field: {"path": "x"}}]}}
    agent = NodeAgent(tmp_path)
    agent.create(pod(volumes=[of_volume if kind == "Volume" else of_projection]))
    assert agent.container()["state"]["waiting"] == {"reason": "ContainerCreating"}
    why = {
        "Volume": f"no volume plugin matched: {field} (",
        "VolumeProjection": f"a projected source {field} is",
    }
    setup = f'MountVolume.SetUp failed for volume "v" : {why[kind]}'
    assert {reason for _, _, reason, said in agent.events.said if said.startswith(setup)} == {"FailedMount"}
    assert not agent.runtime.count("create_container")


@pytest.mark.parametrize("field", [one.field for one in UNSUPPORTED])
def test_what_is_refused_is_said_in_the_status_and_in_an_event(field: str, tmp_path: Path) -> None:
    agent = NodeAgent(tmp_path)
    agent.create(REFUSED[field])
    why = next(one.why for one in UNSUPPORTED if one.field == field)
    assert agent.container()["state"]["waiting"] == {"reason": "CreateContainerConfigError", "message": why}
    assert f"Error: {why}" in [message for *_, message in agent.events.said]
    assert not agent.runtime.count("create_container")
