"""The auto-deploy folder: what is read of it, and what is done about it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from mini8s.app.deploying import folder
from mini8s.app.deploying.plan import Applied, Ref, Source, plan

NOW = 1_000_000_000.0
MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {}}}\n"


def ref(name: str, kind: str = "ConfigMap") -> Ref:
    return Ref("v1", kind, "" if kind == "Namespace" else "default", name)


def source(digest: str, *refs: Ref) -> Source:
    return Source(digest, tuple((one, {"kind": one.kind}) for one in refs))


def applied(digest: str, *refs: Ref) -> Applied:
    return Applied(digest, {one: f"uid-{one.name}" for one in refs})


def lay(place: Path, name: str, text: str, when: float = NOW - 60) -> None:
    path = place / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (when, when))


A, B, C = ref("a"), ref("b"), ref("c")


@pytest.mark.parametrize(
    ("found", "before", "apply", "prune"),
    [
        ({"x": source("1", A)}, {}, ["x"], []),
        ({"x": source("1", A)}, {"x": applied("1", A)}, [], []),
        ({"x": source("2", A)}, {"x": applied("1", A, B)}, ["x"], [B]),
        ({}, {"x": applied("1", A)}, [], [A]),
        ({"x": source("1", A)}, {"x": applied("", A)}, ["x"], []),  # not all of it went well
        ({"y": source("1", A)}, {"x": applied("1", A)}, ["y"], []),  # it has moved: nothing is removed
        ({"x": Source("2", error="torn")}, {"x": applied("1", A)}, [], []),
        ({"x": Source(left_alone=True)}, {"x": applied("1", A)}, [], []),
        (
            {"x": source("2")},
            {"x": applied("1", A, ref("n", "Namespace"))},
            ["x"],
            [A, ref("n", "Namespace")],
        ),
    ],
)
def test_what_is_done(
    found: Mapping[str, Source], before: Mapping[str, Applied], apply: list[str], prune: list[Ref]
) -> None:
    wanted = plan(found, before, again=False)
    assert list(wanted.apply) == apply
    assert [one for _, one, _ in wanted.prune] == prune


def test_a_second_plan_on_its_own_result_is_empty() -> None:
    found = {"x": source("1", A, B), "y": source("2", B, C)}
    first = plan(found, {}, again=True)
    after = {
        name: applied(found[name].digest, *(one for one, _ in said)) for name, said in first.apply.items()
    }
    second = plan(found, after, again=False)
    assert (dict(second.apply), second.prune, second.told) == ({}, (), first.told)


def test_of_two_files_the_one_that_had_an_object_keeps_it() -> None:
    found = {"a": source("1", A), "x": source("1", A)}
    wanted = plan(found, {"x": applied("1", A)}, again=False)
    assert wanted.told == {"a": "ConfigMap default/a is in x already, which has it"}
    assert wanted.prune == ()
    wanted = plan(found, {}, again=False)  # neither had it: the first by name
    assert wanted.told == {"x": "ConfigMap default/a is in a already, which has it"}


@pytest.mark.parametrize("silent", [Source(error="torn"), Source(left_alone=True)])
def test_a_file_that_says_nothing_keeps_what_it_had_from_others(silent: Source) -> None:
    wanted = plan({"a": source("1", A), "x": silent}, {"x": applied("1", A, B)}, again=False)
    assert wanted.told["a"] == "ConfigMap default/a is in x already, which has it"
    assert (wanted.prune, wanted.moved) == ((), ())


def test_namespaces_come_first() -> None:
    space = ref("shop", "Namespace")
    wanted = plan({"x": source("1", A, space)}, {}, again=False)
    assert [one for one, _ in wanted.apply["x"]] == [space, A]


def test_what_is_read(tmp_path: Path) -> None:
    lay(tmp_path, "a.yaml", MAP.format("a") + "---\n" + MAP.format("b"))
    lay(tmp_path, "deep/b.json", '{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}')
    lay(tmp_path, "skipped.yaml", MAP.format("s"))
    lay(tmp_path, "skipped.yaml.skip", "")
    lay(tmp_path, "young.yaml", MAP.format("y"), NOW - 1)
    lay(tmp_path, "notes.txt", "nothing")
    found = folder.read(tmp_path, NOW)
    assert found is not None
    assert {name: [str(one) for one, _ in said.objects] for name, said in found.items()} == {
        "a.yaml": ["ConfigMap default/a", "ConfigMap default/b"],
        "deep/b.json": ["Namespace shop"],
        "skipped.yaml": [],
        "young.yaml": [],
    }
    assert [name for name, said in found.items() if said.left_alone] == ["skipped.yaml", "young.yaml"]
    assert folder.read(tmp_path / "gone", NOW) is None


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a: [", "expected"),
        ("- a", "a document is not an object with apiVersion, kind and metadata"),
        (
            "apiVersion: v1\nkind: Nothing\nmetadata: {name: a}",
            'no matches for kind "Nothing" in version "v1"',
        ),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {}", "an object of kind ConfigMap has no name"),
        (MAP.format("a") + "---\n" + MAP.format("a"), "ConfigMap default/a is there twice"),
    ],
)
def test_a_file_that_cant_be_meant(text: str, error: str) -> None:
    assert error in folder.parse(text.encode()).error
