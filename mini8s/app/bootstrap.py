"""What must be on disk before a server starts: the cluster's authority, certificates, token and kubeconfig.

Safe to repeat at every start: it makes what is missing, renews what is near its end or no longer fits the
server's addresses, and leaves the rest. Runs in a short-lived child, because `cryptography` is large.
"""

from __future__ import annotations

import ipaddress
import logging
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from mini8s.app import kubeconfig
from mini8s.app.layout import AgentFiles, ServerFiles, write_private
from mini8s.app.token import Token, parse
from mini8s.wire import tls
from mini8s.wire.codec import encode_json

log = logging.getLogger(__name__)

RENEW_BEFORE = timedelta(days=90)  # a host that is switched on once a quarter still renews in time


@dataclass(frozen=True, slots=True)
class Plan:
    """What the files must say: the serving certificate's names, the kubeconfig's address, the node to
    admit."""

    names: tuple[str, ...]
    server: str
    token: str = ""
    node_name: str = ""  # empty: the host runs no agent
    kubeconfig: Path | None = None
    kubeconfig_mode: int = 0o600


def node_leaf(node_name: str) -> tls.Leaf:
    """A node's identity (Kubernetes documentation, "Using Node Authorization")."""
    return tls.Leaf(f"system:node:{node_name}", ("system:nodes",))


def serving_names(
    *, node_name: str, addresses: tuple[str, ...], service_cidr: str, domain: str
) -> tuple[str, ...]:
    """Every name and address by which the API may be called."""
    first_service_ip = str(ipaddress.ip_network(service_cidr)[1])
    inside = (
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        f"kubernetes.default.svc.{domain}",
    )
    every = ("localhost", "127.0.0.1", "::1", node_name, *addresses, first_service_ip, *inside)
    return tuple(dict.fromkeys(name for name in every if name))


def prepare_server(files: ServerFiles, agent: AgentFiles, plan: Plan, now: datetime) -> None:
    """Make or renew everything that the plan asks for."""
    ca = _authority(files, now)
    _serving(files, ca, plan.names, now)
    admin = _pair(ca, tls.Leaf("system:admin", ("system:masters",)), files.admin, files.admin_key, now)
    _kubeconfigs(files, ca, admin, plan)
    _token(files, ca, plan.token)
    _token_key(files)
    if plan.node_name:
        admit_node(agent, ca, plan.node_name, now)


def admit_node(agent: AgentFiles, ca: tls.Pair, node_name: str, now: datetime) -> None:
    """Give this host's own agent its certificate, with no request over the network."""
    _pair(ca, node_leaf(node_name), agent.certificate, agent.key, now)
    write_private(agent.ca, ca.certificate, 0o644)


def load_authority(files: ServerFiles) -> tls.Pair:
    return tls.Pair(files.ca.read_bytes(), files.ca_key.read_bytes())


def _authority(files: ServerFiles, now: datetime) -> tls.Pair:
    if not (files.ca.exists() and files.ca_key.exists()):
        made = tls.new_ca(f"mini8s-ca@{int(now.timestamp())}", now)
        write_private(files.ca_key, made.key)
        write_private(files.ca, made.certificate, 0o644)
        log.info("made the cluster's certificate authority")
    return load_authority(files)


def _serving(files: ServerFiles, ca: tls.Pair, names: tuple[str, ...], now: datetime) -> None:
    leaf = tls.Leaf("mini8s", (), names)
    if _good(files.serving, files.serving_key, now) and set(names) <= tls.addresses(
        files.serving.read_bytes()
    ):
        return
    _write_pair(tls.issue(ca, leaf, now), files.serving, files.serving_key)
    log.info("made a serving certificate for %s", ", ".join(names))


def _pair(ca: tls.Pair, leaf: tls.Leaf, certificate: Path, key: Path, now: datetime) -> tls.Pair:
    if not _good(certificate, key, now):
        _write_pair(tls.issue(ca, leaf, now), certificate, key)
        log.info("made a certificate for %s", leaf.user)
    return tls.Pair(certificate.read_bytes(), key.read_bytes())


def _good(certificate: Path, key: Path, now: datetime) -> bool:
    return (
        certificate.exists() and key.exists() and tls.expires(certificate.read_bytes()) > now + RENEW_BEFORE
    )


def _write_pair(pair: tls.Pair, certificate: Path, key: Path) -> None:
    write_private(key, pair.key)
    write_private(certificate, pair.certificate, 0o644)


def _kubeconfigs(files: ServerFiles, ca: tls.Pair, admin: tls.Pair, plan: Plan) -> None:
    access = kubeconfig.Access(plan.server, ca.certificate, admin.certificate, admin.key)
    write_private(files.admin_kubeconfig, kubeconfig.render(access))
    if plan.kubeconfig is not None:
        write_private(plan.kubeconfig, kubeconfig.render(access), plan.kubeconfig_mode)


def _token_key(files: ServerFiles) -> None:
    """What signs the tokens of service accounts, and what they are checked with."""
    if files.token_key.exists() and files.token_keys.exists():
        return
    key, public = tls.new_token_key()
    write_private(files.token_key, key)
    write_private(files.token_keys, encode_json({"keys": [public]}), 0o644)
    log.info("made the key that signs service accounts' tokens")


def _token(files: ServerFiles, ca: tls.Pair, wanted: str) -> None:
    """The node token: the one asked for, else the one that is there, else a new one. Raises BadToken."""
    fingerprint = tls.fingerprint(ca.certificate)
    if wanted:
        token = Token(parse(wanted).secret, ca=fingerprint)
    elif files.node_token.exists():
        token = parse(files.node_token.read_text())
    else:
        token = Token(secrets.token_hex(16), ca=fingerprint)
    write_private(files.node_token, f"{token}\n".encode())
