"""`mini8s secrets rotate`: a new key for what is encrypted on the disk."""

from __future__ import annotations

import click

from mini8s.cli.connect import connect, connection_options
from mini8s.wire import codec

PATH = "/v1-mini8s/secrets/rotate"


@click.group("secrets")
def command() -> None:
    """Look after the keys under which Secrets lie on the disk."""


@command.command("rotate")
@connection_options
def rotate(kubeconfig: str, data_dir: str) -> None:
    """Encrypt everything under a new key, and forget the old ones."""
    answer = connect(kubeconfig, data_dir).request("POST", PATH)
    done = codec.decode_json(answer.body)
    click.echo(f"{done['rewritten']} stored values are under a new key; the old one is gone")
