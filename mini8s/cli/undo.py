"""`mini8s undo`: an object as it was at a revision, whatever became of it since."""

from __future__ import annotations

import click

from mini8s.cli.connect import connect, connection_options
from mini8s.cli.errors import CommandError
from mini8s.cli.past import at, restored
from mini8s.cli.resources import namespace_option, one, title
from mini8s.objects.errors import NotFound


@click.command("undo")
@click.argument("words", nargs=-1, metavar="TYPE/NAME")
@click.option("--to", "revision", type=int, required=True, help="A revision that `mini8s history` lists.")
@namespace_option
@connection_options
def command(words: tuple[str, ...], revision: int, namespace: str, kubeconfig: str, data_dir: str) -> None:
    """Put an object back to what it was at a revision; one that was deleted is made anew."""
    rest, target = connect(kubeconfig, data_dir), one(words)
    namespace = namespace if target.kind.namespaced else ""
    past = at(rest, target, namespace, revision)
    if past is None:
        raise CommandError(f"{target.kind.singular} {target.name} was not there at revision {revision}")
    query = {"fieldManager": "mini8s-undo"}
    try:
        current = rest.get(target.kind, namespace, target.name)
    except NotFound:
        rest.create(target.kind, restored(None, past), query=query)
        click.echo(f"{title(target.kind, target.name)} made anew as of revision {revision}")
        return
    rest.update(target.kind, restored(current, past), query=query)
    click.echo(f"{title(target.kind, target.name)} is as it was at revision {revision}")
