"""`mini8s agent`."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from mini8s.app import agent as process
from mini8s.app.host import HostError
from mini8s.app.settings import SettingsError, load
from mini8s.app.supervisor import ChildFailed
from mini8s.cli.errors import CommandError
from mini8s.cli.options import given, settings_options
from mini8s.config import AgentSettings
from mini8s.util import log


@settings_options(AgentSettings)
@click.command("agent")
def command(**flags: Any) -> None:
    """Run a node that joins the server at --server with a token."""
    try:
        settings = load(AgentSettings, given(flags), os.environ)
        log.setup(settings.log_level)
        sys.exit(process.run(settings))
    except (SettingsError, HostError, ChildFailed) as error:
        raise CommandError(str(error)) from error
