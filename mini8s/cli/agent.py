"""`mini8s agent`."""

from __future__ import annotations

from typing import Any

import click

from mini8s.app import agent
from mini8s.cli.options import settings_options
from mini8s.cli.process import start
from mini8s.config import AgentSettings


@settings_options(AgentSettings)
@click.command("agent")
def command(**flags: Any) -> None:
    """Run a node that joins the server at --server with a token."""
    start(AgentSettings, flags, agent.run)
