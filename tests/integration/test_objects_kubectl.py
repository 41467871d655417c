"""kubectl as the oracle of strategic merge: `kubectl patch --local` computes the same merges by itself."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import kubectls
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mini8s.objects import schema
from mini8s.objects.errors import ApiError
from mini8s.objects.kinds import DEPLOYMENTS, PODS
from mini8s.objects.patch import json_patch, merge_patch, strategic_merge

CASES = json.loads(Path(__file__).parent.parent.joinpath("cases/strategic.json").read_text())
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "finalizers": ["a/b", "c/d"], "labels": {"a": "b"}},
    "spec": {
        "nodeSelector": {"a": "1"},
        "tolerations": [{"key": "a"}],
        "volumes": [{"name": "v", "emptyDir": {}}, {"name": "w", "emptyDir": {}}],
        "containers": [
            {
                "name": "a",
                "image": "1",
                "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}],
                "ports": [{"containerPort": 80, "protocol": "TCP"}],
            },
            {"name": "b", "image": "2"},
            {"name": "c", "image": "3"},
        ],
    },
}

ORACLE = kubectls.installed()[-1:]
pytestmark = pytest.mark.skipif(not ORACLE, reason="kubectl is not installed")


def kubectl(folder: Path, doc, patch, type: str = "strategic"):
    """The merged object, or None where kubectl refuses."""
    path = folder / "doc.json"
    path.write_text(json.dumps(doc))
    command = [
        ORACLE[0].program,
        "patch",
        "--local",
        "-f",
        str(path),
        "-o",
        "json",
        "--type",
        type,
        "-p",
        json.dumps(patch),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else None


def ours(merge, *arguments):
    try:
        return merge(*arguments)
    except ApiError:
        return None


def told(value):
    """Without what Go's typed values add or leave out: zeros, and directives that were not used up."""
    if isinstance(value, dict):
        kept = {key: told(item) for key, item in value.items() if not key.startswith("$")}
        return {key: item for key, item in kept.items() if item not in (None, "", {}, [])}
    return [told(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["says"])
def test_strategic_merge(case, tmp_path):
    if ORACLE[0].minor < case.get("since", 0):
        pytest.skip(f"kubectl {ORACLE[0]} has a defect here that 1.{case['since']} mended")
    patch = {"spec": case["patch"]}
    assert told(ours(strategic_merge, POD, patch, schema.of(PODS))) == told(kubectl(tmp_path, POD, patch))


@pytest.mark.parametrize(
    "patch",
    [
        {"metadata": {"finalizers": ["x/y", "a/b"]}},
        {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a/b"]}},
        {
            "metadata": {
                "$deleteFromPrimitiveList/finalizers": ["a/b"],
                "$setElementOrder/finalizers": ["z/z", "c/d"],
                "finalizers": ["z/z"],
            }
        },
        {"metadata": {"finalizers": None, "labels": {"a": None, "c": "d"}}},
        {"$patch": "replace", "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "q"}},
    ],
)
def test_strategic_merge_of_primitives_and_roots(patch, tmp_path):
    assert told(ours(strategic_merge, POD, patch, schema.of(PODS))) == told(kubectl(tmp_path, POD, patch))


def test_strategic_merge_retains_the_keys_of_a_strategy(tmp_path):
    doc = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d"},
        "spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}},
    }
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    merged = strategic_merge(doc, patch, schema.of(DEPLOYMENTS))
    assert merged["spec"]["strategy"] == {"type": "Recreate"}
    assert told(kubectl(tmp_path, doc, patch))["spec"]["strategy"] == {"type": "Recreate"}


NAMES = st.sampled_from("abcd")


@st.composite
def container_changes(draw):
    """A patch as clients compute them: changes in the order of the list they want, and deletions after it."""
    order = draw(st.lists(NAMES, unique=True, min_size=1, max_size=4))
    changed = [name for name in order if draw(st.booleans())]
    gone = [name for name in "abc" if name not in order and draw(st.booleans())]
    env = st.lists(
        st.fixed_dictionaries({"name": st.sampled_from("XYZ"), "value": st.sampled_from(["1", "3"])}),
        max_size=2,
        unique_by=lambda item: item["name"],
    )
    items = [
        {"name": name, "image": draw(NAMES), **({"env": draw(env)} if draw(st.booleans()) else {})}
        for name in changed
    ]
    items += [{"name": name, "$patch": "delete"} for name in gone]
    patch = {"containers": items} if items else {}
    if draw(st.booleans()):
        patch["$setElementOrder/containers"] = [{"name": name} for name in order]
    return {"spec": patch}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(container_changes())
def test_made_strategic_merges(tmp_path, patch):
    assert told(ours(strategic_merge, POD, patch, schema.of(PODS))) == told(kubectl(tmp_path, POD, patch))


@pytest.mark.parametrize(
    ("type", "merge", "patch"),
    [
        ("merge", merge_patch, {"metadata": {"labels": {"a": None}}, "spec": {"containers": []}}),
        ("json", json_patch, [{"op": "add", "path": "/metadata/labels/x~1y", "value": "1"}]),
        ("json", json_patch, [{"op": "remove", "path": "/spec/containers/1"}]),
        ("json", json_patch, [{"op": "copy", "from": "/metadata/labels/a", "path": "/metadata/labels/b"}]),
        ("json", json_patch, [{"op": "test", "path": "/spec/containers/0/name", "value": "b"}]),
        ("json", json_patch, [{"op": "remove", "path": "/spec/nothing"}]),
    ],
)  # fmt: skip
def test_plain_patches(type, merge, patch, tmp_path):
    assert told(ours(merge, POD, patch)) == told(kubectl(tmp_path, POD, patch, type))
