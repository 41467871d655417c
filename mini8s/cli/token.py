"""`mini8s token`: what another host needs to join."""

from __future__ import annotations

import click

from mini8s.app.layout import server_files
from mini8s.cli.errors import CommandError
from mini8s.cli.options import data_dir_option


@click.command("token")
@data_dir_option
def command(data_dir: str) -> None:
    """Print the token with which other hosts join this server."""
    path = server_files(data_dir).node_token
    try:
        click.echo(path.read_text().strip())
    except FileNotFoundError:
        raise CommandError(f"{path} does not exist: has a server been started here?") from None
    except PermissionError:
        raise CommandError(f"{path} is for root alone") from None
