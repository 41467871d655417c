"""Reading a kubeconfig: which server its current context means, and who one is there."""

from __future__ import annotations

import base64
import tempfile
from pathlib import Path
from typing import Any

from mini8s.client.transport import Endpoint
from mini8s.objects.errors import BadRequest
from mini8s.wire import codec


class BadKubeconfig(Exception):
    """It can't be used; the message says why."""


def from_kubeconfig(path: Path) -> Endpoint:
    """The endpoint of a kubeconfig's current context. Raises BadKubeconfig."""
    try:
        config = codec.decode_yaml(path.read_bytes())
        context = _named(config["contexts"], config["current-context"])["context"]
        cluster = _named(config["clusters"], context["cluster"])["cluster"]
        user = _named(config["users"], context["user"])["user"]
        url = cluster["server"]
    except OSError as error:
        raise BadKubeconfig(f"{path} can't be read: {error.strerror}") from error
    except (BadRequest, KeyError, TypeError, StopIteration) as error:
        raise BadKubeconfig(f"{path} is not a kubeconfig with a current context") from error
    return Endpoint(
        url=url,
        ca_file=_file(path, cluster, "certificate-authority"),
        cert_file=_file(path, user, "client-certificate"),
        key_file=_file(path, user, "client-key"),
        token=user.get("token", ""),
    )


def _named(items: list[Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(item for item in items if item["name"] == name)
    return found


_files: list[
    tempfile.TemporaryDirectory[str]
] = []  # what TLS reads must be files; removed when the process ends


def _file(kubeconfig: Path, section: dict[str, Any], key: str) -> str:
    """The path of a PEM that the kubeconfig names or holds; relative ones are relative to the kubeconfig."""
    if section.get(f"{key}-data"):
        folder = tempfile.TemporaryDirectory(prefix="mini8s-")
        _files.append(folder)
        target = Path(folder.name) / key
        target.touch(mode=0o600)
        target.write_bytes(base64.b64decode(section[f"{key}-data"]))
        return str(target)
    return str(kubeconfig.parent / section[key]) if section.get(key) else ""
