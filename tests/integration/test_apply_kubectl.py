"""Server-side apply as each kubectl on this machine does it: conflicts, force, diff, and the way there from
client-side apply."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from integration.test_api_kubectl import Kubectl, kubectl  # noqa: F401 (the fixture)

CONFIG = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: REPLICAS
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "web:1", ports: [{containerPort: 80}]}]}
"""


def config(replicas: int | None = 2) -> str:
    said = CONFIG.replace("REPLICAS", str(replicas))
    return said if replicas is not None else said.replace("  replicas: None\n", "")


def managers(kubectl: Kubectl) -> list[str]:  # noqa: F811
    found: Any = json.loads(kubectl("get", "deployment", "web", "-o", "json", "--show-managed-fields"))
    return [
        f"{entry['manager']} {entry['operation']} {entry.get('subresource', '')}".strip()
        for entry in found["metadata"]["managedFields"]
    ]


def test_apply_on_the_server(kubectl: Kubectl) -> None:  # noqa: F811
    applied = "deployment.apps/web serverside-applied\n"
    assert kubectl("apply", "--server-side", "-f", "-", stdin=config()) == applied
    assert kubectl("apply", "--server-side", "-f", "-", stdin=config()) == applied
    assert managers(kubectl) == ["kubectl Apply"]
    assert "managedFields" not in kubectl("get", "deployment", "web", "-o", "yaml")
    dry = kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", stdin=config(7))
    assert dry == "deployment.apps/web serverside-applied (server dry run)\n"
    changed = kubectl("diff", "--server-side", "-f", "-", stdin=config(7), fails=True)
    assert "-  replicas: 2\n+  replicas: 7\n" in changed
    assert kubectl("diff", "--server-side", "-f", "-", stdin=config()) == ""


def test_conflicts_and_force(kubectl: Kubectl) -> None:  # noqa: F811
    kubectl("apply", "--server-side", "-f", "-", stdin=config())
    kubectl("scale", "deployment/web", "--replicas=5")
    program = Path(kubectl.program).name  # scale says no manager, so it is the User-Agent's program
    assert managers(kubectl) == ["kubectl Apply", f"{program} Update scale"]
    told = kubectl("apply", "--server-side", "-f", "-", stdin=config(), fails=True)
    conflict = f'conflict with "{program}" with subresource "scale" using apps/v1 at 2'
    assert f"Apply failed with 1 conflict: {conflict}" in told
    assert ": .spec.replicas\n" in told
    assert "Please review the fields above--they currently have other managers" in told
    kubectl("apply", "--server-side", "-f", "-", stdin=config(None))
    assert json.loads(kubectl("get", "deployment", "web", "-o", "json"))["spec"]["replicas"] == 5
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=config())
    assert json.loads(kubectl("get", "deployment", "web", "-o", "json"))["spec"]["replicas"] == 2
    assert managers(kubectl) == ["kubectl Apply"]


def test_two_people(kubectl: Kubectl) -> None:  # noqa: F811
    kubectl("apply", "--server-side", "--field-manager=ann", "-f", "-", stdin=config())
    told = kubectl("apply", "--server-side", "--field-manager=bob", "-f", "-", stdin=config(3), fails=True)
    assert 'conflict with "ann": .spec.replicas' in told
    kubectl("apply", "--server-side", "--field-manager=bob", "-f", "-", stdin=config())
    assert managers(kubectl) == ["ann Apply", "bob Apply"]


def test_from_the_client_to_the_server(kubectl: Kubectl) -> None:  # noqa: F811
    kubectl("apply", "-f", "-", stdin=config())
    assert managers(kubectl) == ["kubectl-client-side-apply Update"]
    kubectl("apply", "--server-side", "-f", "-", stdin=config(4))
    found = json.loads(kubectl("get", "deployment", "web", "-o", "json"))
    assert found["spec"]["replicas"] == 4
    last = json.loads(found["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"])
    assert last["spec"]["replicas"] == 4
    assert set(managers(kubectl)) <= {"kubectl Apply", "kubectl-last-applied Apply"}
    kubectl("apply", "--server-side", "-f", "-", stdin=config(None))
    assert json.loads(kubectl("get", "deployment", "web", "-o", "json"))["spec"]["replicas"] == 1


def test_every_command_is_noted(kubectl: Kubectl) -> None:  # noqa: F811
    kubectl("create", "-f", "-", stdin=config())
    kubectl("label", "deployment", "web", "a=b")
    kubectl("set", "image", "deployment/web", "web=web:2")
    kubectl("patch", "deployment", "web", "--type=merge", "-p", '{"spec":{"paused":true}}')
    assert sorted(managers(kubectl)) == [
        "kubectl-create Update",
        "kubectl-label Update",
        "kubectl-patch Update",
        "kubectl-set Update",
    ]
    reset = '[{"op":"replace","path":"/metadata/managedFields","value":[{}]}]'
    kubectl("patch", "deployment", "web", "--type=json", "-p", reset)
    found = json.loads(kubectl("get", "deployment", "web", "-o", "json", "--show-managed-fields"))
    assert "managedFields" not in found["metadata"]
