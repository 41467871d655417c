"""`mini8s node`: what is done to a host as a member of the cluster."""

from __future__ import annotations

import click

from mini8s.cli.connect import connect, connection_options
from mini8s.cli.errors import CommandError
from mini8s.objects import node_keys
from mini8s.objects.errors import NotFound
from mini8s.objects.kinds import SECRETS


@click.group("node")
def command() -> None:
    """Let a host take another one's place."""


@command.command("replace")
@click.argument("name")
@connection_options
def replace(name: str, kubeconfig: str, data_dir: str) -> None:
    """Let the next host that joins as NAME be it, with a key of its own."""
    rest = connect(kubeconfig, data_dir)
    try:
        rest.delete(SECRETS, node_keys.NAMESPACE, node_keys.secret_name(name))
    except NotFound:
        raise CommandError(f"no host has joined as {name}: the next one may") from None
    click.echo(f"the next host that joins as {name} takes its place")
