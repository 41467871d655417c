"""The repo keeps its own promises: version, documentation, units, scripts."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from mini8s import config

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
SHELL_BLOCKS = re.findall(r"^```(?:sh|shell|bash|console)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
SCRIPTS = [path for path in (ROOT / "scripts").iterdir() if path.is_file() and os.access(path, os.X_OK)]


def test_the_version_is_the_newest_of_the_changelog() -> None:
    newest = re.search(r"^## (\S+)", (ROOT / "packaging/CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest
    assert newest[1] == config.VERSION


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_the_readme_mentions_the_script(script: Path) -> None:
    assert f"scripts/{script.name}" in README


def test_every_file_that_the_readme_runs_exists() -> None:
    assert SHELL_BLOCKS
    named = set(re.findall(r"(?<![\w/.])(?:scripts|systemd|packaging)/[\w./-]+", "\n".join(SHELL_BLOCKS)))
    assert named
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


@pytest.mark.parametrize("block", SHELL_BLOCKS)
def test_a_block_of_the_readme_is_valid_shell(block: str) -> None:
    subprocess.run(["bash", "-n"], input=block, text=True, check=True)


@pytest.mark.parametrize(
    "script", [*SCRIPTS, ROOT / "scripts/lib.sh", ROOT / ".ci/run"], ids=lambda path: path.name
)
def test_a_script_is_valid_shell(script: Path) -> None:
    if "bash" in script.read_text().split("\n", 1)[0] or script.suffix == ".sh":
        subprocess.run(["bash", "-n", str(script)], check=True)


@pytest.mark.parametrize("unit", sorted((ROOT / "systemd").iterdir()), ids=lambda path: path.name)
def test_systemd_accepts_the_unit(unit: Path, tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd is not installed here")
    installed = tmp_path / unit.name
    installed.write_text(unit.read_text().replace("/usr/bin/mini8s", "/bin/true"))
    verified = subprocess.run(
        ["systemd-analyze", "verify", str(installed)], capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stderr) == (0, "")


def test_no_two_test_files_share_a_name() -> None:
    """pytest imports them by their bare name."""
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []
