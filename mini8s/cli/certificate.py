"""`mini8s certificate`: what this host proves itself with, and for how long."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import click

from mini8s.app.layout import agent_files, server_files
from mini8s.cli.errors import CommandError
from mini8s.cli.options import data_dir_option
from mini8s.cli.output import echo_table
from mini8s.objects.time import format_time

_NAMES = ("Certificate", "Subject", "Ends", "Renews", "State")


@click.group("certificate")
def command() -> None:
    """Tell how long certificates last."""


@command.command("check")
@data_dir_option
def check(data_dir: str) -> None:
    """List this host's certificates; exit code 1 when one has ended or was not renewed in time."""
    try:
        rows = [_row(name, path, datetime.now(UTC)) for name, path in _files(data_dir) if path.exists()]
    except PermissionError as error:
        raise CommandError(f"{error.filename} is for root alone") from None
    if not rows:
        raise CommandError(f"{data_dir} holds no certificates: has a server or an agent been started here?")
    columns = [{"name": name, "type": "string", "format": "", "priority": 0} for name in _NAMES]
    echo_table({"columnDefinitions": columns, "rows": [{"cells": row} for row in rows]}, "")
    if any(row[-1] != "ok" for row in rows):
        sys.exit(1)


def _files(data_dir: str) -> Iterable[tuple[str, Path]]:
    server, agent = server_files(data_dir), agent_files(data_dir)
    return (
        ("authority", server.ca if server.ca.exists() else agent.ca),
        ("server", server.serving),
        ("administrator", server.admin),
        ("node", agent.certificate),
    )


def _row(name: str, path: Path, now: datetime) -> list[str]:
    from mini8s.wire import tls  # cryptography takes a moment that other commands need not wait for

    pem = path.read_bytes()
    try:
        life = tls.life(pem)
    except ValueError:
        raise CommandError(f"{path} is not a certificate") from None
    renewed = name != "authority"
    state = "ended" if life.ends <= now else "overdue" if renewed and life.renews <= now else "ok"
    renews = format_time(life.renews) if renewed else "<never>"
    return [name, tls.subject(pem), format_time(life.ends), renews, state]
