"""`mini8s get`: objects as a table, as YAML or JSON, once or as they change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import click

from mini8s.cli import output as out
from mini8s.cli.connect import connect, connection_options
from mini8s.cli.errors import CommandError
from mini8s.cli.resources import Target, namespace_option, selector_option, targets
from mini8s.client.rest import Rest, lines
from mini8s.objects.errors import from_status
from mini8s.objects.kinds import Kind, Obj
from mini8s.wire import codec


@click.command("get")
@click.argument("words", nargs=-1, metavar="TYPE[/NAME] [NAME]...")
@namespace_option
@click.option("-A", "--all-namespaces", is_flag=True, help="Of all namespaces.")
@selector_option
@click.option("--field-selector", default="", help="Field selector, such as status.phase=Running.")
@click.option("-w", "--watch", is_flag=True, help="Go on and show what changes.")
@click.option("--no-headers", is_flag=True, help="Rows only.")
@out.output_option
@connection_options
def command(words: tuple[str, ...], kubeconfig: str, data_dir: str, **options: Any) -> None:
    """Show objects."""
    rest, wanted = connect(kubeconfig, data_dir), targets(words)
    query = Query(rest, **options)
    if query.everywhere and any(target.name for target in wanted):
        raise CommandError("a resource cannot be retrieved by name across all namespaces")
    if query.watch:
        _watch(query, wanted)
    elif out.is_table(query.output):
        _tables(query, wanted)
    else:
        found = [obj for target in wanted for obj in query.objects(target)]
        out.echo(found, query.output, as_list=len(wanted) > 1 or not wanted[0].name)


class Query:
    """The command's options, and what they ask of the server."""

    def __init__(self, rest: Rest, **options: Any) -> None:
        self._rest = rest
        self.output: str = options["output"]
        self.watch: bool = options["watch"]
        self.no_headers: bool = options["no_headers"]
        self.everywhere: bool = options["all_namespaces"]
        self.namespace: str = "" if self.everywhere else options["namespace"]
        given = {"labelSelector": options["selector"], "fieldSelector": options["field_selector"]}
        self._selection = {key: value for key, value in given.items() if value}

    def objects(self, target: Target) -> list[Obj]:
        if target.name:
            return [self._rest.get(target.kind, self.namespace, target.name)]
        listed = self._rest.list(
            target.kind,
            self.namespace,
            labels=self._selection.get("labelSelector", ""),
            fields=self._selection.get("fieldSelector", ""),
        )
        return list(listed.items)

    def table(self, kind: Kind, name: str = "") -> Obj:
        """The table that the server makes."""
        path = kind.path(self.namespace, name)
        answer = self._rest.request("GET", path, query=self._selection, accept=out.TABLE_ACCEPT)
        table: Obj = codec.decode_json(answer.body)
        return table

    def changes(self, target: Target, revision: str, accept: str) -> Iterator[Obj]:
        """What changes after a revision: tables or objects, as `accept` says. Raises ApiError."""
        fields = {"fieldSelector": f"metadata.name={target.name}"} if target.name else {}
        query = self._selection | fields | {"watch": "true", "resourceVersion": revision}
        path = target.kind.path(self.namespace)
        for line in lines(self._rest.stream("GET", path, query=query, accept=accept)):
            event = codec.decode_json(line)
            if event["type"] == "ERROR":
                raise from_status(event["object"])
            yield event["object"]


def _tables(query: Query, wanted: Sequence[Target]) -> None:
    """A table for each kind, with a blank line between them; several kinds are told apart by their names."""
    names: dict[Kind, list[str]] = {}
    for target in wanted:
        names.setdefault(target.kind, []).append(target.name)
    tables = {kind: _joined([query.table(kind, name) for name in asked]) for kind, asked in names.items()}
    shown = {kind: table for kind, table in tables.items() if table["rows"]}
    for index, (kind, table) in enumerate(shown.items()):
        if index:
            click.echo()
        _echo(query, kind, out.with_kind(table, kind) if len(names) > 1 else table)
    if not shown:
        out.echo_nothing(names, query.namespace)


def _joined(tables: Sequence[Obj]) -> Obj:
    return {**tables[0], "rows": [row for table in tables for row in table.get("rows") or ()]}


def _watch(query: Query, wanted: Sequence[Target]) -> None:
    """What there is, then what changes, until interrupted."""
    if len(wanted) > 1:
        raise CommandError("you may only specify a single resource type, or one object, with --watch")
    target = wanted[0]
    table = query.table(target.kind, target.name)
    revision = table["metadata"]["resourceVersion"]
    if out.is_table(query.output):
        _watch_table(query, target, table, revision)
        return
    for obj in query.objects(target):
        out.echo([obj], query.output, as_list=False)
    for obj in query.changes(target, revision, "application/json"):
        out.echo([obj], query.output, as_list=False)


def _watch_table(query: Query, target: Target, table: Obj, revision: str) -> None:
    columns, seen = table["columnDefinitions"], bool(table.get("rows"))
    if seen:
        _echo(query, target.kind, table)
    for change in query.changes(target, revision, out.TABLE_ACCEPT):
        columns = change.get("columnDefinitions") or columns
        _echo(query, target.kind, {**change, "columnDefinitions": columns}, no_headers=seen)
        seen = True


def _echo(query: Query, kind: Kind, table: Obj, *, no_headers: bool = False) -> None:
    out.echo_table(
        table,
        query.output,
        no_headers=no_headers or query.no_headers,
        namespaces=query.everywhere and kind.namespaced,
    )
