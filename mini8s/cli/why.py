"""`mini8s why`: one sentence about an object, and the chain of causes behind it."""

from __future__ import annotations

from collections.abc import Sequence

import click

from mini8s.cli.causes import ANSWERS
from mini8s.cli.connect import connect, connection_options
from mini8s.cli.errors import CommandError
from mini8s.cli.resources import namespace_option, one
from mini8s.client.rest import Rest
from mini8s.objects import kinds, meta
from mini8s.objects.errors import Forbidden, NotFound
from mini8s.objects.kinds import Kind, Obj


@click.command("why")
@click.argument("words", nargs=-1, metavar="TYPE/NAME")
@namespace_option
@connection_options
def command(words: tuple[str, ...], namespace: str, kubeconfig: str, data_dir: str) -> None:
    """Say why an object is as it is; exit code 1 when something is to be mended."""
    target = one(words)
    if target.kind not in ANSWERS:
        known = ", ".join(sorted(kind.singular for kind in ANSWERS))
        raise CommandError(f"there is no why for {target.kind.plural}; there is for {known}")
    rest = connect(kubeconfig, data_dir)
    cause = ANSWERS[target.kind](Cluster(rest), rest.get(target.kind, namespace, target.name))
    click.echo("\n".join(cause.lines()))
    if not cause.well:
        raise SystemExit(1)


class Cluster:
    """The API as `causes.base.World`, each list asked for once. What one may not see counts as not there."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._lists: dict[tuple[Kind, str, str, str], Sequence[Obj]] = {}

    def get(self, kind: Kind, namespace: str, name: str) -> Obj | None:
        try:
            return self._rest.get(kind, namespace, name)
        except (NotFound, Forbidden):
            return None

    def list(self, kind: Kind, namespace: str = "", *, labels: str = "", fields: str = "") -> Sequence[Obj]:
        key = kind, namespace, labels, fields
        if key not in self._lists:
            try:
                listed = self._rest.list(kind, namespace, labels=labels, fields=fields)
                self._lists[key] = [_typed(kind, obj) for obj in listed.items]
            except Forbidden:
                self._lists[key] = ()
        return self._lists[key]

    def events(self, obj: Obj) -> Sequence[Obj]:
        namespace = meta.namespace(obj) or "default"
        about = [
            event
            for event in self.list(kinds.EVENTS, namespace)
            if event["involvedObject"].get("name") == meta.name(obj)
            and event["involvedObject"].get("kind") == obj["kind"]
        ]
        return sorted(about, key=_seen, reverse=True)


def _typed(kind: Kind, obj: Obj) -> Obj:
    """Elements of a list do not say what they are."""
    return {"apiVersion": kind.api_version, "kind": kind.kind} | obj


def _seen(event: Obj) -> str:
    series = event.get("series") or {}
    return str(
        series.get("lastObservedTime")
        or event.get("lastTimestamp")
        or event.get("eventTime")
        or event["metadata"]["creationTimestamp"]
    )
