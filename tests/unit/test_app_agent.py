"""An agent's certificate under a clock that runs ahead of the server's."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mini8s.app import agent, bootstrap
from mini8s.app import join as joining
from mini8s.app.host import HostError
from mini8s.app.layout import agent_files, server_files
from mini8s.config import AgentSettings


@pytest.fixture
def settings(tmp_path: Path) -> AgentSettings:
    """A host that has joined, with a certificate that is to be renewed."""
    plan = bootstrap.Plan(("localhost",), "https://localhost:6443", node_name="pi")
    files = agent_files(str(tmp_path))
    begun = datetime.now(UTC) - timedelta(days=300)
    bootstrap.prepare_server(server_files(str(tmp_path)), files, plan, begun)
    files.cluster.write_text("{}")
    return replace(AgentSettings(), data_dir=str(tmp_path), server="https://localhost:6443", node_name="pi")


def test_one_that_is_due_at_once_is_not_asked_for_again_and_again(
    settings: AgentSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def renew(_files: object, _server: str, node: str) -> None:
        asked.append(node)
        assert len(asked) < 9

    monkeypatch.setattr(joining, "renew", renew)
    agent.join(settings)
    assert asked == ["pi"]
    with pytest.raises(HostError, match="is this host's clock right"):
        agent.renew(settings)
    assert asked == ["pi", "pi"]
