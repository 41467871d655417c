"""Which server a command talks to: --kubeconfig, else $KUBECONFIG, else root's own socket, else the default
file."""

from __future__ import annotations

import base64
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from mini8s.app.layout import server_files
from mini8s.cli.errors import CommandError
from mini8s.cli.options import data_dir_option
from mini8s.client.rest import Endpoint, Rest
from mini8s.config import VERSION, ServerSettings
from mini8s.objects.errors import BadRequest
from mini8s.wire import codec

_DEFAULTS = ServerSettings()


def connection_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add --kubeconfig and --data-dir, which `connect` takes."""
    named = click.option("--kubeconfig", default="", help="File that says which server, and who you are.")
    return named(data_dir_option(command))


def connect(kubeconfig: str, data_dir: str) -> Rest:
    """A client for the server meant. Raises CommandError."""
    return Rest(
        _endpoint(kubeconfig, data_dir),
        user_agent=f"mini8s/{VERSION}",
        on_warning=lambda text: click.echo(f"Warning: {text}", err=True),
    )


def _endpoint(kubeconfig: str, data_dir: str) -> Endpoint:
    named = kubeconfig or os.environ.get("KUBECONFIG", "")
    if named:
        return from_kubeconfig(Path(named))
    socket = server_files(data_dir).socket
    if os.geteuid() == 0 and socket.exists():
        return Endpoint(unix_socket=str(socket))
    default = Path(_DEFAULTS.write_kubeconfig)
    if default.exists():
        return from_kubeconfig(default)
    raise CommandError(f"no server runs here and {default} does not exist: give --kubeconfig")


def from_kubeconfig(path: Path) -> Endpoint:
    """The endpoint of a kubeconfig's current context. Raises CommandError."""
    try:
        config = codec.decode_yaml(path.read_bytes())
        context = _named(config["contexts"], config["current-context"])["context"]
        cluster = _named(config["clusters"], context["cluster"])["cluster"]
        user = _named(config["users"], context["user"])["user"]
        url = cluster["server"]
    except OSError as error:
        raise CommandError(f"{path} can't be read: {error.strerror}") from error
    except (BadRequest, KeyError, TypeError, StopIteration) as error:
        raise CommandError(f"{path} is not a kubeconfig with a current context") from error
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
