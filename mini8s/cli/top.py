"""`mini8s top`: what nodes and pods use now, as kubectl shows it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from decimal import Decimal

import click

from mini8s.cli.connect import connect, connection_options
from mini8s.cli.output import echo_nothing, echo_rows
from mini8s.cli.resources import namespace_option, selector_option
from mini8s.client.rest import Rest
from mini8s.objects import kinds, meta
from mini8s.objects.kinds import Obj
from mini8s.objects.quantity import parse

_MIB = 1 << 20


@click.command("top")
@click.argument("what", type=click.Choice(["node", "nodes", "pod", "pods"]))
@namespace_option
@click.option("-A", "--all-namespaces", is_flag=True, help="Pods of all namespaces.")
@selector_option
@connection_options
def command(
    *, what: str, namespace: str, all_namespaces: bool, selector: str, kubeconfig: str, data_dir: str
) -> None:
    """Show how much cpu and memory nodes or pods use."""
    rest = connect(kubeconfig, data_dir)
    if what.startswith("node"):
        names: Sequence[str] = ("Name", "CPU(cores)", "CPU(%)", "Memory(bytes)", "Memory(%)")
        rows = list(_nodes(rest, selector))
    else:
        names = ("Name", "CPU(cores)", "Memory(bytes)")
        rows = list(_pods(rest, "" if all_namespaces else namespace, selector))
        names, rows = (("Namespace", *names), rows) if all_namespaces else (names, [row[1:] for row in rows])
    if rows:
        echo_rows(names, rows)
    else:
        echo_nothing([kinds.NODES if what.startswith("node") else kinds.PODS], namespace)


def _nodes(rest: Rest, selector: str) -> Iterator[tuple[str, ...]]:
    sizes = {meta.name(node): node["status"]["allocatable"] for node in rest.list(kinds.NODES).items}
    for one in rest.list(kinds.NODEMETRICS, labels=selector).items:
        size, cpu, memory = sizes.get(meta.name(one), {}), _sum([one], "cpu"), _sum([one], "memory")
        yield (
            meta.name(one),
            cores(cpu),
            _share(cpu, size.get("cpu")),
            _mebi(memory),
            _share(memory, size.get("memory")),
        )


def _pods(rest: Rest, namespace: str, selector: str) -> Iterator[tuple[str, ...]]:
    for one in rest.list(kinds.PODMETRICS, namespace, labels=selector).items:
        used = one.get("containers") or ()
        yield meta.namespace(one), meta.name(one), cores(_sum(used, "cpu")), _mebi(_sum(used, "memory"))


def _sum(parts: Sequence[Obj], resource: str) -> Decimal:
    return sum((Decimal(parse(part["usage"].get(resource, "0"))) for part in parts), Decimal(0))


def cores(cpu: Decimal) -> str:
    """Rounded up, as kubectl does: what does little is not nothing."""
    return f"{math.ceil(cpu * 1000)}m"


def _mebi(memory: Decimal) -> str:
    return f"{int(memory) // _MIB}Mi"


def _share(used: Decimal, of: str | None) -> str:
    whole = Decimal(parse(of)) if of else Decimal(0)
    return f"{int(used * 100 / whole)}%" if whole else "<unknown>"
