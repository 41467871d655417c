"""Which server a command talks to: --kubeconfig, else $KUBECONFIG, else root's own socket, else the default
file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import click

from mini8s.app.layout import server_files
from mini8s.cli.errors import CommandError
from mini8s.cli.options import data_dir_option
from mini8s.client.kubeconfig import BadKubeconfig, from_kubeconfig
from mini8s.client.rest import Endpoint, Rest
from mini8s.config import VERSION, ServerSettings

_DEFAULTS = ServerSettings()


def connection_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add --kubeconfig and --data-dir, which `connect` takes."""
    named = click.option("--kubeconfig", default="", help="File that says which server, and who you are.")
    return named(data_dir_option(command))


def connect(kubeconfig: str, data_dir: str) -> Rest:
    """A client for the server meant. Raises CommandError."""
    try:
        endpoint = _endpoint(kubeconfig, data_dir)
    except BadKubeconfig as error:
        raise CommandError(str(error)) from error
    return Rest(
        endpoint,
        user_agent=f"mini8s/{VERSION}",
        on_warning=lambda text: click.echo(f"Warning: {text}", err=True),
    )


def _endpoint(kubeconfig: str, data_dir: str) -> Endpoint:
    named = kubeconfig or os.environ.get("KUBECONFIG", "")
    if named:
        return from_kubeconfig(Path(named))
    socket = server_files(data_dir).socket
    if os.geteuid() == 0 and socket.exists():
        return Endpoint(unix_socket=str(socket))
    default = Path(_DEFAULTS.write_kubeconfig)
    if default.exists():
        return from_kubeconfig(default)
    raise CommandError(f"no server runs here and {default} does not exist: give --kubeconfig")
