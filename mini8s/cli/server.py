"""`mini8s server`."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from mini8s.app import server as process
from mini8s.app.host import HostError
from mini8s.app.settings import SettingsError, load
from mini8s.app.supervisor import ChildFailed
from mini8s.cli.errors import CommandError
from mini8s.cli.options import given, settings_options
from mini8s.config import ServerSettings
from mini8s.util import log


@settings_options(ServerSettings)
@click.command("server")
def command(**flags: Any) -> None:
    """Run the server: API, controllers, scheduler, and this host's node unless --disable-agent."""
    try:
        settings = load(ServerSettings, given(flags), os.environ)
        log.setup(settings.log_level)
        sys.exit(process.run(settings))
    except (SettingsError, HostError, ChildFailed) as error:
        raise CommandError(str(error)) from error
