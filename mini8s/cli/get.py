"""`mini8s get`: objects as a table, as YAML or JSON, once or as they change."""

from __future__ import annotations

from typing import Any

import click

from mini8s.cli import output as out
from mini8s.cli.connect import connect, connection_options
from mini8s.cli.resources import Target, targets
from mini8s.client.rest import Rest, lines
from mini8s.objects.errors import from_status
from mini8s.objects.kinds import Obj
from mini8s.wire import codec


@click.command("get")
@click.argument("words", nargs=-1, metavar="TYPE[/NAME] [NAME]...")
@click.option("-n", "--namespace", default="default", show_default=True)
@click.option("-A", "--all-namespaces", is_flag=True, help="Of all namespaces.")
@click.option("-l", "--selector", default="", help="Label selector, such as app=web,tier!=test.")
@click.option("--field-selector", default="", help="Field selector, such as status.phase=Running.")
@click.option("-w", "--watch", is_flag=True, help="Go on and show what changes.")
@click.option("--no-headers", is_flag=True)
@out.output_option
@connection_options
def command(words: tuple[str, ...], kubeconfig: str, data_dir: str, **options: Any) -> None:
    """Show objects."""
    rest, wanted = connect(kubeconfig, data_dir), targets(words)
    query = Query(rest, **options)
    if out.is_table(query.output) or query.watch:
        for target in wanted:
            query.table(target, blank_line=target is not wanted[-1])
        return
    found = [obj for target in wanted for obj in query.objects(target)]
    out.echo(found, query.output, as_list=len(wanted) > 1 or not wanted[0].name)


class Query:
    """The command's options, and what they ask of the server."""

    def __init__(self, rest: Rest, **options: Any) -> None:
        self._rest = rest
        self.output: str = options["output"]
        self.watch: bool = options["watch"]
        self._no_headers: bool = options["no_headers"]
        self._everywhere: bool = options["all_namespaces"]
        self._namespace: str = "" if self._everywhere else options["namespace"]
        given = {"labelSelector": options["selector"], "fieldSelector": options["field_selector"]}
        self._selection = {key: value for key, value in given.items() if value}

    def objects(self, target: Target) -> list[Obj]:
        if target.name:
            return [self._rest.get(target.kind, self._namespace, target.name)]
        listed = self._rest.list(
            target.kind,
            self._namespace,
            labels=self._selection.get("labelSelector", ""),
            fields=self._selection.get("fieldSelector", ""),
        )
        return list(listed.items)

    def table(self, target: Target, *, blank_line: bool) -> None:
        """Print the table the server made; with --watch, its rows as they change until interrupted."""
        path = target.kind.path(self._namespace, target.name)
        accept = out.TABLE_ACCEPT
        answer = codec.decode_json(self._rest.request("GET", path, query=self._selection, accept=accept).body)
        if answer.get("rows"):
            self._echo(answer, target)
        elif not self.watch:
            where = f" in {self._namespace} namespace" if target.kind.namespaced and self._namespace else ""
            click.echo(f"No resources found{where}.", err=True)
        if blank_line:
            click.echo()
        if self.watch:
            self._follow(target, answer)

    def _follow(self, target: Target, answer: Obj) -> None:
        fields = {"fieldSelector": f"metadata.name={target.name}"} if target.name else {}
        query = self._selection | fields | {"watch": "true"}
        query["resourceVersion"] = answer["metadata"]["resourceVersion"]
        path = target.kind.path(self._namespace)
        columns = answer["columnDefinitions"]
        for line in lines(self._rest.stream("GET", path, query=query, accept=out.TABLE_ACCEPT)):
            event = codec.decode_json(line)
            if event["type"] == "ERROR":
                raise from_status(event["object"])
            columns = event["object"].get("columnDefinitions") or columns
            self._echo(event["object"] | {"columnDefinitions": columns}, target, no_headers=True)

    def _echo(self, answer: Obj, target: Target, *, no_headers: bool = False) -> None:
        out.echo_table(
            answer,
            self.output,
            no_headers=no_headers or self._no_headers,
            with_namespace=self._everywhere and target.kind.namespaced,
        )
