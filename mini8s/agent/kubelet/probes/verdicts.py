"""PURE: what probes there are, and what their answers add up to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mini8s.agent.kubelet.probes import handlers
from mini8s.agent.kubelet.probes.handlers import Exec, Grpc, HttpGet, TcpSocket, Unknown
from mini8s.agent.kubelet.view import Verdict, View, Wanted
from mini8s.objects.kinds import Obj
from mini8s.objects.time import parse_time

Check = HttpGet | TcpSocket | Grpc | Exec | Unknown


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe of one running container. Seconds throughout."""

    container_id: str
    container: str
    type: str  # startup | readiness | liveness
    check: Check
    begins: float  # Unix time of the first try
    period: float
    timeout: float
    successes: int
    failures: int


@dataclass(frozen=True, slots=True)
class Tally:
    """`result` changes only after enough equal answers in a row; None until the first change."""

    result: bool | None = None
    answer: bool = False
    run: int = 0


def known_before(pod: Obj, probe: Probe) -> Tally:
    """What the status says of this very container: an agent that starts again must not take a container out
    of service until it has asked anew."""
    word = {"startup": "started", "readiness": "ready"}.get(probe.type, "")
    said = pod.get("status") or {}
    for status in (*(said.get("containerStatuses") or ()), *(said.get("initContainerStatuses") or ())):
        if status.get("containerID") == f"docker://{probe.container_id}" and status.get(word):
            return Tally(True)
    return Tally()


def settled(probe: Probe, tally: Tally) -> bool:
    """Whether it needs to be asked no more: it has started, or it is to be restarted."""
    if probe.type == "readiness":
        return False
    return tally.result is False or (probe.type == "startup" and tally.result is True)


def count(tally: Tally, probe: Probe, answer: bool) -> Tally:
    run = tally.run + 1 if tally.run and tally.answer == answer else 1
    enough = run >= (probe.successes if answer else probe.failures)
    return Tally(answer if enough else tally.result, answer, run)


def verdict(wanted: Obj, tallies: Mapping[str, Tally]) -> Verdict:
    """`tallies` by type, of one container."""
    results = {what: tally.result for what, tally in tallies.items()}
    started = "startupProbe" not in wanted or results.get("startup") is True
    ready = started and ("readinessProbe" not in wanted or results.get("readiness") is True)
    failed = next((what for what in ("startup", "liveness") if results.get(what) is False), "")
    return Verdict(started, ready, failed)


def probes_of(view: View, address: str, *, deleting: bool) -> list[Probe]:
    """What is to be asked now. A startup probe comes alone; a pod on its way out is asked no more whether it
    lives."""
    found: list[Probe] = []
    for wanted in (*(one for one in view.init_containers if one.sidecar), *view.containers):
        current = view.current(wanted)
        if current is None or not current.running or view.hooking(wanted, current):
            continue
        types: Sequence[str] = ("readiness",) if deleting else ("readiness", "liveness")
        if not view.verdict(current).started:
            types = () if deleting else ("startup",)
        began = parse_time(current.started_at).timestamp()
        found += [
            _probe(wanted, what, current.id, began, address)
            for what in types
            if f"{what}Probe" in wanted.spec
        ]
    return found


def _probe(wanted: Wanted, type: str, container_id: str, began: float, address: str) -> Probe:
    spec = wanted.spec[f"{type}Probe"]
    return Probe(
        container_id=container_id,
        container=wanted.name,
        type=type,
        check=_check(wanted, spec, container_id, address),
        begins=began + (spec.get("initialDelaySeconds") or 0),
        period=spec.get("periodSeconds") or 10,
        timeout=spec.get("timeoutSeconds") or 1,
        successes=spec.get("successThreshold") or 1,
        failures=spec.get("failureThreshold") or 3,
    )


def _check(wanted: Wanted, spec: Obj, container_id: str, address: str) -> Check:
    if target := spec.get("exec"):
        return Exec(container_id, tuple(target.get("command") or ()))
    if target := spec.get("httpGet"):
        return handlers.http(target, address, wanted.spec)
    if target := spec.get("grpc"):
        return Grpc(address, int(target["port"]), target.get("service") or "")
    if target := spec.get("tcpSocket"):
        port = handlers.port_number(wanted.spec, target["port"])
        return (
            handlers.no_port(target["port"])
            if port is None
            else TcpSocket(target.get("host") or address, port)
        )
    return Unknown("missing probe handler")
