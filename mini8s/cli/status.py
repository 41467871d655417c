"""`mini8s status`: the cluster's health in a screen, from API data only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import click

from mini8s.cli.connect import connect, connection_options
from mini8s.cli.output import data_option, echo_data
from mini8s.client.rest import Rest
from mini8s.objects import conditions, kinds, meta
from mini8s.objects.kinds import Obj
from mini8s.objects.pods import is_ready, phase
from mini8s.objects.time import human_duration, parse_time
from mini8s.util.clock import SystemClock
from mini8s.wire import codec

RECENT = timedelta(minutes=30)
MOST_TROUBLES, MOST_WARNINGS = 12, 5  # with the counts above them, a terminal of 24 lines


@dataclass(frozen=True, slots=True)
class Facts:
    """What the screen is made of."""

    version: str
    nodes: Sequence[Obj]
    deployments: Sequence[Obj]
    pods: Sequence[Obj]
    events: Sequence[Obj]


@click.command("status")
@data_option
@connection_options
def command(output: str | None, kubeconfig: str, data_dir: str) -> None:
    """Say how the cluster is, in a screen; exit code 1 when something is not as it should be."""
    rest = connect(kubeconfig, data_dir)
    found = facts(rest)
    if output:
        echo_data(summary(found), output)
    else:
        for line in screen(found, SystemClock().now()):
            click.echo(click.style(line, fg="red") if line.startswith("!") else line)
    if troubles(found):
        raise SystemExit(1)


def facts(rest: Rest) -> Facts:
    version = codec.decode_json(rest.request("GET", "/version").body)["gitVersion"]
    lists = (rest.list(kind).items for kind in (kinds.NODES, kinds.DEPLOYMENTS, kinds.PODS, kinds.EVENTS))
    return Facts(version, *lists)


def screen(facts: Facts, now: datetime) -> Iterator[str]:
    """The lines: counts first, then each trouble, then the newest warnings."""
    ready = sum(conditions.is_true(node, "Ready") for node in facts.nodes)
    phases = Counter(phase(pod) or "Pending" for pod in facts.pods)
    yield f"Server       {facts.version}"
    yield f"Nodes        {ready} of {len(facts.nodes)} ready"
    full = sum(not _short_of(deployment) for deployment in facts.deployments)
    yield f"Deployments  {full} of {len(facts.deployments)} complete"
    yield "Pods         " + (", ".join(f"{count} {name}" for name, count in sorted(phases.items())) or "none")
    sentences = troubles(facts)
    for trouble in sentences[:MOST_TROUBLES]:
        yield f"! {trouble}"
    if len(sentences) > MOST_TROUBLES:
        yield f"! and {len(sentences) - MOST_TROUBLES} more: mini8s get nodes, mini8s get pods -A"
    yield from _warnings(facts.events, now)


def summary(facts: Facts) -> Obj:
    """The same for scripts."""
    sentences = troubles(facts)
    return {
        "version": facts.version,
        "healthy": not sentences,
        "nodes": {meta.name(node): conditions.is_true(node, "Ready") for node in facts.nodes},
        "pods": dict(Counter(phase(pod) or "Pending" for pod in facts.pods)),
        "troubles": sentences,
    }


def troubles(facts: Facts) -> list[str]:
    """A sentence for each thing that is not as it should be."""
    found = [_node_trouble(node) for node in facts.nodes if not conditions.is_true(node, "Ready")]
    for deployment in facts.deployments:
        missing = _short_of(deployment)
        if missing:
            found.append(f"deployment {meta.key(deployment)} lacks {missing} available replicas")
    return found + [f"pod {meta.key(pod)} is {_pod_state(pod)}" for pod in facts.pods if _ails(pod)]


def _node_trouble(node: Obj) -> str:
    said = conditions.get(node, "Ready") or {}
    return f"node {meta.name(node)} is not ready: {said.get('message') or 'it has not reported yet'}"


def _short_of(deployment: Obj) -> int:
    available = (deployment.get("status") or {}).get("availableReplicas", 0)
    return max(0, int(deployment["spec"].get("replicas", 1)) - int(available))


def _ails(pod: Obj) -> bool:
    return (
        phase(pod) == "Failed"
        or (phase(pod) == "Running" and not is_ready(pod))
        or phase(pod) in ("", "Pending")
    )


def _pod_state(pod: Obj) -> str:
    """The reason a container gives for waiting, else why it has no node, else the phase."""
    status = pod.get("status") or {}
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        waiting = (container.get("state") or {}).get("waiting")
        if waiting:
            return " ".join(filter(None, (waiting.get("reason"), waiting.get("message"))))
    unscheduled = conditions.get(pod, "PodScheduled") or {}
    if unscheduled.get("status") == "False":
        return f"without a node: {unscheduled.get('message')}"
    return "not ready" if phase(pod) == "Running" else phase(pod) or "Pending"


def _warnings(events: Sequence[Obj], now: datetime) -> Iterator[str]:
    recent = [event for event in events if event.get("type") == "Warning" and now - _seen(event) < RECENT]
    for event in sorted(recent, key=_seen)[-MOST_WARNINGS:]:
        about, age = event["involvedObject"], human_duration((now - _seen(event)).total_seconds())
        subject = f"{about['kind'].lower()}/{about['name']}"
        yield f"  {age} ago  {subject}: {event['reason']}: {event['message'].strip()}"


def _seen(event: Obj) -> datetime:
    stamp = event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"]
    return parse_time(str(stamp))
