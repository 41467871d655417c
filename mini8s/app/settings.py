"""Settings put together (`given.py` says from where), and what must hold between them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

from mini8s.agent.kubelet.images.registries import BadRegistries
from mini8s.agent.kubelet.settings import BadArgument, parse
from mini8s.app import networks, registration, registry_settings, scheduling
from mini8s.app.given import DEFAULT, Gathered, Given, flag, gather
from mini8s.config import AgentSettings, NodeSettings, ServerSettings
from mini8s.objects import cron, ip

S = TypeVar("S", bound=NodeSettings)

HEARTBEAT_SECONDS = 10  # how often an agent renews its lease
MOST_CERTIFICATE_SECONDS = 3650 * 86400  # what the authority itself lives
MOST_HOLLOW = 20_000  # nodes of one process, whose one processor is busy with their leases by then


class SettingsError(Exception):
    """A setting that can't be used; the message says which and where it was given."""


_BROKEN = (
    SettingsError,
    registration.BadFlag,
    BadArgument,
    BadRegistries,
    networks.BadNetworks,
    scheduling.BadConfiguration,
)


def load(cls: type[S], flags: Mapping[str, Any], environ: Mapping[str, str]) -> S:
    """The settings of one command. `flags` holds only what was given. Raises SettingsError."""
    settings, problems = judge(cls, gather(cls, flags, environ))
    if problems:
        more = f" (and {len(problems) - 1} more: mini8s config check)" if len(problems) > 1 else ""
        raise SettingsError(f"{problems[0]}{more}")
    return networks.completed(settings)


def judge(cls: type[S], gathered: Gathered) -> tuple[S, list[str]]:
    """The settings, and a sentence for each thing that is wrong with them. What can't be read counts as not
    said."""
    settings, problems = cls(**gathered.values), list(gathered.problems)
    problems += [f"{said}{_origins(said, gathered.given)}" for said in wrong(settings)]
    return settings, problems


def _origins(sentence: str, given: Mapping[str, Given]) -> str:
    """Where the settings that a sentence names were said, unless it was by these very flags."""
    named = {name: given[name].origin for name in given if re.search(rf"{flag(name)}(?![\w-])", sentence)}
    places = [f"{flag(name)}: {where}" for name, where in named.items() if where not in (DEFAULT, flag(name))]
    return f" ({'; '.join(places)})" if places else ""


def wrong(settings: NodeSettings) -> Iterator[str]:
    """PURE but for the files that settings name: a sentence for each rule between settings that is broken."""
    of_server: Iterable[Callable[[ServerSettings], object]] = (
        _check_ports,
        _check_spans,
        _check_audit,
        lambda said: networks.check(networks.completed(said)),
        scheduling.profiles_of,
        _check_snapshots,
    )
    of_node: Iterable[Callable[[NodeSettings], object]] = (
        _check_ingress,
        _check_hollow,
        registration.labels,
        registration.taints,
        lambda said: parse(said.kubelet_arg),
        registry_settings.load,
        _check_nodeport_addresses,
    )
    rules = [partial(rule, settings) for rule in of_node]
    if isinstance(settings, ServerSettings):
        rules += [partial(rule, settings) for rule in of_server]
    for rule in rules:
        try:
            rule()
        except _BROKEN as error:
            yield str(error)


def _check_nodeport_addresses(settings: NodeSettings) -> None:
    for one in settings.nodeport_addresses:
        _network(one, "--nodeport-addresses")


def _check_ports(settings: ServerSettings) -> None:
    low, _, high = settings.service_node_port_range.partition("-")
    if not (low.isdigit() and high.isdigit() and 0 < int(low) <= int(high) < 65536):
        raise SettingsError(f"--service-node-port-range {settings.service_node_port_range} is not LOW-HIGH")
    if not 0 < settings.https_listen_port < 65536:
        raise SettingsError(f"--https-listen-port {settings.https_listen_port} is not a port")


def _check_spans(settings: ServerSettings) -> None:
    life = settings.certificate_seconds
    if not 10 <= life <= MOST_CERTIFICATE_SECONDS:
        raise SettingsError(f"--certificate-seconds {life} is not from 10 to {MOST_CERTIFICATE_SECONDS}")
    if settings.node_monitor_grace_period <= HEARTBEAT_SECONDS:
        patience = f"--node-monitor-grace-period {settings.node_monitor_grace_period}"
        raise SettingsError(f"{patience} is not longer than the {HEARTBEAT_SECONDS} s between heartbeats")


def _check_audit(settings: ServerSettings) -> None:
    if bool(settings.audit_policy_file) != bool(settings.audit_log_path):
        raise SettingsError("--audit-policy-file and --audit-log-path belong together")
    if settings.audit_log_maxsize < 1:
        raise SettingsError(f"--audit-log-maxsize {settings.audit_log_maxsize} is no size of a file")
    for name in ("audit_log_maxage", "audit_log_maxbackup"):
        if getattr(settings, name) < 0:
            raise SettingsError(f"{flag(name)} {getattr(settings, name)} is less than nothing")


def _check_snapshots(settings: ServerSettings) -> None:
    try:
        if settings.snapshot_schedule:
            cron.parse(settings.snapshot_schedule)
    except ValueError as error:
        raise SettingsError(f"--snapshot-schedule {settings.snapshot_schedule!r}: {error}") from error
    if settings.snapshot_retention < 1:
        raise SettingsError(f"--snapshot-retention {settings.snapshot_retention} keeps no snapshot")
    if settings.snapshot_max_age < 0:
        raise SettingsError(f"--snapshot-max-age {settings.snapshot_max_age} is not a number of days")


def _check_hollow(settings: NodeSettings) -> None:
    if not isinstance(settings, AgentSettings):
        return
    if settings.runtime != "hollow":
        if settings.count != 1 or settings.kubeconfig:
            raise SettingsError("--count and --kubeconfig are for --runtime hollow")
    elif not 0 < settings.count <= MOST_HOLLOW:
        raise SettingsError(f"--count {settings.count} is not between 1 and {MOST_HOLLOW}")
    elif settings.server or settings.token or settings.token_file:
        raise SettingsError("hollow nodes do not join with --server and --token: give --kubeconfig")


def _check_ingress(settings: NodeSettings) -> None:
    for name in ("ingress_http_port", "ingress_https_port"):
        if not 0 < getattr(settings, name) < 65536:
            raise SettingsError(f"{flag(name)} {getattr(settings, name)} is not a port")
    if settings.ingress_http_port == settings.ingress_https_port:
        raise SettingsError("--ingress-http-port and --ingress-https-port are the same")


def _network(text: str, flag: str) -> ip.Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise SettingsError(f"{flag}: {error}") from error
