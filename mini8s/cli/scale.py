"""`mini8s scale`: change the number of replicas."""

from __future__ import annotations

import click

from mini8s.cli.connect import connect, connection_options
from mini8s.cli.errors import CommandError
from mini8s.cli.resources import namespace_option, targets, title


@click.command("scale")
@click.argument("words", nargs=-1, metavar="TYPE/NAME...")
@click.option("--replicas", type=click.IntRange(min=0), required=True, help="How many.")
@namespace_option
@connection_options
def command(words: tuple[str, ...], replicas: int, namespace: str, kubeconfig: str, data_dir: str) -> None:
    """Set how many replicas a Deployment or ReplicaSet keeps."""
    rest = connect(kubeconfig, data_dir)
    for target in targets(words):
        if not target.name or "scale" not in target.kind.subresources:
            raise CommandError(f"{target.kind.plural} {target.name or '(no name)'} can't be scaled")
        rest.patch(target.kind, namespace, target.name, {"spec": {"replicas": replicas}}, subresource="scale")
        click.echo(f"{title(target.kind, target.name)} scaled")
