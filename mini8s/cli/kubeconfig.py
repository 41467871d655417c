"""`mini8s kubeconfig`: the administrator's kubeconfig, for this host or another."""

from __future__ import annotations

import click

from mini8s.app.layout import server_files
from mini8s.cli.errors import CommandError
from mini8s.cli.options import data_dir_option
from mini8s.wire import codec


@click.command("kubeconfig")
@data_dir_option
@click.option("--server", default="", help="Another URL for the server, such as https://shop.example:6443.")
def command(data_dir: str, server: str) -> None:
    """Print a kubeconfig with the administrator's certificate in it."""
    path = server_files(data_dir).admin_kubeconfig
    try:
        config = codec.decode_yaml(path.read_bytes())
    except FileNotFoundError:
        raise CommandError(f"{path} does not exist: has a server been started here?") from None
    except PermissionError:
        raise CommandError(f"{path} is for root alone") from None
    if server:
        config["clusters"][0]["cluster"]["server"] = server
    click.echo(codec.encode_yaml(config).decode(), nl=False)
