"""Settings put together: flags over environment over `config.yaml` over defaults.

The file's keys are the flags' names without dashes in front, as in k3s. An unknown key, a wrong type or a
value outside its choices is one sentence that names where it came from.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import Field, fields
from pathlib import Path
from typing import Any, TypeVar

import yaml

from mini8s.agent.kubelet.images.registries import BadRegistries
from mini8s.agent.kubelet.settings import BadArgument, parse
from mini8s.app import registration, registry_settings, scheduling
from mini8s.config import AgentSettings, NodeSettings, ServerSettings
from mini8s.objects import cron

S = TypeVar("S", bound=NodeSettings)

HEARTBEAT_SECONDS = 10  # how often an agent renews its lease
MOST_CERTIFICATE_SECONDS = 3650 * 86400  # what the authority itself lives
MOST_HOLLOW = 20_000  # nodes of one process, whose one processor is busy with their leases by then
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off", "")


class SettingsError(Exception):
    """A setting that can't be used; the message says which and where it was given."""


def load(cls: type[S], flags: Mapping[str, Any], environ: Mapping[str, str]) -> S:
    """The settings of one command. `flags` holds only what was given. Raises SettingsError."""
    items = {item.name: item for item in fields(cls)}
    config = str(flags.get("config") or environ.get("MINI8S_CONFIG") or items["config"].default)
    must_exist = config != items["config"].default
    values = _from_file(Path(config), items, must_exist=must_exist)
    values |= {
        name: _from_text(item, environ[variable], f"${variable}")
        for name, item in items.items()
        if (variable := "MINI8S_" + name.upper()) in environ
    }
    values |= {name: _checked(items[name], value, _flag(name)) for name, value in flags.items()}
    settings = cls(**values)
    check(settings)
    return settings


def check(settings: NodeSettings) -> None:
    """What must hold between settings. Raises SettingsError."""
    _check_ingress(settings)
    _check_hollow(settings)
    try:
        registration.labels(settings)
        registration.taints(settings)
        parse(settings.kubelet_arg)
        registry_settings.load(settings)
    except (registration.BadFlag, BadArgument, BadRegistries) as error:
        raise SettingsError(str(error)) from error
    for one in settings.nodeport_addresses:
        _network(one, "--nodeport-addresses")
    if not isinstance(settings, ServerSettings):
        return
    service = _network(settings.service_cidr, "--service-cidr")
    cluster = _network(settings.cluster_cidr, "--cluster-cidr")
    if service.overlaps(cluster):
        raise SettingsError("--service-cidr and --cluster-cidr overlap")
    try:
        inside = ipaddress.IPv4Address(settings.cluster_dns) in service
    except ValueError:
        inside = False
    if not inside:
        raise SettingsError(f"--cluster-dns {settings.cluster_dns} is not an address in {service}")
    if cluster.prefixlen > 24:
        raise SettingsError(f"--cluster-cidr {cluster} is smaller than the /24 that a node gets")
    low, _, high = settings.service_node_port_range.partition("-")
    if not (low.isdigit() and high.isdigit() and 0 < int(low) <= int(high) < 65536):
        raise SettingsError(f"--service-node-port-range {settings.service_node_port_range} is not LOW-HIGH")
    _check_spans(settings)
    _check_audit(settings)
    try:
        scheduling.profiles_of(settings)
    except scheduling.BadConfiguration as error:
        raise SettingsError(str(error)) from error
    _check_snapshots(settings)
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
            raise SettingsError(f"{_flag(name)} {getattr(settings, name)} is less than nothing")


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
            raise SettingsError(f"{_flag(name)} {getattr(settings, name)} is not a port")
    if settings.ingress_http_port == settings.ingress_https_port:
        raise SettingsError("--ingress-http-port and --ingress-https-port are the same")


def _network(text: str, flag: str) -> ipaddress.IPv4Network:
    try:
        return ipaddress.IPv4Network(text)
    except ValueError as error:
        raise SettingsError(f"{flag}: {error}") from error


def _from_file(path: Path, items: Mapping[str, Field[Any]], *, must_exist: bool) -> dict[str, Any]:
    try:
        text = path.read_text()
    except FileNotFoundError:
        if must_exist:
            raise SettingsError(f"{path} does not exist") from None
        return {}
    except OSError as error:
        raise SettingsError(f"{path} can't be read: {error.strerror}") from error
    try:
        found = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise SettingsError(f"{path} is not YAML: {error}") from error
    if not isinstance(found, dict):
        raise SettingsError(f"{path} is not a mapping of settings")
    values = {}
    for key, value in found.items():
        name = str(key).replace("-", "_")
        if name not in items:
            raise SettingsError(f"{path}: there is no setting {key}")
        values[name] = _checked(items[name], value, f"{path}: {key}")
    return values


def _from_text(item: Field[Any], text: str, where: str) -> Any:
    if item.metadata["many"]:
        parts = [part.strip() for part in text.split(item.metadata["between"]) if part.strip()]
        return _checked(item, parts, where)
    if isinstance(item.default, bool):
        if text.lower() not in _TRUE + _FALSE:
            raise SettingsError(f"{where} is {text!r}, not true or false")
        return text.lower() in _TRUE
    if isinstance(item.default, int):
        if not text.strip().isdigit():
            raise SettingsError(f"{where} is {text!r}, not a whole number")
        return int(text)
    return _checked(item, text, where)


def _checked(item: Field[Any], value: Any, where: str) -> Any:
    if item.metadata["many"]:
        values = [str(part) for part in (value if isinstance(value, list | tuple) else [value])]
        for part in values:
            _check_choice(item, part, where)
        return tuple(values)
    wanted: Callable[[Any], Any] = type(item.default)
    if isinstance(item.default, str) and isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if type(value) is not wanted:
        raise SettingsError(f"{where} is {value!r}, not of type {type(item.default).__name__}")
    _check_choice(item, value, where)
    return value


def _check_choice(item: Field[Any], value: Any, where: str) -> None:
    choices = item.metadata["choices"]
    if choices and value not in choices:
        raise SettingsError(f"{where} is {value!r}, not one of {', '.join(choices)}")


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
