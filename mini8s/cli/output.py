"""How results are printed: kubectl's -o formats."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click

from mini8s.cli.errors import CommandError
from mini8s.cli.jsonpath import BadTemplate, render
from mini8s.cli.resources import kind_of_object, title
from mini8s.objects import meta
from mini8s.objects.kinds import Kind, Obj
from mini8s.wire import codec, table

TABLE_ACCEPT = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


def output_option(command: Callable[..., None]) -> Callable[..., None]:
    about = "json, yaml, name, wide or jsonpath=TEMPLATE."
    return click.option("-o", "--output", default="", callback=_checked, help=about)(command)


def data_option(command: Callable[..., None]) -> Callable[..., None]:
    """-o for what is no object of the API."""
    kinds = click.Choice(["json", "yaml"])
    return click.option("-o", "--output", type=kinds, help="json or yaml in place of a table.")(command)


def echo_data(value: Any, output: str) -> None:
    text = json.dumps(value, indent=4) if output == "json" else codec.encode_yaml(value).decode().rstrip()
    click.echo(text)


def is_table(output: str) -> bool:
    return output in ("", "wide")


def echo_table(answer: Obj, output: str, *, no_headers: bool = False, namespaces: bool = False) -> None:
    text = table.text(answer, wide=output == "wide", no_headers=no_headers, namespaces=namespaces)
    click.echo(text, nl=False)


def echo_rows(names: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table of what is no object of the API."""
    columns = [{"name": name, "type": "string", "format": "", "priority": 0} for name in names]
    echo_table({"columnDefinitions": columns, "rows": [{"cells": list(row)} for row in rows]}, "")


def echo_listed(names: Sequence[str], rows: Sequence[Sequence[str]], output: str | None) -> None:
    """The same for people as a table, for scripts as a list of mappings."""
    if output:
        echo_data([dict(zip(map(_key, names), row, strict=True)) for row in rows], output)
    else:
        echo_rows(names, rows)


def echo_nothing(kinds: Iterable[Kind], namespace: str) -> None:
    """Nothing to show is no error, but said; `namespace` is empty where all were looked at."""
    inside = namespace and any(kind.namespaced for kind in kinds)
    where = f" in {namespace} namespace." if inside else ""
    click.echo(f"No resources found{where}", err=True)


def with_kind(answer: Obj, kind: Kind) -> Obj:
    """The table with its kind before each name, as kubectl shows several kinds at once."""
    columns = [column.get("format") == "name" for column in answer["columnDefinitions"]]

    def named(cells: Sequence[Any]) -> list[Any]:
        return [title(kind, cell) if is_name else cell for cell, is_name in zip(cells, columns, strict=True)]

    return answer | {"rows": [row | {"cells": named(row["cells"])} for row in answer["rows"]]}


def echo(objects: Sequence[Obj], output: str, *, as_list: bool) -> None:
    """Print objects in one of the formats that are no table; several make a List."""
    if output == "name":
        for obj in objects:
            click.echo(title(kind_of_object(obj), meta.name(obj)))
        return
    whole: Any = (
        {"apiVersion": "v1", "kind": "List", "metadata": {}, "items": list(objects)}
        if as_list
        else objects[0]
    )
    if output == "yaml":
        click.echo(codec.encode_yaml(_readable(whole)).decode(), nl=False)
    elif output == "json":
        click.echo(json.dumps(_readable(whole), indent=4))
    else:
        try:
            click.echo(render(output.removeprefix("jsonpath="), whole), nl=False)
        except BadTemplate as error:
            raise CommandError(f"jsonpath: {error}") from error


def _readable(obj: Obj) -> Obj:
    """Without managedFields, also in a List: kubectl hides them too, and who wants them asks the API."""
    if "items" in obj and obj.get("kind") == "List":
        return obj | {"items": [_readable(item) for item in obj["items"]]}
    shown = {key: value for key, value in (obj.get("metadata") or {}).items() if key != "managedFields"}
    return obj | {"metadata": shown}


def _key(title: str) -> str:
    """`usedBy` of `Used by`."""
    first, *others = title.lower().split()
    return first + "".join(word.capitalize() for word in others)


def _checked(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    if value in ("", "json", "yaml", "name", "wide") or value.startswith("jsonpath="):
        return value
    raise click.BadParameter(f"{value!r} is not json, yaml, name, wide or jsonpath=TEMPLATE")
