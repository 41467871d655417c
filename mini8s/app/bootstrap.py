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
    life: timedelta = tls.LEAF_LIFE


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


def prepare_server(files: ServerFiles, agent: AgentFiles, plan: Plan, now: datetime) -> datetime:
    """Make or renew everything that the plan asks for; when the next renewal is due."""
    ca = _authority(files, now)
    sign = Signer(ca, now, plan.life)
    serving = sign.pair(tls.Leaf("mini8s", (), plan.names), files.serving, files.serving_key)
    admin = sign.pair(tls.Leaf("system:admin", ("system:masters",)), files.admin, files.admin_key)
    made = [serving, admin]
    _kubeconfigs(files, ca, admin, plan)
    _token(files, ca, plan.token)
    _token_key(files)
    if plan.node_name:  # this host's own agent gets its certificate with no request over the network
        made.append(sign.pair(node_leaf(plan.node_name), agent.certificate, agent.key))
        write_private(agent.ca, ca.certificate, 0o644)
    return min(tls.life(pair.certificate).renews for pair in made)


def load_authority(files: ServerFiles) -> tls.Pair:
    return tls.Pair(files.ca.read_bytes(), files.ca_key.read_bytes())


def _authority(files: ServerFiles, now: datetime) -> tls.Pair:
    if not (files.ca.exists() and files.ca_key.exists()):
        made = tls.new_ca(f"mini8s-ca@{int(now.timestamp())}", now)
        write_private(files.ca_key, made.key)
        write_private(files.ca, made.certificate, 0o644)
        log.info("made the cluster's certificate authority")
    return load_authority(files)


@dataclass(frozen=True, slots=True)
class Signer:
    """Keeps pairs of files as they are to be."""

    ca: tls.Pair
    now: datetime
    life: timedelta

    def pair(self, leaf: tls.Leaf, certificate: Path, key: Path) -> tls.Pair:
        """A certificate is renewed for the key that it had: one file is replaced, so that nobody ever reads a
        certificate with another one's key."""
        if not self._good(leaf, certificate, key):
            own = key.read_bytes() if key.exists() else b""
            made = tls.issue(self.ca, leaf, self.now, life=self.life, key=own)
            write_private(key, made.key)
            write_private(certificate, made.certificate, 0o644)
            log.info("made a certificate for %s", ", ".join((leaf.user, *leaf.addresses)))
        return tls.Pair(certificate.read_bytes(), key.read_bytes())

    def _good(self, leaf: tls.Leaf, certificate: Path, key: Path) -> bool:
        if not (certificate.exists() and key.exists()):
            return False
        pem = certificate.read_bytes()
        return (
            tls.belongs(pem, key.read_bytes(), self.ca.certificate)
            and tls.subject(pem) == leaf.user
            and set(leaf.addresses) <= tls.addresses(pem)
            and tls.life(pem).renews > self.now
        )


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
