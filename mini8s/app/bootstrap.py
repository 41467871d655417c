"""What must be on disk before a server starts: the cluster's authority, certificates, token and kubeconfig.

Safe to repeat at every start: it makes what is missing, renews what is near its end or no longer fits the
server's addresses, and leaves the rest. Runs in a short-lived child, because `cryptography` is large.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from mini8s.app import authority, kubeconfig, networks
from mini8s.app.layout import AgentFiles, ServerFiles, write_private
from mini8s.app.token import Token, parse
from mini8s.wire import pem, tls
from mini8s.wire.codec import encode_json

log = logging.getLogger(__name__)

NEXT_STEP = timedelta(seconds=2)  # a running server reads a new authority within one


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
    inside = (
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        f"kubernetes.default.svc.{domain}",
    )
    services = networks.first_addresses(service_cidr)
    every = ("localhost", "127.0.0.1", "::1", node_name, *addresses, *services, *inside)
    return tuple(dict.fromkeys(name for name in every if name))


def prepare_server(files: ServerFiles, agent: AgentFiles, plan: Plan, now: datetime) -> datetime:
    """Make or renew everything that the plan asks for; when to look again: the next renewal is due, or the
    next step of a new authority."""
    known = authority.ensure(files, now)
    sign = Signer(known.pair, now, plan.life)
    serving = sign.pair(tls.Leaf("mini8s", (), plan.names), files.serving, files.serving_key, known.cross)
    admin = sign.pair(tls.Leaf("system:admin", ("system:masters",)), files.admin, files.admin_key)
    made = [serving, admin]
    _kubeconfigs(files, known.bundle, admin, plan)
    _token(files, known.pair, plan.token)
    _token_key(files)
    if plan.node_name:  # this host's own agent gets its certificate with no request over the network
        made.append(sign.pair(node_leaf(plan.node_name), agent.certificate, agent.key))
        write_private(agent.ca, known.bundle, 0o644)
    steps = [now + NEXT_STEP] if known.pending else [known.until] if known.until else []
    return min(*steps, *(tls.life(pair.certificate).renews for pair in made))


@dataclass(frozen=True, slots=True)
class Signer:
    """Keeps pairs of files as they are to be."""

    ca: tls.Pair
    now: datetime
    life: timedelta

    def pair(self, leaf: tls.Leaf, certificate: Path, key: Path, above: bytes = b"") -> tls.Pair:
        """A certificate is renewed for the key that it had: one file is replaced, so that nobody ever reads a
        certificate with another one's key. `above`: what is shown with it."""
        if not self._good(leaf, certificate, key):
            own = key.read_bytes() if key.exists() else b""
            made = tls.issue(self.ca, leaf, self.now, life=self.life, key=own)
            write_private(key, made.key)
            write_private(certificate, made.certificate + above, 0o644)
            log.info("made a certificate for %s", ", ".join((leaf.user, *leaf.addresses)))
        own, *others = pem.certificates(certificate.read_bytes())
        if b"".join(others) != above:
            write_private(certificate, own + above, 0o644)
        return tls.Pair(own, key.read_bytes())

    def _good(self, leaf: tls.Leaf, certificate: Path, key: Path) -> bool:
        if not (certificate.exists() and key.exists()):
            return False
        found = certificate.read_bytes()
        return (
            tls.belongs(found, key.read_bytes(), self.ca.certificate)
            and tls.subject(found) == leaf.user
            and set(leaf.addresses) <= tls.addresses(found)
            and tls.life(found).renews > self.now
        )


def _kubeconfigs(files: ServerFiles, ca: bytes, admin: tls.Pair, plan: Plan) -> None:
    access = kubeconfig.Access(plan.server, ca, admin.certificate, admin.key)
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
    """The node token: the one asked for, else the one that is there, else a new one; it names the newest
    authority. Raises BadToken."""
    if wanted:
        secret = parse(wanted).secret
    elif files.node_token.exists():
        secret = parse(files.node_token.read_text()).secret
    else:
        secret = secrets.token_hex(16)
    token = Token(secret, ca=pem.fingerprint(ca.certificate))
    write_private(files.node_token, f"{token}\n".encode())
