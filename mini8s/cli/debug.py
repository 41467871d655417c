"""`mini8s debug bundle`: logs, settings, network and objects in one file that can be given to others."""

from __future__ import annotations

import http.client
import io
import json
import os
import socket
import tarfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click

from mini8s.app.bundle import objects, sources
from mini8s.app.bundle.redact import Redactor, values
from mini8s.app.bundle.sources import Source
from mini8s.cli import config, status
from mini8s.cli.connect import connect, connection_options
from mini8s.cli.errors import CommandError
from mini8s.cli.options import setting_option
from mini8s.cli.progress import steps
from mini8s.client.rest import Rest
from mini8s.config import VERSION
from mini8s.objects import kinds
from mini8s.objects.errors import ApiError
from mini8s.objects.kinds import SECRETS, Kind, Obj
from mini8s.util.clock import SystemClock


@click.group("debug")
def command() -> None:
    """Collect what helps to find out what is wrong."""


@command.command("bundle")
@click.option(
    "-o", "--output", default="", help="The file to write; named after host and time when not given."
)
@click.option("--log", "logs", multiple=True, help="A further log file to take along. May be repeated.")
@setting_option("docker_host", "Address of the Docker engine.")
@setting_option("private_registry", "File of registries, whose passwords are kept out.")
@connection_options
def bundle(
    *,
    output: str,
    logs: tuple[str, ...],
    docker_host: str,
    private_registry: str,
    kubeconfig: str,
    data_dir: str,
) -> None:
    """Write a .tar.gz with logs, settings, nftables, links, routes, versions, status, events and objects.
    What Secrets, ConfigMaps and environments hold is not in it, nor are tokens and keys. It works without a
    server, and then has what the host knows."""
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    path = Path(output or f"mini8s-debug-{socket.gethostname()}-{moment}.tar.gz")
    rest, why = _server(kubeconfig, data_dir)
    held = list(lists(rest)) if rest else []
    secrets = [obj for kind, found in held if kind is SECRETS and isinstance(found, list) for obj in found]
    known = [text for secret in secrets for text in values(secret)]
    try:
        redactor = Redactor([*known, *sources.known_secrets(data_dir, private_registry)])
    except OSError as error:
        raise CommandError(
            f"{error.filename} can't be read ({error.strerror}), nor kept out: run it as root"
        ) from error
    wanted: list[Source] = [
        ("config.json", _settings),
        ("status.txt", partial(_status, rest) if rest else lambda: f"{why}\n"),
        *sources.of_host(data_dir, docker_host, logs),
        *((f"objects/{kind.resource}.json", partial(_objects, found)) for kind, found in held),
        *([("metrics.txt", partial(_metrics, rest))] if rest else []),
    ]
    try:
        _write(path, wanted, redactor)
    except OSError as error:
        raise CommandError(f"{path} can't be written: {error.strerror}") from error
    click.echo(f"{path} ({path.stat().st_size >> 10} KiB): look through it before you give it away")


def _server(kubeconfig: str, data_dir: str) -> tuple[Rest | None, str]:
    try:
        # warnings about old kinds would be for who writes them
        rest = Rest(connect(kubeconfig, data_dir).endpoint, user_agent=f"mini8s/{VERSION}")
        rest.request("GET", "/version")
    except (CommandError, ApiError) as error:
        return None, str(error)
    return rest, ""


def lists(rest: Rest) -> Iterator[tuple[Kind, list[Obj] | ApiError]]:
    """Each kind's objects, once, or why they can't be had: a server that is ill is what bundles are for."""
    for kind in kinds.KINDS:
        if kind.kept and kind.storage is None and "list" in kind.verbs:
            found: list[Obj] | ApiError
            try:
                found = list(rest.list(kind).items)
            except ApiError as error:
                found = error
            yield kind, found


def _write(path: Path, wanted: list[Source], redactor: Redactor) -> None:
    """Root's alone until its owner gives it away."""
    draft = path.with_name(f".{path.name}.new")
    with (
        os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file,
        tarfile.open(fileobj=file, mode="w:gz") as archive,
        steps(wanted, "collecting") as each,
    ):
        for name, come_by in each:
            data = redactor.text(text_of(come_by)).encode(errors="replace")
            entry = tarfile.TarInfo(f"mini8s-debug/{name}")
            entry.size, entry.mode, entry.mtime = len(data), 0o600, int(time.time())
            archive.addfile(entry, io.BytesIO(data))
    draft.replace(path)


def text_of(come_by: Callable[[], str]) -> str:
    """What can't be had is no reason to go without the rest."""
    try:
        return come_by()
    except (OSError, ValueError, http.client.HTTPException, ApiError, CommandError) as error:
        return f"could not be had: {error}\n"


def _settings() -> str:
    return json.dumps({role: config.settings_of(cls) for role, cls in config.ROLES.items()}, indent=1)


def _status(rest: Rest) -> str:
    return "\n".join(status.screen(status.facts(rest), SystemClock().now())) + "\n"


def _metrics(rest: Rest) -> str:
    return rest.request("GET", "/metrics", accept="text/plain").body.decode()


def _objects(found: list[Obj] | ApiError) -> str:
    if isinstance(found, ApiError):
        raise found
    return json.dumps([objects.shown(obj) for obj in found], indent=1)
