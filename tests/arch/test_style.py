"""Rules of style that a program can hold: names of files, annotations, what tests may do."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NO_IDEA = re.compile(r"(^|_)(utils?|helpers?|common|misc|managers?|stuff)$")  # names that say nothing
TABLE_OF_CONTROLLERS = "mini8s/controllers/manager.py"


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imported(tree: ast.Module) -> set[str]:
    """The names of the modules that a file imports, wherever it does."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def test_a_file_is_named_for_its_idea() -> None:
    named = [name_of(path) for path in sources("mini8s", "scripts", "tests") if NO_IDEA.search(path.stem)]
    assert named == [TABLE_OF_CONTROLLERS]


@pytest.mark.parametrize("path", sources("mini8s", "scripts", "tests"), ids=name_of)
def test_annotations_are_not_evaluated(path: Path) -> None:
    tree = ast.parse(path.read_text())
    annotated = any(isinstance(node, ast.FunctionDef | ast.AnnAssign | ast.ClassDef) for node in tree.body)
    taken = any(isinstance(node, ast.FunctionDef) and node.name == "annotations" for node in tree.body)
    assert not annotated or taken or "__future__" in imported(tree)


@pytest.mark.parametrize("path", sources("tests"), ids=name_of)
def test_fakes_not_mocks(path: Path) -> None:
    assert imported(ast.parse(path.read_text())).isdisjoint(
        {"mock", "unittest.mock", "unittest", "pytest_mock"}
    )


@pytest.mark.parametrize("path", sources("tests/unit"), ids=name_of)
def test_unit_tests_need_no_hosts_and_do_not_sleep(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert imported(tree).isdisjoint({"hosts"})
    calls = [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert not {"time.sleep", "sleep"} & set(calls)


def test_hosts_and_scripts_install_the_same_packages() -> None:
    lists = (ROOT / "scripts/lib.sh").read_text()
    packages = dict(re.findall(r"([\w-]+):([\w.-]+)", "\n".join(re.findall(r"_PACKAGES=\((.*)\)", lists))))
    tree = ast.parse((ROOT / "tests/hosts/host.py").read_text())
    programs = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_PROGRAMS"
    )
    assert programs.items() <= packages.items()
