"""`mini8s token`: what another host needs to join."""

from __future__ import annotations

import click

from mini8s.app.layout import server_files
from mini8s.cli.errors import CommandError
from mini8s.config import ServerSettings


@click.command("token")
@click.option("--data-dir", envvar="MINI8S_DATA_DIR", default=ServerSettings().data_dir, show_default=True)
def command(data_dir: str) -> None:
    """Print the token with which other hosts join this server."""
    path = server_files(data_dir).node_token
    try:
        click.echo(path.read_text().strip())
    except FileNotFoundError:
        raise CommandError(f"{path} does not exist: has a server been started here?") from None
    except PermissionError:
        raise CommandError(f"{path} is for root alone") from None
