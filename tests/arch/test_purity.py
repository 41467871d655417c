"""What decides is pure: no clock, no chance, no log, no threads, no files, no network."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "mini8s"
PURE = (
    "objects/**/*.py",
    "**/plan.py",
    "agent/kubelet/actions.py",
    "agent/kubelet/container_status.py",
    "agent/kubelet/deadline.py",
    "agent/kubelet/ending.py",
    "agent/kubelet/probes/handlers.py",
    "agent/kubelet/phase.py",
    "agent/kubelet/static/manifests.py",
    "agent/kubelet/status.py",
    "agent/kubelet/view.py",
    "agent/dns/query.py",
    "agent/dns/records.py",
    "scheduler/decide.py",
    "scheduler/hints.py",
    "scheduler/passes.py",
    "scheduler/preempt.py",
    "scheduler/profiles.py",
    "scheduler/plugins/**/*.py",
)
NEVER_IMPORTED = {
    *("asyncio", "concurrent", "ctypes", "fcntl", "glob", "http", "io", "logging", "multiprocessing", "os"),
    *("pathlib", "queue", "random", "secrets", "select", "shutil", "signal", "socket", "ssl", "subprocess"),
    *("tempfile", "threading", "time", "urllib", "uuid", "gevent"),
    *("mini8s.util.clock", "mini8s.util.log", "mini8s.util.notify", "mini8s.util.workers"),
}
NEVER_CALLED = {"open", "print", "input", "now", "utcnow", "today", "system", "sleep"}


def pure_files() -> list[Path]:
    return sorted({path for pattern in PURE for path in PACKAGE.glob(pattern)})


def imported(tree: ast.AST) -> Iterator[str]:
    """Each imported module, with the packages above it."""
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            parts = name.split(".")
            yield from (".".join(parts[: end + 1]) for end in range(len(parts)))


def called(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            match node.func:
                case ast.Name(id=name):
                    yield name
                case ast.Attribute(attr=name, value=ast.Name(id="datetime" | "date" | "time" | "os")):
                    yield name


@pytest.mark.parametrize("path", pure_files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_it_is_pure(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert set(imported(tree)) & NEVER_IMPORTED == set()
    assert set(called(tree)) & NEVER_CALLED == set()
