"""The packages that a test installs, built while the tests before it run: it takes a minute of a processor,
and those wait most of the time."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "package"
NEEDED_BY = "test_install.py"
GIVEN = "MINI8S_TEST_DIST"  # names a folder that has them already
KEY = pytest.StashKey["Build"]()


class Build:
    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(
            prefix="dist-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")
        )
        self._log = Path(self._folder.name) / "log"
        self._dist = Path(self._folder.name) / "dist"
        self._process = self._begin()

    def _begin(self) -> subprocess.Popen[bytes]:
        with self._log.open("wb") as log:
            return subprocess.Popen(
                [str(SCRIPT), "binary", "deb"],
                env={**os.environ, "MINI8S_DIST": str(self._dist)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def result(self) -> Path:
        """Their folder, when they are there. Who asks again after a failure has them built again."""
        code = self._process.wait(900)
        if code:
            said = self._log.read_text()[-4000:]
            self._process = self._begin()
            raise AssertionError(f"scripts/package ended with {code}\n{said}")
        return self._dist

    def end(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, 9)
            self._process.wait(60)
        self._folder.cleanup()


def begin(session: pytest.Session) -> None:
    needed = any(item.path.name == NEEDED_BY for item in session.items)
    if needed and not session.config.option.collectonly and GIVEN not in os.environ:
        session.config.stash[KEY] = Build()


def end(config: pytest.Config) -> None:
    if build := config.stash.get(KEY, None):
        build.end()
