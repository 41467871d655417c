"""`mini8s run`: a Deployment and its Service from one line, followed until it runs or says why not.

The job file of Google's Borg in the shape of a command: so many replicas of an image, with so much cpu and
memory.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import click

from mini8s.cli.causes.workloads import deployment as reason
from mini8s.cli.connect import connect, connection_options
from mini8s.cli.errors import CommandError
from mini8s.cli.resources import namespace_option, title
from mini8s.cli.rollout import progress
from mini8s.cli.why import Cluster
from mini8s.client.rest import Rest
from mini8s.objects.errors import AlreadyExists
from mini8s.objects.kinds import DEPLOYMENTS, SERVICES, Kind, Obj

WELL_KNOWN = {"http": 80, "https": 443, "dns": 53, "mqtt": 1883, "postgres": 5432, "redis": 6379}
POLL_SECONDS = 0.5
STILL_SECONDS = 15.0  # without a step forward, before it is said why; it may still come


@click.command("run", context_settings={"allow_interspersed_args": True})
@click.argument("name")
@click.argument("args", nargs=-1)
@click.option("--image", required=True, help="Image of the container.")
@click.option("--replicas", type=click.IntRange(min=0), default=1, show_default=True, help="How many pods.")
@click.option("--cpu", default="", help="Cores a pod requests, such as 0.1 or 100m.")
@click.option("--memory", default="", help="Memory a pod may use, such as 100M.")
@click.option(
    "--port",
    "ports",
    multiple=True,
    help="NUMBER, NAME:NUMBER, or a name such as http: a Service leads there.",
)
@click.option("--env", "variables", multiple=True, help="NAME=VALUE for the container.")
@click.option("--dry-run", is_flag=True, help="Check with the server, and store nothing.")
@click.option("--no-wait", is_flag=True, help="Do not follow it.")
@click.option("--timeout", type=float, default=600.0, show_default=True, help="Seconds to follow it.")
@namespace_option
@connection_options
def command(namespace: str, kubeconfig: str, data_dir: str, **options: Any) -> None:
    """Run so many pods of an image, and follow them until they are available. Arguments after -- are the
    container's."""
    rest, wanted = connect(kubeconfig, data_dir), Wanted.of(namespace, options)
    made = [(DEPLOYMENTS, deployment(wanted))]
    if wanted.ports:
        made.append((SERVICES, service(wanted)))
    for kind, obj in made:
        _make(rest, kind, obj, options["dry_run"])
    if not options["dry_run"] and not options["no_wait"]:
        _follow(rest, wanted, options["timeout"])


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for. cpu is requested and may be exceeded; memory is a bound."""

    name: str
    namespace: str
    image: str
    replicas: int = 1
    args: Sequence[str] = ()
    cpu: str = ""
    memory: str = ""
    ports: Mapping[str, int] = field(default_factory=dict)
    env: Sequence[Obj] = ()

    @classmethod
    def of(cls, namespace: str, options: Mapping[str, Any]) -> Wanted:
        """Raises click.BadParameter."""
        same = {key: options[key] for key in ("name", "image", "replicas", "args", "cpu", "memory")}
        ports = dict(map(_port, options["ports"]))
        return cls(namespace=namespace, ports=ports, env=list(map(_variable, options["variables"])), **same)


def deployment(wanted: Wanted) -> Obj:
    requests = {key: value for key, value in (("cpu", wanted.cpu), ("memory", wanted.memory)) if value}
    limits = {"memory": wanted.memory} if wanted.memory else {}
    container: Obj = {"name": wanted.name, "image": wanted.image}
    container["resources"] = {
        key: value for key, value in (("requests", requests), ("limits", limits)) if value
    }
    ports = [{"name": name, "containerPort": number} for name, number in wanted.ports.items()]
    more = {"args": list(wanted.args), "ports": ports, "env": list(wanted.env)}
    container |= {key: value for key, value in more.items() if value}
    labels = {"app": wanted.name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": wanted.name, "namespace": wanted.namespace, "labels": labels},
        "spec": {
            "replicas": wanted.replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def service(wanted: Wanted) -> Obj:
    listed = [{"name": name, "port": port, "targetPort": name} for name, port in wanted.ports.items()]
    labels = {"app": wanted.name}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": wanted.name, "namespace": wanted.namespace, "labels": labels},
        "spec": {"selector": labels, "ports": listed},
    }


def _port(text: str) -> tuple[str, int]:
    """The port's name and number. Raises click.BadParameter."""
    word, colon, number = text.rpartition(":")
    if not colon and text in WELL_KNOWN:
        return text, WELL_KNOWN[text]
    if not number.isdigit() or not 0 < int(number) < 65536:
        known = ", ".join(WELL_KNOWN)
        raise click.BadParameter(f"--port {text} is not NUMBER, NAME:NUMBER, or one of {known}")
    return word or f"port-{number}", int(number)


def _variable(text: str) -> Obj:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise click.BadParameter(f"--env {text} is not NAME=VALUE")
    return {"name": name, "value": value}


def _make(rest: Rest, kind: Kind, obj: Obj, dry_run: bool) -> None:
    query = {"fieldManager": "mini8s-run", "fieldValidation": "Strict"} | (
        {"dryRun": "All"} if dry_run else {}
    )
    name = obj["metadata"]["name"]
    try:
        rest.create(kind, obj, query=query)
    except AlreadyExists as error:
        raise CommandError(
            f"{title(kind, name)} is there already: delete it, or change it with apply"
        ) from error
    click.echo(f"{title(kind, name)} created{' (server dry run)' if dry_run else ''}")


def _follow(rest: Rest, wanted: Wanted, timeout: float) -> None:
    """Raises CommandError with the reason when it does not come to be."""
    steps = _steps(rest, wanted.namespace, wanted.name, timeout)
    if not sys.stdout.isatty():
        for available in steps:
            click.echo(f"{available} of {wanted.replicas} available")
        return
    with click.progressbar(length=wanted.replicas, label=wanted.name, show_pos=True) as bar:
        for available in steps:
            bar.update(available - bar.pos)


def _steps(rest: Rest, namespace: str, name: str, timeout: float) -> Iterator[int]:
    """How many are available, each time that there are more or fewer."""
    begun = moved = time.monotonic()
    last, told = -1, False
    while True:
        found = rest.get(DEPLOYMENTS, namespace, name)
        available = (found.get("status") or {}).get("availableReplicas", 0)
        try:
            done, _ = progress(found)
        except CommandError:
            raise CommandError(_reason(rest, found)) from None
        now = time.monotonic()
        if available != last:
            last, moved, told = available, now, False
            yield available
        if done:
            return
        if now - begun > timeout:
            raise CommandError(_reason(rest, found))
        if now - moved > STILL_SECONDS and not told:
            told = True
            click.echo(_reason(rest, found), err=True)
        time.sleep(POLL_SECONDS)


def _reason(rest: Rest, found: Obj) -> str:
    cause = reason(Cluster(rest), {"kind": "Deployment", "apiVersion": "apps/v1"} | found)
    return "\n".join(["it is not there yet:", *cause.lines(1)])
