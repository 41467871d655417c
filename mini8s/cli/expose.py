"""`mini8s expose`: a Service before a workload's pods."""

from __future__ import annotations

import click

from mini8s.cli.connect import connect, connection_options
from mini8s.cli.errors import CommandError
from mini8s.cli.resources import namespace_option, one, title
from mini8s.objects.kinds import PODS, SERVICES, Obj

_TYPES = ("ClusterIP", "NodePort", "LoadBalancer")


@click.command("expose")
@click.argument("words", nargs=-1, metavar="TYPE/NAME")
@click.option("--port", type=click.IntRange(1, 65535), default=None, help="Port of the Service.")
@click.option("--target-port", default="", help="Port of the pods, a number or a name; the same when empty.")
@click.option("--protocol", type=click.Choice(["TCP", "UDP", "SCTP"]), default="TCP", help="Its protocol.")
@click.option("--type", "kind", type=click.Choice(_TYPES), default="ClusterIP", help="Who can reach it.")
@click.option("--name", default="", help="Name of the Service; that of the workload when empty.")
@namespace_option
@connection_options
def command(
    *,
    words: tuple[str, ...],
    port: int | None,
    target_port: str,
    protocol: str,
    kind: str,
    name: str,
    namespace: str,
    kubeconfig: str,
    data_dir: str,
) -> None:
    """Make a Service that leads to a workload's pods, or to those of another Service."""
    rest, target = connect(kubeconfig, data_dir), one(words)
    found = rest.get(target.kind, namespace, target.name)
    ports = [_port(port, protocol, target_port)] if port else declared(found)
    if not ports:
        raise CommandError(f"{'/'.join(words)} declares no port: give --port")
    spec = {"type": kind, "selector": selector(found, "/".join(words)), "ports": ports}
    service: Obj = {"apiVersion": "v1", "kind": "Service", "spec": spec}
    service["metadata"] = {
        "name": name or target.name,
        "namespace": namespace,
        "labels": found["metadata"].get("labels") or {},
    }
    rest.create(SERVICES, service)
    click.echo(f"{title(SERVICES, name or target.name)} exposed")


def _port(port: int, protocol: str, target: str) -> Obj:
    leads_to: int | str = int(target) if target.isdigit() else target or port
    return {"port": port, "protocol": protocol, "targetPort": leads_to}


def declared(found: Obj) -> list[Obj]:
    """What its containers say they listen at, each with a name when there are several."""
    spec = (found.get("spec") or {}).get("template", found).get("spec") or {}
    listed = [port for container in spec.get("containers") or () for port in container.get("ports") or ()]
    ports = [_port(one["containerPort"], one.get("protocol", "TCP"), "") for one in listed]
    return [port | {"name": f"port-{at}"} for at, port in enumerate(ports, 1)] if len(ports) > 1 else ports


def selector(found: Obj, what: str) -> Obj:
    """Services select by equality only. Raises CommandError."""
    if found["kind"] == PODS.kind:
        said = found["metadata"].get("labels")
    else:
        said = (found.get("spec") or {}).get("selector") or {}
        if said.get("matchExpressions"):
            raise CommandError(f"{what} selects its pods by expressions, which a Service can't")
        said = said.get("matchLabels", said)
    if not said:
        raise CommandError(f"{what} has no labels that a Service could select its pods by")
    return dict(said)
