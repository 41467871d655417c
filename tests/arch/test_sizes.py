"""Code that a person reads in one go: files and functions have a ceiling. Tables of data are exempt."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILE_LINES = 600
FUNCTION_LINES = 60
FOLDERS = ("mini8s", "scripts", "tests")


def files() -> list[Path]:
    return sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def data_lines(tree: ast.Module) -> int:
    """Lines of the literals that a module names."""
    tables = (ast.Dict, ast.List, ast.Tuple, ast.Set, ast.Constant)
    values = [node.value for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign)]
    return sum((value.end_lineno or 0) - value.lineno for value in values if isinstance(value, tables))


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_it_is_short_enough(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    assert len(text.splitlines()) - data_lines(tree) <= FILE_LINES
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions}
    assert {name: lines for name, lines in long.items() if lines > FUNCTION_LINES} == {}


def told_files() -> list[Path]:
    """Files that others build on; a file of tests says what it is for by its tests' names."""
    return [path for path in files() if not path.name.startswith("test_")]


@pytest.mark.parametrize("path", told_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_it_says_what_it_is_for(path: Path) -> None:
    """Each file that has code opens with a docstring."""
    tree = ast.parse(path.read_text())
    assert not tree.body or ast.get_docstring(tree)
