"""`mini8s config`: where each value comes from, and what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mini8s.cli.config import command
from mini8s.cli.errors import CommandError


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.yaml"
    monkeypatch.setenv("MINI8S_CONFIG", str(path))
    return path


def run(*words: str) -> Result:
    return CliRunner().invoke(command, words)


def test_each_value_is_shown_with_where_it_comes_from(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text("token: K10secret\nnode-label: [a=1, b=2]\n")
    monkeypatch.setenv("MINI8S_NODE_NAME", "pi")
    said = json.loads(run("show", "-o", "json", "server", "--https-listen-port", "7000").output)
    assert said["token"] == {"value": "<hidden>", "from": f"{config}:1"}
    assert said["node-label"] == {"value": ["a=1", "b=2"], "from": f"{config}:2"}
    assert said["node-name"] == {"value": "pi", "from": "$MINI8S_NODE_NAME"}
    assert said["https-listen-port"] == {"value": 7000, "from": "--https-listen-port"}
    assert said["cluster-cidr"] == {"value": "10.42.0.0/16", "from": "default"}
    lines = run("show", "server").output.splitlines()
    assert lines[0].split() == ["SETTING", "VALUE", "FROM"]
    assert ["node-label", "a=1,b=2", f"{config}:2"] in [line.split() for line in lines]
    assert "K10secret" not in "".join(lines)


def test_a_host_that_joins_a_server_is_an_agent(config: Path) -> None:
    config.write_text("server: https://10.0.0.1:6443\n")
    assert "cluster-cidr" not in run("show").output
    assert "the settings of the agent are good" in run("check").output
    config.write_text("node-name: pi\n")
    assert f"the settings of the server are good: {config}" in run("check").output
    assert run("check", "serve").exit_code == 2


def test_all_that_is_wrong_is_said(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text("nodename: pi\nhttps-listen-port: x\n")
    monkeypatch.setenv("MINI8S_NODE_IPP", "10.0.0.1")
    monkeypatch.setenv("MINI8S_SHOP", "north")
    said = run("check", "server")
    assert isinstance(said.exception, CommandError)
    assert [line.partition(f"{config}:")[2][:1] for line in str(said.exception).splitlines()] == ["1", "2"]
    slip = "$MINI8S_NODE_IPP is no setting of the server: did you mean $MINI8S_NODE_IP?"
    assert said.output == f"Warning: {slip}\n"


def test_rules_between_settings_are_checked_to_the_last(config: Path) -> None:
    config.write_text("audit-log-maxsize: 0\nsnapshot-retention: 0\nnode-label: [role]\n")
    said = str(run("check", "server").exception)
    for part in ("role", "--audit-log-maxsize 0", "--snapshot-retention 0"):
        assert part in said
    assert said.count(f"{config}:") == 3, "each with its place"
