"""Every kind in the table through kubectl, so that a new one is seen here before it has a transcript."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path

import kubectls
import pytest
from fakes.examples import EXAMPLES
from integration.kubectl import Kubectl, running

from mini8s.objects.kinds import EVENTS, EVENTS_V1, KINDS, Kind, Obj

SHOWN = [kind for kind in KINDS if kind.kept and kind.storage is None]


@pytest.fixture(params=kubectls.installed()[-1:], ids=str)
def kubectl(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kubectl]:
    with running(request.param, tmp_path) as found:
        yield found


def manifest(kind: Kind) -> Obj:
    obj = {"apiVersion": kind.api_version, "kind": kind.kind, **deepcopy(EXAMPLES[kind])}
    if kind in {EVENTS, EVENTS_V1}:
        obj["eventTime"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if kind is EVENTS:  # what one with an eventTime must say
        obj |= {
            "reportingComponent": "x.io/y",
            "reportingInstance": "y",
            "action": "Look",
            "reason": "Looked",
        }
    return obj


def versions(kubectl: Kubectl) -> list[str]:
    words = ",".join(kind.resource for kind in SHOWN)
    path = "{range .items[*]}{.kind}/{.metadata.name} {.metadata.resourceVersion}{'\\n'}{end}"
    return sorted(kubectl("get", words, "-A", "-o", f"jsonpath={path}").splitlines())


def test_every_kind(kubectl: Kubectl) -> None:
    listed = {line.split()[0] for line in kubectl("api-resources", "--no-headers").splitlines()}
    assert listed == {kind.plural for kind in KINDS}
    words = ",".join(kind.resource for kind in SHOWN)
    first = kubectl("get", words, "-A", "-o", "name").split()  # a namespace, and the roles of every cluster
    objects = [manifest(kind) for kind in SHOWN]
    everything = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    assert kubectl("apply", "-f", "-", stdin=everything).count("created") == len(SHOWN)
    before = versions(kubectl)
    kubectl("apply", "-f", "-", stdin=everything)
    assert versions(kubectl) == before  # whatever kubectl calls it, nothing has changed
    assert len(kubectl("get", words, "-o", "wide").strip().split("\n\n")) == len(SHOWN)
    found = json.loads(kubectl("get", words, "-o", "json"))["items"]
    assert {item["kind"] for item in found} == {kind.kind for kind in SHOWN}
    described = kubectl("describe", words)
    assert len(re.findall(r"^Name: +x$", described, re.MULTILINE)) >= len(SHOWN)
    kubectl("delete", "-f", "-", "--wait=false", stdin=everything)
    left = set(kubectl("get", words, "-A", "-o", "name").split())
    kept = {"namespace/x", "persistentvolume/x", "persistentvolumeclaim/x"}
    assert left == {*first, *kept}  # nobody ends a namespace here, nor takes finalizers off volumes
