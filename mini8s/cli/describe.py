"""`mini8s describe`: one object whole, for people, with the events about it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import click

from mini8s.cli.connect import connect, connection_options
from mini8s.cli.output import echo_nothing
from mini8s.cli.resources import Target, namespace_option, selector_option, targets
from mini8s.client.rest import Rest
from mini8s.objects import kinds, meta
from mini8s.objects.kinds import Obj
from mini8s.objects.time import human_duration, parse_time
from mini8s.util.clock import SystemClock

LABEL_WIDTH = 24
ACRONYMS = {"ip": "IP", "dns": "DNS", "id": "ID", "qos": "QoS", "cidr": "CIDR"}
SPELLED_OUT = ("Spec", "Status")  # elsewhere keys are somebody's own names
HIDDEN = ("kubectl.kubernetes.io/last-applied-configuration",)


@click.command("describe")
@click.argument("words", nargs=-1, metavar="TYPE[/NAME] [NAME]...")
@namespace_option
@selector_option
@connection_options
def command(words: tuple[str, ...], namespace: str, selector: str, kubeconfig: str, data_dir: str) -> None:
    """Show everything about objects, and the events about them."""
    rest, now = connect(kubeconfig, data_dir), SystemClock().now()
    found = [obj for target in targets(words) for obj in _find(rest, target, namespace, selector)]
    if not found:
        echo_nothing((target.kind for target in targets(words)), namespace)
    for index, obj in enumerate(found):
        if index:
            click.echo("\n")
        events = rest.list(kinds.EVENTS, meta.namespace(obj) or "default", fields=_about(obj)).items
        click.echo("\n".join([*description(obj), *event_lines(list(events), now)]))


def _find(rest: Rest, target: Target, namespace: str, selector: str) -> list[Obj]:
    if target.name:
        return [rest.get(target.kind, namespace, target.name)]
    return list(rest.list(target.kind, namespace, labels=selector).items)


def _about(obj: Obj) -> str:
    return f"involvedObject.name={meta.name(obj)},involvedObject.kind={obj['kind']}"


def description(obj: Obj) -> Iterator[str]:
    """The object's lines: what it is first, then each part as an indented outline."""
    annotations = {key: value for key, value in meta.annotations(obj).items() if key not in HIDDEN}
    yield from _entry("Name", meta.name(obj), 0)
    if meta.namespace(obj):
        yield from _entry("Namespace", meta.namespace(obj), 0)
    yield from _entry("Labels", meta.labels(obj), 0)
    yield from _entry("Annotations", annotations, 0)
    yield from _entry("Created", obj["metadata"].get("creationTimestamp"), 0)
    owner = meta.controller_ref(obj)
    if owner:
        yield from _entry("Controlled By", f"{owner['kind']}/{owner['name']}", 0)
    secret = obj["kind"] == "Secret"
    for key, value in obj.items():
        if key not in ("apiVersion", "kind", "metadata"):
            shown = _sizes(value) if secret and key == "data" else value
            yield from _entry(_title(key), shown, 0)


def _entry(title: str, value: Any, depth: int) -> Iterator[str]:
    indent = "  " * depth
    if value in (None, {}, [], ""):
        yield f"{indent}{title + ':':<{LABEL_WIDTH}}<none>".rstrip()
    elif isinstance(value, dict):
        yield f"{indent}{title}:"
        for key, item in value.items():
            yield from _entry(_title(key) if title in SPELLED_OUT else key, item, depth + 1)
    elif isinstance(value, list):
        yield f"{indent}{title}:"
        for item in value:
            yield from _item(item, depth + 1)
    else:
        yield from _scalar(title, str(value), indent)


def _scalar(title: str, value: str, indent: str) -> Iterator[str]:
    first, *rest = value.splitlines() or [""]
    if not rest:
        yield f"{indent}{title + ':':<{LABEL_WIDTH - 1}} {first}"
        return
    yield f"{indent}{title}:"
    for line in (first, *rest):
        yield f"{indent}  {line}"


def _item(item: Any, depth: int) -> Iterator[str]:
    """An element of a list: a dash before its first line."""
    if not isinstance(item, dict):
        yield "  " * depth + f"- {item}"
        return
    for index, line in enumerate(
        line for key, value in item.items() for line in _entry(key, value, depth + 1)
    ):
        dash = "  " * depth + "- "
        yield dash + line[len(dash) :] if index == 0 else line


def event_lines(events: list[Obj], now: datetime) -> Iterator[str]:
    if not events:
        yield f"{'Events:':<{LABEL_WIDTH}}<none>"
        return
    yield "Events:"
    rows = [("Type", "Reason", "Age", "From", "Message")]
    rows += [
        (event["type"], event["reason"], _age(event, now), _source(event), event["message"].strip())
        for event in sorted(events, key=_last_seen)
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        yield "  " + "  ".join([*cells, row[4]])


def _last_seen(event: Obj) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"])


def _age(event: Obj, now: datetime) -> str:
    age = human_duration((now - parse_time(_last_seen(event))).total_seconds())
    count = event.get("count") or 1
    return f"{age} (x{count})" if count > 1 else age


def _source(event: Obj) -> str:
    return str((event.get("source") or {}).get("component") or event.get("reportingComponent") or "")


def _title(key: str) -> str:
    """`revisionHistoryLimit` as `Revision History Limit`, `clusterIPs` as `Cluster IPs`; names stay
    as they are."""
    if not key.isalnum() or not key[:1].islower():
        return key
    words = re.findall(r"[A-Z]{2,}s?(?![a-z])|[A-Z]?[a-z0-9]+|[A-Z]", key)
    return " ".join(ACRONYMS.get(word.lower(), word[:1].upper() + word[1:]) for word in words)


def _sizes(data: dict[str, str] | None) -> dict[str, str]:
    return {key: f"{len(value) * 3 // 4 - value.count('=')} bytes" for key, value in (data or {}).items()}
