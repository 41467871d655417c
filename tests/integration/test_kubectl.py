"""Other people's client as the oracle: what each kubectl on this machine prints, word for word.

The words are in tests/cases/kubectl; those that need controllers and nodes are in its folder `cluster`. Each
version has servers and a folder to itself, each transcript a namespace, named as its file.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import kubectls
import pytest
from integration import api_process, hollow, transcript
from integration.api_process import ApiProcess
from integration.kubectl import kubeconfig
from kubectls import Kubectl

CASES = Path(__file__).parents[1] / "cases" / "kubectl"
SERVERS = {".": api_process.running, "cluster": hollow.running}
EVERY = kubectls.installed(since=27)
FEW = sorted({EVERY[0], EVERY[len(EVERY) // 2], EVERY[-1]}) if EVERY else []
# What these print is the server's, nearly all of it: the oldest, a middle and the newest kubectl read it.
BY_FEW = {"create", "delete", "get", "cluster/batch"}
AT_ONCE = 3  # versions: two kubectls keep two processors busy while one waits for what shall happen
Played = list[tuple[list[str], list[str]]]  # of each command what it should have printed, and what it printed


class Runs:
    """The versions' runs, in the background and in the order in which the tests ask for them."""

    def __init__(self, folder: Path, wanted: dict[Kubectl, list[str]]) -> None:
        self._folder = folder
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self._told: set[tuple[Kubectl, str]] = set()
        self._runs: dict[Kubectl, Future[dict[str, Played]]] = {
            kubectl: self._pool.submit(self._run, kubectl, names) for kubectl, names in wanted.items()
        }

    def of(self, kubectl: Kubectl, name: str) -> Played:
        """A test that is tried again is played again."""
        if (kubectl, name) in self._told:
            return self._run(kubectl, [name], "again")[name]
        self._told.add((kubectl, name))
        return self._runs[kubectl].result()[name]

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _run(self, kubectl: Kubectl, names: list[str], turn: str = "") -> dict[str, Played]:
        found: dict[str, Played] = {}
        for place, running in SERVERS.items():
            here = [name for name in names if str(Path(name).parent) == place]
            folder = self._folder / turn / (names[0] if turn else "") / str(kubectl) / place
            (folder / "bin").mkdir(parents=True, exist_ok=True)
            (folder / "bin" / "kubectl").symlink_to(kubectl.program)
            if here:
                with running(folder) as api:
                    found |= {name: list(play(api, kubectl, name)) for name in here}
        return found


def play(api: ApiProcess, kubectl: Kubectl, name: str) -> Iterator[tuple[list[str], list[str]]]:
    namespace = Path(name).name
    api.ask("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    folder = api.folder / namespace
    shutil.copytree(CASES / "files", folder)
    (folder / "kubeconfig").write_text(json.dumps(kubeconfig(api, namespace)))
    environment = {
        "PATH": f"{api.folder / 'bin'}:{os.environ['PATH']}",
        "HOME": str(api.folder),
        "KUBECONFIG": str(folder / "kubeconfig"),
        "GOGC": "off",  # no kubectl lives long enough to be worth collecting
    }
    for step in transcript.steps((CASES / f"{name}.txt").read_text(), kubectl.minor):
        printed = transcript.run(step.command, environment, folder)
        told = f"$ {step.command}"
        yield [told, *step.lines], [told, *transcript.as_expected(printed, step.lines)]


def pairs() -> Iterator[tuple[Kubectl, str]]:
    """The tests, version by version."""
    names = sorted(str(path.relative_to(CASES).with_suffix("")) for path in CASES.rglob("*.txt"))
    for kubectl in EVERY:
        for name in names:
            if kubectl in FEW or name not in BY_FEW:
                yield kubectl, name


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    wanted: dict[Kubectl, list[str]] = defaultdict(list)
    for item in request.session.items:
        if isinstance(item, pytest.Function) and item.path == request.path:
            wanted[item.callspec.params["kubectl"]].append(item.callspec.params["name"])
    made = Runs(tmp_path_factory.mktemp("kubectl"), wanted)
    yield made
    made.close()


@pytest.mark.parametrize(("kubectl", "name"), list(pairs()), ids=str)
def test_a_transcript(runs: Runs, kubectl: Kubectl, name: str) -> None:
    played = runs.of(kubectl, name)
    assert [line for _, printed in played for line in printed] == [
        line for expected, _ in played for line in expected
    ]
