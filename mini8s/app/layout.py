"""Where things lie on disk: one place that knows the data folder's shape (DESIGN.md, section 3)."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from mini8s.util.durable import sync_folder


@dataclass(frozen=True, slots=True)
class ServerFiles:
    """The server's share of the data folder."""

    root: Path

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def tls(self) -> Path:
        return self.root / "tls"

    @property
    def ca(self) -> Path:
        return self.tls / "ca.crt"

    @property
    def ca_key(self) -> Path:
        return self.tls / "ca.key"

    @property
    def ca_next(self) -> Path:
        """An authority that is to take the place of the other, and its key (`app.authority`)."""
        return self.tls / "ca.next"

    @property
    def ca_cross(self) -> Path:
        """The authority cross-signed by the one before it."""
        return self.tls / "ca-cross.crt"

    @property
    def serving(self) -> Path:
        return self.tls / "serving.crt"

    @property
    def serving_key(self) -> Path:
        return self.tls / "serving.key"

    @property
    def token_key(self) -> Path:
        """Signs the tokens of service accounts."""
        return self.tls / "service-account.key"

    @property
    def token_keys(self) -> Path:
        """What checks them: a JSON Web Key Set."""
        return self.tls / "service-account.jwks"

    @property
    def admin(self) -> Path:
        return self.root / "cred" / "admin.crt"

    @property
    def admin_key(self) -> Path:
        return self.root / "cred" / "admin.key"

    @property
    def admin_kubeconfig(self) -> Path:
        return self.root / "cred" / "admin.kubeconfig"

    @property
    def secret_keys(self) -> Path:
        """The keys under which Secrets lie in the database, which can't be read without them."""
        return self.root / "cred" / "encryption.json"

    @property
    def node_token(self) -> Path:
        return self.root / "node-token"

    @property
    def database(self) -> Path:
        return self.root / "db" / "state.db"

    @property
    def manifests(self) -> Path:
        return self.root / "manifests"

    @property
    def cluster_id(self) -> Path:
        """By which a snapshot of this cluster is known from one of another."""
        return self.root / "cluster-id"

    @property
    def snapshots(self) -> Path:
        return self.root / "snapshots"

    @property
    def last_snapshot(self) -> Path:
        """What became of it (JSON)."""
        return self.root / "last-snapshot.json"

    @property
    def snapshot_practice(self) -> Path:
        """How the server was told to take them (JSON)."""
        return self.root / "snapshot-practice.json"

    @property
    def socket(self) -> Path:
        return self.root / "api.sock"


@dataclass(frozen=True, slots=True)
class AgentFiles:
    """The agent's share of the data folder."""

    root: Path

    @property
    def ca(self) -> Path:
        return self.root / "ca.crt"

    @property
    def certificate(self) -> Path:
        return self.root / "client.crt"

    @property
    def key(self) -> Path:
        return self.root / "client.key"

    @property
    def cluster(self) -> Path:
        """What the server said of the cluster when the host joined (JSON)."""
        return self.root / "cluster.json"

    @property
    def previous_key(self) -> Path:
        """The key before the last renewal: what lies sealed on the disk may still be under it."""
        return self.root / "client.key.previous"

    @property
    def state(self) -> Path:
        """What the server told this node last."""
        return self.root / "state"

    @property
    def node_ip(self) -> Path:
        """The node's address at its last start, for a start without a network."""
        return self.root / "node-ip"

    @property
    def ingress(self) -> Path:
        """The files of the proxy that serves Ingresses, in memory."""
        return self.root / "ingress"

    @property
    def ingress_certificate(self) -> Path:
        """What TLS is served with under a name that there is no certificate for, with its key."""
        return self.root / "ingress.pem"

    @property
    def images(self) -> Path:
        return self.root / "images"


def server_files(data_dir: str) -> ServerFiles:
    return ServerFiles(Path(data_dir) / "server")


def agent_files(data_dir: str) -> AgentFiles:
    return AgentFiles(Path(data_dir) / "agent")


def write_private(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write a file that never exists half-written, also after a power cut, nor, for a moment, with wider
    rights than `mode`. What is there already is left alone: flash wears, and a full disk can still be
    read."""
    if _holds(path, data, mode):
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_folder(path.parent)


def _holds(path: Path, data: bytes, mode: int) -> bool:
    try:
        return stat.S_IMODE(path.stat().st_mode) == mode and path.read_bytes() == data
    except FileNotFoundError:
        return False
