"""`mini8s unit`: what systemd runs mini8s with, out of the program itself, so that one file is all that an
installation needs."""

from __future__ import annotations

from pathlib import Path

import click

import mini8s.app

FILES = {
    "server": "mini8s-server.service",
    "agent": "mini8s-agent.service",
    "uninstall": "uninstall.sh",
}


@click.command("unit")
@click.argument("name", type=click.Choice(list(FILES)))
def command(name: str) -> None:
    """Print the systemd unit of the server or the agent, or the script that uninstalls both."""
    click.echo((Path(mini8s.app.__path__[0]) / "units" / FILES[name]).read_text(), nl=False)
