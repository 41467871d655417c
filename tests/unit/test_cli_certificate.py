"""`mini8s certificate check`: a table for people, an exit code for scripts."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from mini8s.app import authority, bootstrap
from mini8s.app.layout import agent_files, server_files
from mini8s.cli.certificate import command
from mini8s.cli.errors import CommandError


def check(folder: Path) -> tuple[int, list[list[str]]]:
    said = CliRunner().invoke(command, ["check", f"--data-dir={folder}"])
    return said.exit_code, [line.split() for line in said.output.splitlines()]


@pytest.mark.parametrize(
    ("days", "code", "states"),
    [
        (0, 0, ["ok", "ok", "ok", "ok"]),
        (300, 1, ["ok", "overdue", "overdue", "overdue"]),
        (366, 1, ["ok", "ended", "ended", "ended"]),
    ],
)
def test_what_is_in_time_and_what_is_not(tmp_path: Path, days: int, code: int, states: list[str]) -> None:
    plan = bootstrap.Plan(names=("localhost",), server="https://10.0.0.1:6443", node_name="pi")
    begun = datetime.now(UTC) - timedelta(days=days)
    bootstrap.prepare_server(server_files(str(tmp_path)), agent_files(str(tmp_path)), plan, begun)
    exit_code, rows = check(tmp_path)
    assert exit_code == code
    assert rows[0] == ["CERTIFICATE", "SUBJECT", "ENDS", "RENEWS", "STATE"]
    assert [row[0] for row in rows[1:]] == ["authority", "server", "administrator", "node"]
    assert [row[-1] for row in rows[1:]] == states
    assert rows[4][1] == "system:node:pi"
    said = CliRunner().invoke(command, ["check", f"--data-dir={tmp_path}", "-o", "json"])
    assert [(one["certificate"], one["state"]) for one in json.loads(said.stdout)] == [
        (row[0], row[-1]) for row in rows[1:]
    ]


def test_a_change_of_the_authority_is_told(tmp_path: Path) -> None:
    plan = bootstrap.Plan(names=("localhost",), server="https://10.0.0.1:6443", life=timedelta(days=7))
    files, now = server_files(str(tmp_path)), datetime.now(UTC)
    begun = now - timedelta(seconds=9)
    bootstrap.prepare_server(files, agent_files(str(tmp_path)), plan, begun)
    authority.begin(files, now, plan.life)
    assert "not in use yet" in CliRunner().invoke(command, ["check", f"--data-dir={tmp_path}"]).output
    bootstrap.prepare_server(files, agent_files(str(tmp_path)), plan, now)
    exit_code, rows = check(tmp_path)
    assert exit_code == 0
    assert [(row[0], row[1] == "before", row[-1]) for row in rows[1:3]] == [
        ("authority", False, "ok"),
        ("authority", True, "leaving"),
    ]
    assert f"is believed until {now + plan.life:%Y-%m-%dT%H:%M:%SZ}, or" in " ".join(rows[-1])


def test_a_host_without_any_says_so(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="holds no certificates"):
        CliRunner().invoke(command, ["check", f"--data-dir={tmp_path}"], catch_exceptions=False)
