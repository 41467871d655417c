"""`mini8s upgrade`: hosts one after another, each freed of its pods, upgraded by a command of the user's, and
brought back."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import click

from mini8s.cli.connect import connect, connection_options
from mini8s.cli.errors import CommandError
from mini8s.cli.upgrading import BadFile, Host, Step, Upgrade, is_ready, parse, refusal, steps, to_evict
from mini8s.client.rest import Rest
from mini8s.objects import meta
from mini8s.objects.errors import ApiError, BadRequest, NotFound, ServiceUnavailable, TooManyRequests
from mini8s.objects.kinds import LEASES, NODES, PODS, Obj
from mini8s.wire import codec

POLL_SECONDS = 1.0
_LEASES = "kube-node-lease"


@click.group("upgrade")
def command() -> None:
    """Upgrade hosts one by one, as a file says."""


@command.command("plan")
@click.argument("file")
@connection_options
def plan(file: str, kubeconfig: str, data_dir: str) -> None:
    """Show what `apply` would do."""
    upgrade, rest = _read(file), connect(kubeconfig, data_dir)
    _show(upgrade, _nodes(rest, upgrade))


@command.command("apply")
@click.argument("file")
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
@connection_options
def apply(file: str, dry_run: bool, kubeconfig: str, data_dir: str) -> None:
    """Drain each host, run its command, wait until it is Ready, let pods back; stop at the first failure."""
    upgrade, rest = _read(file), connect(kubeconfig, data_dir)
    nodes = _nodes(rest, upgrade)
    if dry_run:
        _show(upgrade, nodes)
        return
    for number, host in enumerate(upgrade.hosts):
        try:
            _Hosts(rest, upgrade).take(host, nodes[host.name])
        except (CommandError, ApiError) as error:
            left = ", ".join(other.name for other in upgrade.hosts[number + 1 :])
            rest_of_them = f"; not begun: {left}" if left else ""
            raise CommandError(f"{host.name}: {error}; the host stays as it is now{rest_of_them}") from error


def _read(file: str) -> Upgrade:
    try:
        return parse(codec.decode_yaml(Path(file).read_bytes()))
    except OSError as error:
        raise CommandError(f"{file} can't be read: {error.strerror}") from error
    except (BadFile, BadRequest) as error:
        raise CommandError(f"{file}: {error}") from error


def _nodes(rest: Rest, upgrade: Upgrade) -> dict[str, Obj]:
    nodes = {meta.name(node): node for node in rest.list(NODES).items}
    if why := refusal(upgrade, nodes):
        raise CommandError(f"nothing was begun: {why}")
    return nodes


def _show(upgrade: Upgrade, nodes: dict[str, Obj]) -> None:
    for host in upgrade.hosts:
        click.echo(f"{host.name} ({_version(nodes[host.name])})")
        for step in steps(host, nodes[host.name]):
            click.echo(f"  {step.value}{f': {host.command}' if step is Step.RUN else ''}")


def _version(node: Obj) -> str:
    return str(node.get("status", {}).get("nodeInfo", {}).get("kubeletVersion", "unknown"))


class _Hosts:
    """One host after another, through the API. The server's own host is one of them: while it is away it is
    asked again."""

    def __init__(self, rest: Rest, upgrade: Upgrade) -> None:
        self._rest = rest
        self._upgrade = upgrade

    def take(self, host: Host, node: Obj) -> None:
        for step in steps(host, node):
            click.echo(f"{host.name}: {step.value}")
            if step is Step.CORDON:
                self._schedulable(host.name, wanted=False)
            elif step is Step.DRAIN:
                self._drain(host.name)
            elif step is Step.RUN:
                _run(host.command)
            elif step is Step.WAIT:
                self._wait_ready(host.name)
            else:
                self._schedulable(host.name, wanted=True)
        now = self._rest.get(NODES, "", host.name)
        click.echo(f"{host.name}: {_version(node)} is now {_version(now)}")

    def _schedulable(self, name: str, *, wanted: bool) -> None:
        self._rest.patch(NODES, "", name, {"spec": {"unschedulable": None if wanted else True}})

    def _drain(self, name: str) -> None:
        def gone() -> bool:
            left = to_evict(self._rest.list(PODS, fields=f"spec.nodeName={name}").items)
            for pod in left:
                self._evict(pod)
            return not left

        _until(gone, self._upgrade.drain_seconds, "its pods did not leave")

    def _evict(self, pod: Obj) -> None:
        """A disruption budget may say no for now."""
        if pod["metadata"].get("deletionTimestamp"):
            return
        name, namespace = meta.name(pod), meta.namespace(pod)
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": namespace},
        }
        try:
            path = PODS.path(namespace, name, "eviction")
            self._rest.request("POST", path, body=codec.encode_json(body))
        except (NotFound, TooManyRequests):
            return

    def _wait_ready(self, name: str) -> None:
        """Ready, and heard of since the command has ended: what the server knows may be from before."""
        first: list[str] = []

        def back() -> bool:
            try:
                renewed = str(self._rest.get(LEASES, _LEASES, name)["spec"]["renewTime"])
                ready = is_ready(self._rest.get(NODES, "", name))
            except (ServiceUnavailable, NotFound):
                return False
            first.append(renewed)
            return ready and renewed != first[0]

        _until(back, self._upgrade.ready_seconds, "it did not become Ready")


def _run(command: str) -> None:
    done = subprocess.run(["/bin/sh", "-c", command], check=False)
    if done.returncode:
        raise CommandError(f"the command failed with {done.returncode}")


def _until(look: Callable[[], bool], seconds: float, otherwise: str) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        if time.monotonic() > deadline:
            raise CommandError(f"{otherwise} within {seconds:.0f} s")
        time.sleep(POLL_SECONDS)
