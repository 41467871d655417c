"""Who pulls, as Docker's API is told, and which registries' certificates Docker's engine trusts.

The engine looks into /etc/docker/certs.d/HOST at every pull (Docker's documentation, "Verify repository
client with certificates"): no restart is needed. What is ours there are links into the node's own folders.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mini8s.agent.runtime.specs import RegistryAuth

FOLDER = Path("/etc/docker/certs.d")


def auth_config(auth: RegistryAuth | None) -> dict[str, str] | None:
    """`X-Registry-Auth` before it is encoded."""
    if auth is None:
        return None
    if auth.identity_token:
        return {"identitytoken": auth.identity_token}
    return {"username": auth.username, "password": auth.password}


def trust(registry: str, files: Mapping[str, str], folder: Path = FOLDER) -> None:
    """Links named as Docker wants them; a file of somebody else's stays as it is. Raises OSError."""
    own = folder / registry
    for name, source in files.items():
        path = own / name
        if path.exists() and not path.is_symlink():
            continue
        Path(source).stat()  # a link to nowhere would fail each pull without a word on why
        own.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(source)
