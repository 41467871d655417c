"""`mini8s rollout`: follow, inspect, undo, restart, pause and resume the rollout of a Deployment."""

from __future__ import annotations

import time
from collections.abc import Callable

import click

from mini8s.cli.connect import connect, connection_options
from mini8s.cli.errors import CommandError
from mini8s.cli.resources import Target, namespace_option, one, title
from mini8s.client.rest import Rest
from mini8s.objects import conditions, kinds, meta
from mini8s.objects.kinds import Obj
from mini8s.objects.time import format_time
from mini8s.util.clock import SystemClock

REVISION = "deployment.kubernetes.io/revision"
HASH = "pod-template-hash"
POLL_SECONDS = 0.3


@click.group("rollout")
def command() -> None:
    """Manage the rollout of a Deployment."""


def _verb(name: str, about: str) -> Callable[[Callable[..., None]], click.Command]:
    """A subcommand on one Deployment."""

    def make(run: Callable[..., None]) -> click.Command:
        for decorate in (
            connection_options,
            namespace_option,
            click.argument("words", nargs=-1, metavar="deployment/NAME"),
        ):
            run = decorate(run)
        return command.command(name, help=about)(run)

    return make


@_verb("status", "Follow a rollout until it is done or has failed.")
@click.option("--timeout", type=float, default=0.0, help="Seconds to wait; 0 for as long as it takes.")
def status(words: tuple[str, ...], namespace: str, timeout: float, kubeconfig: str, data_dir: str) -> None:
    rest, target = connect(kubeconfig, data_dir), _deployment(words)
    deadline, said = time.monotonic() + timeout, ""
    while True:
        done, sentence = progress(rest.get(target.kind, namespace, target.name))
        if sentence != said:
            click.echo(sentence)
            said = sentence
        if done:
            return
        if timeout and time.monotonic() > deadline:
            raise CommandError(f"timed out waiting for the rollout of {target.name}")
        time.sleep(POLL_SECONDS)


def progress(deployment: Obj) -> tuple[bool, str]:
    """Whether a rollout is done, and kubectl's sentence about it. Raises CommandError when it has failed."""
    name, spec, seen = meta.name(deployment), deployment["spec"], deployment.get("status") or {}
    wanted = spec.get("replicas", 1)
    updated, total, ready = (seen.get(key, 0) for key in ("updatedReplicas", "replicas", "availableReplicas"))
    if meta.generation(deployment) > seen.get("observedGeneration", 0):
        return False, "Waiting for deployment spec update to be observed..."
    progressing = conditions.get(deployment, "Progressing") or {}
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        raise CommandError(f'deployment "{name}" exceeded its progress deadline')
    waiting = f'Waiting for deployment "{name}" rollout to finish: '
    if updated < wanted:
        return False, f"{waiting}{updated} out of {wanted} new replicas have been updated..."
    if total > updated:
        return False, f"{waiting}{total - updated} old replicas are pending termination..."
    if ready < updated:
        return False, f"{waiting}{ready} of {updated} updated replicas are available..."
    return True, f'deployment "{name}" successfully rolled out'


@_verb("history", "List the revisions that can be gone back to.")
def history(words: tuple[str, ...], namespace: str, kubeconfig: str, data_dir: str) -> None:
    rest, target = connect(kubeconfig, data_dir), _deployment(words)
    revisions = _revisions(rest, target, namespace)
    click.echo(f"{title(target.kind, target.name)}\nREVISION  CHANGE-CAUSE")
    for number, replicaset in sorted(revisions.items()):
        click.echo(f"{number:<10}{meta.annotations(replicaset).get('kubernetes.io/change-cause', '<none>')}")


@_verb("undo", "Go back to the revision before, or to the one given.")
@click.option("--to-revision", type=int, default=0, help="A revision of the history; 0 for the one before.")
def undo(words: tuple[str, ...], namespace: str, to_revision: int, kubeconfig: str, data_dir: str) -> None:
    rest, target = connect(kubeconfig, data_dir), _deployment(words)
    if rest.get(target.kind, namespace, target.name)["spec"].get("paused"):
        raise CommandError(
            f"you cannot rollback a paused deployment; resume it first with 'rollout resume {words[0]}'"
        )
    revisions = _revisions(rest, target, namespace)
    number = to_revision or max(sorted(revisions)[:-1], default=0)
    if number not in revisions:
        raise CommandError(
            f"unable to find revision {to_revision}" if to_revision else "no rollout history found"
        )
    template = dict(revisions[number]["spec"]["template"])
    labels = {key: value for key, value in meta.labels(template).items() if key != HASH}
    template["metadata"] = template.get("metadata", {}) | {"labels": labels}
    patch = [{"op": "replace", "path": "/spec/template", "value": template}]
    rest.patch(target.kind, namespace, target.name, patch, type="json")
    click.echo(f"{title(target.kind, target.name)} rolled back")


@_verb("restart", "Replace every pod, as a rolling update does.")
def restart(words: tuple[str, ...], namespace: str, kubeconfig: str, data_dir: str) -> None:
    stamp = {"kubectl.kubernetes.io/restartedAt": format_time(SystemClock().now())}
    patch = {"spec": {"template": {"metadata": {"annotations": stamp}}}}
    _change(connect(kubeconfig, data_dir), words, namespace, patch, "restarted")


@_verb("pause", "Keep changes of the template from being rolled out.")
def pause(words: tuple[str, ...], namespace: str, kubeconfig: str, data_dir: str) -> None:
    _change(connect(kubeconfig, data_dir), words, namespace, {"spec": {"paused": True}}, "paused")


@_verb("resume", "Let changes be rolled out again.")
def resume(words: tuple[str, ...], namespace: str, kubeconfig: str, data_dir: str) -> None:
    _change(connect(kubeconfig, data_dir), words, namespace, {"spec": {"paused": None}}, "resumed")


def _change(rest: Rest, words: tuple[str, ...], namespace: str, patch: Obj, done: str) -> None:
    target = _deployment(words)
    rest.patch(target.kind, namespace, target.name, patch)
    click.echo(f"{title(target.kind, target.name)} {done}")


def _deployment(words: tuple[str, ...]) -> Target:
    target = one(words)
    if target.kind is not kinds.DEPLOYMENTS:
        raise CommandError(f"rollouts are of deployments, not of {target.kind.plural}")
    return target


def _revisions(rest: Rest, target: Target, namespace: str) -> dict[int, Obj]:
    """The Deployment's ReplicaSets by revision."""
    uid = meta.uid(rest.get(target.kind, namespace, target.name))
    owned = [
        item
        for item in rest.list(kinds.REPLICASETS, namespace).items
        if (meta.controller_ref(item) or {}).get("uid") == uid
    ]
    return {int(meta.annotations(item).get(REVISION, 0)): item for item in owned}
