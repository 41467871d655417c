"""What all tests share: a marker per folder, hosts to run on, and a look at what was left behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import kubectls
import pytest
from depth import DEPTH
from hosts import Host, Hosts
from hosts.leftovers import Leftovers
from hypothesis import settings

from scripts import images

FOLDERS = ("unit", "contract", "integration", "e2e", "arch")
NEEDS_MACHINE = ("contract", "integration", "e2e")
# Nothing is timed: the machine may be busy. The same examples in every run, unless it is to dig deeper.
settings.register_profile("untimed", deadline=None, derandomize=DEPTH == 1)
settings.load_profile("untimed")
_before = pytest.StashKey[Leftovers]()
_left = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    for folder in FOLDERS:
        config.addinivalue_line("markers", f"{folder}: everything in tests/{folder}")
    config.addinivalue_line("markers", "flaky(reruns=N): what pytest-rerunfailures does; -p no:rerunfailures")
    config.stash[_before] = Leftovers.of_machine()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with its folder's name. What needs the machine is tried once more when it fails, and the
    summary names it (RERUN): hosts and engines have bad moments of which a change is not guilty."""
    for item in items:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        if folder in FOLDERS:
            item.add_marker(folder)
        if folder in NEEDS_MACHINE:
            item.add_marker(pytest.mark.flaky(reruns=1))


def pytest_report_collectionfinish(items: list[pytest.Item]) -> str:
    """Which kubectls serve as oracles."""
    if not any(item.get_closest_marker(name) for item in items for name in ("integration", "e2e")):
        return ""
    return f"kubectl: {', '.join(map(str, kubectls.installed())) or 'none'}"


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run for what it left behind, even when every test passed."""
    if not any(item.get_closest_marker(name) for item in session.items for name in NEEDS_MACHINE):
        return
    left = Leftovers.after(session.config.stash[_before], Hosts().place).lines()
    session.config.stash[_left] = left
    if left:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash.get(_left, []):
        terminalreporter.write_line(f"LEFT BEHIND {line}", red=True)


@pytest.fixture(scope="module")
def hosts() -> Iterator[Hosts]:
    """A set of hosts for this file; `hosts.up(2)` makes as many as a test asks for, the next test finds
    them up."""
    with Hosts() as made:
        made.down()  # of a run that was killed
        yield made


@pytest.fixture(scope="session")
def image_archives(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """mini8s-hello:v1 and :v2 and mini8s-busybox:1 as files that `docker load` takes."""
    return images.write(images.everything(), tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def engine_host(hosts: Hosts, image_archives: list[Path]) -> Host:
    """One host whose engine has the test images."""
    host = hosts.up(1)[0]
    for path in image_archives:
        host.docker("load", "--input", str(path))
    return host
