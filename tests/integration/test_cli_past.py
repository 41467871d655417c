"""`mini8s run`, `why`, `history` and `undo` on the real API and its controllers, with hollow kubelets."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from integration import hollow
from integration.api_process import ApiProcess
from integration.kubectl import kubeconfig


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    with hollow.running(tmp_path_factory.mktemp("past")) as found:
        yield found


@pytest.fixture(scope="module")
def config(api: ApiProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "config"
    path.write_text(json.dumps(kubeconfig(api)))
    return path


def mini8s(config: Path, *words: str, code: int = 0) -> str:
    command = [sys.executable, "-c", "from mini8s.cli.main import main; main()"]
    command += [words[0], "--kubeconfig", str(config), *words[1:]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_job_in_one_line_runs_and_is_told_of(config: Path) -> None:
    said = mini8s(
        config, "run", "hello", "--image", "hello:1", "--replicas", "3", "--cpu", "0.1", "--memory", "100M",
        "--port", "http", "--env", "A=b", "--", "serve",
    )  # fmt: skip
    assert said.splitlines()[:2] == ["deployment.apps/hello created", "service/hello created"]
    assert said.splitlines()[-1] == "3 of 3 available"
    assert mini8s(config, "why", "deploy/hello") == "deployment/hello: all 3 replicas are available\n"
    assert re.fullmatch(
        r"service/hello: it answers at 10\.\S+ on 80 with 3 ready pods\n", mini8s(config, "why", "svc/hello")
    )
    again = mini8s(config, "run", "hello", "--image", "hello:1", code=1)
    assert again == "mini8s: deployment.apps/hello is there already: delete it, or change it with apply\n"


def test_what_fits_nowhere_says_why(config: Path) -> None:
    mini8s(config, "run", "huge", "--image", "x", "--cpu", "99", "--no-wait")
    until = "0/2 nodes are available: 2 Insufficient cpu."
    for _ in range(50):
        said = mini8s(config, "why", "deploy/huge", code=1)
        if until in said:
            break
    lines = said.splitlines()
    assert lines[0] == "deployment/huge: 0 of 1 replicas are available"
    assert re.match(
        r"    pod/huge-\S+: no node will do: 0/2 nodes are available: 2 Insufficient cpu", lines[2]
    )


def test_what_was_is_listed_shown_and_put_back(config: Path, tmp_path: Path) -> None:
    manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "signs", "labels": {"a": "b"}},
        "data": {"colour": "red"},
    }
    file = tmp_path / "signs.yaml"
    for colour in ("red", "green", "blue"):
        file.write_text(yaml.safe_dump(manifest | {"data": {"colour": colour}}))
        mini8s(config, "apply", "-f", str(file))
    listed = mini8s(config, "history", "cm/signs")
    rows = [line.split() for line in listed.splitlines()]
    assert rows[0] == ["REVISION", "WHO", "WHAT"]
    assert 'data.colour: "red" -> "green"' in listed
    red = next(row[0] for row in rows[1:] if row[0].isdigit() and "mini8s" in row[1])
    past = yaml.safe_load(mini8s(config, "history", "cm/signs", "--at", red))
    assert (past["data"], past["metadata"]["labels"]) == ({"colour": "red"}, {"a": "b"})
    mini8s(config, "undo", "cm/signs", "--to", red)
    assert mini8s(config, "get", "cm", "signs", "-o", "jsonpath={.data.colour}") == "red"
    mini8s(config, "delete", "cm", "signs")
    assert "deleted" in mini8s(config, "history", "cm/signs").splitlines()[-1]
    assert "made anew" in mini8s(config, "undo", "cm/signs", "--to", red)
    assert mini8s(config, "get", "cm", "signs", "-o", "jsonpath={.data.colour}") == "red"


def test_a_past_that_is_gone_or_never_was_is_said_so(api: ApiProcess, config: Path) -> None:
    assert mini8s(config, "history", "cm/never", code=1) == "mini8s: nothing is left of configmap never\n"
    newest = api.ask("GET", "/api/v1/configmaps?limit=1")[1]["metadata"]["resourceVersion"]
    api.forget()
    assert "too old resource version" in mini8s(config, "undo", "cm/signs", "--to", "2", code=1)
    assert "was not there at revision" in mini8s(
        config, "undo", "cm/none", "--to", str(int(newest) + 1), code=1
    )
