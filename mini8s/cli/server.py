"""`mini8s server`."""

from __future__ import annotations

from typing import Any

import click

from mini8s.app import server
from mini8s.cli.options import settings_options
from mini8s.cli.process import start
from mini8s.config import ServerSettings


@settings_options(ServerSettings)
@click.command("server")
def command(**flags: Any) -> None:
    """Run the server: API, controllers, scheduler, and this host's node unless --disable-agent."""
    start(ServerSettings, flags, server.run)
