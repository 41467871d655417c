"""kubectl as the oracle of strategic merge: `kubectl patch --local` computes the same merges by itself."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import kubectls
import pytest
from depth import DEPTH, examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from integration.kubectl import running

from mini8s.objects import schema
from mini8s.objects.errors import ApiError
from mini8s.objects.kinds import CRONJOBS, DEPLOYMENTS, PODS, SERVICEACCOUNTS, SERVICES
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
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
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


# Objects of several kinds and patches made for them, of what their lists merge by.
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "s"},
    "spec": {
        "selector": {"a": "b"},
        "ports": [{"port": 80, "protocol": "TCP", "name": "a"}, {"port": 81, "protocol": "TCP", "name": "b"}],
    },
}
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "d", "labels": {"a": "b"}},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": POD["spec"]},
    },
}
CRONJOB = {
    "apiVersion": "batch/v1",
    "kind": "CronJob",
    "metadata": {"name": "c"},
    "spec": {
        "schedule": "* * * * *",
        "jobTemplate": {
            "spec": {
                "template": {
                    "metadata": {"labels": {"a": "b"}},
                    "spec": POD["spec"] | {"restartPolicy": "Never"},
                }
            }
        },
    },
}
ACCOUNT = {
    "apiVersion": "v1",
    "kind": "ServiceAccount",
    "metadata": {"name": "a"},
    "secrets": [{"name": "a"}, {"name": "b"}],
    "imagePullSecrets": [{"name": "a"}],
}
WORDS = st.sampled_from(["1", "2", None])


def keyed(key, keys, *, deleting=True, **rest):
    """A patch of a list that merges by key: changed, new and deleted elements."""
    change = st.fixed_dictionaries({key: keys}, optional=rest)
    gone = st.fixed_dictionaries({key: keys, "$patch": st.just("delete")})
    element = change | gone if deleting else change
    return st.lists(element, min_size=1, max_size=3, unique_by=lambda item: item[key])


def maps():
    return st.dictionaries(st.sampled_from("abc"), WORDS, max_size=3) | st.just(
        {"$patch": "replace", "z": "9"}
    )


METADATA = st.fixed_dictionaries({}, optional={"labels": maps(), "annotations": maps()})
POD_SPEC = st.fixed_dictionaries(
    {},
    optional={
        "containers": keyed(
            "name",
            NAMES,
            image=st.sampled_from("12"),
            env=keyed("name", st.sampled_from("XYZ"), value=st.just("7")),
        ),
        "volumes": keyed(
            "name", st.sampled_from("vwx"), emptyDir=st.just({}), hostPath=st.just({"path": "/p"})
        ),
        "nodeSelector": maps(),
        "tolerations": st.lists(st.fixed_dictionaries({"key": st.sampled_from("ab")}), max_size=2),
        "hostname": WORDS,
        "imagePullSecrets": keyed("name", st.sampled_from("ab")),
    },
)
TEMPLATE = st.fixed_dictionaries({}, optional={"metadata": METADATA, "spec": POD_SPEC})
MADE = {
    "services": (
        SERVICES,
        SERVICE,
        st.fixed_dictionaries(
            {},
            optional={
                "selector": maps(),
                "ports": keyed("port", st.sampled_from([80, 81, 82]), name=st.sampled_from("cd")),
                "externalIPs": st.lists(st.sampled_from(["10.0.0.1", "10.0.0.2"]), unique=True, max_size=2),
            },
        ).map(lambda spec: {"spec": spec}),
    ),
    "deployments": (
        DEPLOYMENTS,
        DEPLOYMENT,
        st.fixed_dictionaries(
            {},
            optional={
                "metadata": METADATA,
                "spec": st.fixed_dictionaries(
                    {},
                    optional={
                        "replicas": st.sampled_from([2, None]),
                        "template": TEMPLATE,
                        "strategy": st.just({"$retainKeys": ["type"], "type": "Recreate"}),
                    },
                ),
            },
        ),
    ),
    "cronjobs": (
        CRONJOBS,
        CRONJOB,
        TEMPLATE.map(lambda template: {"spec": {"jobTemplate": {"spec": {"template": template}}}}),
    ),
    "serviceaccounts": (
        SERVICEACCOUNTS,
        ACCOUNT,
        st.fixed_dictionaries(
            {},
            optional={
                "metadata": METADATA,
                "secrets": keyed("name", NAMES),
                "imagePullSecrets": keyed("name", NAMES, deleting=False),
            },
        ),
    ),
}


@pytest.mark.skipif(
    ORACLE[0].minor < 30 if ORACLE else False, reason="older kubectls keep directives in what is new"
)
@pytest.mark.parametrize("name", MADE)
def test_made_patches_of_several_kinds(name, tmp_path):
    kind, doc, patches = MADE[name]

    @settings(max_examples=examples(12), deadline=None, derandomize=DEPTH == 1)
    @given(patches)
    def compare(patch):
        assert told(ours(strategic_merge, doc, patch, schema.of(kind))) == told(kubectl(tmp_path, doc, patch))

    compare()


@pytest.mark.parametrize("name", MADE)
def test_made_merge_patches(name, tmp_path):
    """Directives are plain keys to these, which the types then drop."""
    _, doc, patches = MADE[name]

    @settings(max_examples=examples(6), deadline=None, derandomize=DEPTH == 1)
    @given(patches)
    def compare(patch):
        assert told(ours(merge_patch, doc, patch)) == told(kubectl(tmp_path, doc, patch, "merge"))

    compare()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(ORACLE[0], tmp_path_factory.mktemp("api")) as found:
        yield found


def plain(text):
    """An object without what the server adds to any."""
    obj = json.loads(text)
    for part in ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "namespace"):
        obj["metadata"].pop(part, None)
    obj.pop("status", None)
    return told(obj)


@pytest.mark.parametrize(
    "words",
    [
        ("set", "image", "a=other:1", "c=other:2"),
        ("set", "env", "X=5", "Y-", "NEW=1", "--containers=a"),
        ("set", "resources", "--limits=cpu=1,memory=64Mi", "--requests=cpu=500m"),
        ("label", "a=x", "new=y", "--overwrite"),
        ("label", "a-"),
        ("annotate", "note=x"),
    ],
    ids=" ".join,
)
def test_changes_made_by_us_and_by_kubectl(words, server, tmp_path):
    verb = words[:2] if words[0] == "set" else words[:1]
    path = tmp_path / "doc.json"
    server("create", "-f", "-", stdin=json.dumps(DEPLOYMENT))
    path.write_text(server("get", "deployment", "d", "-o", "json"))
    local = server(*verb, "--local", "-f", str(path), "-o", "json", *words[len(verb) :])
    server(*verb, "deployment/d", *words[len(verb) :])
    assert plain(server("get", "deployment", "d", "-o", "json")) == plain(local)
    server("delete", "deployment", "d", "--wait=false")


@pytest.mark.parametrize("way", [(), ("--server-side", "--force-conflicts")], ids=["client", "server"])
def test_a_dry_run_of_an_apply_is_what_the_apply_does(way, server):
    def apply(doc, *more):
        return plain(server("apply", *way, "-o", "json", *more, "-f", "-", stdin=json.dumps(doc)))

    changed = json.loads(json.dumps(CRONJOB).replace('"2"', '"9"').replace('"b"', '"z"'))
    changed["spec"]["schedule"] = "*/2 * * * *"
    for doc in (CRONJOB, changed, CRONJOB):
        would = apply(doc, "--dry-run=server")
        assert would == apply(doc)
        assert would == plain(server("get", "cronjob", "c", "-o", "json"))
        local = json.loads(
            server("apply", "--dry-run=client", "-o", "json", "-f", "-", stdin=json.dumps(doc))
        )
        assert local["spec"]["schedule"] == would["spec"]["schedule"]
    server("delete", "cronjob", "c", "--wait=false")
