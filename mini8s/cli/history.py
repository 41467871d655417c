"""`mini8s history`: an object's revisions, who made them and what they changed, or the object as it was."""

from __future__ import annotations

import click

from mini8s.cli import output as out
from mini8s.cli.connect import connect, connection_options
from mini8s.cli.errors import CommandError
from mini8s.cli.past import at, revisions
from mini8s.cli.resources import namespace_option, one

HEADER = ("REVISION", "WHO", "WHAT")


@click.command("history")
@click.argument("words", nargs=-1, metavar="TYPE/NAME")
@click.option("--at", "revision", type=int, default=0, help="Print the object as it was at this revision.")
@namespace_option
@out.output_option
@connection_options
def command(
    words: tuple[str, ...], revision: int, namespace: str, output: str, kubeconfig: str, data_dir: str
) -> None:
    """List an object's revisions as far back as the log goes."""
    rest, target = connect(kubeconfig, data_dir), one(words)
    namespace = namespace if target.kind.namespaced else ""
    if revision:
        found = at(rest, target, namespace, revision)
        if found is None:
            raise CommandError(f"{target.kind.singular} {target.name} was not there at revision {revision}")
        out.echo([found], output if output not in ("", "wide") else "yaml", as_list=False)
        return
    rows = [HEADER]
    for made in revisions(rest, target, namespace):
        rows += [(str(made.number), made.who, made.what[0]), *(("", "", what) for what in made.what[1:])]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    for row in rows:
        click.echo(f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]}".rstrip())
