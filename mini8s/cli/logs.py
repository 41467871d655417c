"""`mini8s logs`: what a pod's container prints."""

from __future__ import annotations

import re
import sys
from typing import Any

import click

from mini8s.cli.connect import connect, connection_options
from mini8s.cli.errors import CommandError
from mini8s.cli.resources import namespace_option, targets
from mini8s.client.rest import Rest
from mini8s.objects import kinds, labels, meta

_UNITS = {"h": 3600, "m": 60, "s": 1}


@click.command("logs")
@click.argument("word", metavar="POD|TYPE/NAME")
@namespace_option
@click.option("-c", "--container", default="", help="Container, where the pod has several.")
@click.option("-f", "--follow", is_flag=True, help="Go on as more is printed.")
@click.option("-p", "--previous", is_flag=True, help="Of the container before the last restart.")
@click.option("--tail", type=int, default=-1, help="Only so many of the newest lines.")
@click.option("--since", default="", help="Only what is newer, such as 5s, 2m or 3h.")
@click.option("--timestamps", is_flag=True, help="With the time before each line.")
@connection_options
def command(word: str, namespace: str, kubeconfig: str, data_dir: str, **options: Any) -> None:
    """Print the logs of a container."""
    rest = connect(kubeconfig, data_dir)
    path = kinds.PODS.path(namespace, pod_of(rest, word, namespace), "log")
    for piece in rest.stream("GET", path, query=_query(**options), accept="*/*"):
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()


def pod_of(rest: Rest, word: str, namespace: str) -> str:
    """The pod meant: by name, or the first of those that a Deployment, ReplicaSet or Service selects."""
    if "/" not in word:
        return word
    [target] = targets([word])
    if target.kind is kinds.PODS:
        return target.name
    selector = rest.get(target.kind, namespace, target.name).get("spec", {}).get("selector")
    if not selector:
        raise CommandError(f"{word} selects no pods")
    if "matchLabels" not in selector and "matchExpressions" not in selector:
        selector = {"matchLabels": selector}  # a Service's selector is plain labels
    found = rest.list(kinds.PODS, namespace, labels=str(labels.from_label_selector(selector))).items
    if not found:
        raise CommandError(f"{word} has no pods")
    return min(meta.name(pod) for pod in found)


def _query(
    *, container: str, follow: bool, previous: bool, tail: int, since: str, timestamps: bool
) -> dict[str, str]:
    query = {name: "true" for name, given in
             (("follow", follow), ("previous", previous), ("timestamps", timestamps)) if given}  # fmt: skip
    if container:
        query["container"] = container
    if tail >= 0:
        query["tailLines"] = str(tail)
    if since:
        query["sinceSeconds"] = str(seconds(since))
    return query


def seconds(text: str) -> int:
    """`1h2m3s` in seconds. Raises CommandError."""
    parts = re.findall(r"(\d+)([hms])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise CommandError(f"{text!r} is not a duration such as 5s, 2m or 3h")
    return sum(int(number) * _UNITS[unit] for number, unit in parts)
