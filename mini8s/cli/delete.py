"""`mini8s delete`: objects by name, by label or by file; returns when they are gone."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from mini8s.cli import manifests
from mini8s.cli.connect import connect, connection_options
from mini8s.cli.errors import CommandError
from mini8s.cli.resources import Target, kind_of_object, namespace_option, selector_option, targets, title
from mini8s.client.rest import Rest
from mini8s.objects import meta
from mini8s.objects.errors import NotFound
from mini8s.objects.kinds import Kind

POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Doomed:
    """One object to delete."""

    kind: Kind
    namespace: str
    name: str


@click.command("delete")
@click.argument("words", nargs=-1, metavar="[TYPE[/NAME] [NAME]...]")
@click.option("-f", "--filename", "files", multiple=True, help="File, folder, or - for stdin.")
@namespace_option
@selector_option
@click.option("--all", "everything", is_flag=True, help="All of the type in the namespace.")
@click.option("--grace-period", type=int, default=None, help="Seconds a pod gets to end by itself.")
@click.option(
    "--cascade",
    type=click.Choice(["background", "foreground", "orphan"]),
    default="background",
    show_default=True,
    help="What becomes of the objects that it owns: deleted after it, before it, or left.",
)
@click.option("--wait/--no-wait", default=True, help="Return when the objects are gone.  [default: wait]")
@click.option("--timeout", type=float, default=300.0, show_default=True, help="Seconds to wait.")
@click.option("--ignore-not-found", is_flag=True, help="What is gone already is no error.")
@connection_options
def command(
    words: tuple[str, ...], files: tuple[str, ...], kubeconfig: str, data_dir: str, **options: Any
) -> None:
    """Delete objects."""
    rest = connect(kubeconfig, data_dir)
    doomed = _from_files(files, options["namespace"]) if files else _from_words(rest, words, options)
    deleted = [item for item in doomed if _delete(rest, item, options)]
    if options["wait"]:
        _wait(rest, deleted, options["timeout"])


def _delete(rest: Rest, item: Doomed, options: Mapping[str, Any]) -> bool:
    """Ask for the deletion; whether there was anything to delete."""
    grace, propagation = options["grace_period"], options["cascade"].capitalize()
    try:
        rest.delete(item.kind, item.namespace, item.name, grace_seconds=grace, propagation=propagation)
    except NotFound:
        if options["ignore_not_found"]:
            return False
        raise
    click.echo(f"{title(item.kind, item.name)} deleted")
    return True


def _from_files(files: Sequence[str], namespace: str) -> list[Doomed]:
    objects = manifests.read(files, namespace)
    return [Doomed(kind_of_object(obj), meta.namespace(obj), meta.name(obj)) for obj in objects]


def _from_words(rest: Rest, words: Sequence[str], options: Mapping[str, Any]) -> list[Doomed]:
    return [item for target in targets(words) for item in _expanded(rest, target, options)]


def _expanded(rest: Rest, target: Target, options: Mapping[str, Any]) -> list[Doomed]:
    """The objects that a target stands for: itself, or all of its kind that the options select."""
    space = options["namespace"] if target.kind.namespaced else ""
    if target.name:
        return [Doomed(target.kind, space, target.name)]
    if not options["selector"] and not options["everything"]:
        raise CommandError("resource(s) were provided, but no name, label selector, or --all flag specified")
    listed = rest.list(target.kind, space, labels=options["selector"])
    return [Doomed(target.kind, space, meta.name(obj)) for obj in listed.items]


def _wait(rest: Rest, doomed: Sequence[Doomed], timeout: float) -> None:
    deadline = time.monotonic() + timeout
    for item in doomed:
        while _exists(rest, item):
            if time.monotonic() > deadline:
                raise CommandError(f"timed out waiting for {title(item.kind, item.name)} to go")
            time.sleep(POLL_SECONDS)


def _exists(rest: Rest, item: Doomed) -> bool:
    try:
        found = rest.get(item.kind, item.namespace, item.name)
    except NotFound:
        return False
    return meta.deleting(found)  # one that is not on its way out is a new one of the same name
