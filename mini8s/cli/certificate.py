"""`mini8s certificate`: what this host proves itself with, and for how long."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import click

from mini8s.app.layout import agent_files, server_files
from mini8s.cli.connect import connect, connection_options
from mini8s.cli.errors import CommandError
from mini8s.cli.options import data_dir_option
from mini8s.cli.output import data_option, echo_listed
from mini8s.objects.time import format_time
from mini8s.wire import codec, pem

BEGIN_PATH, FINISH_PATH = "/v1-mini8s/authority/rotate", "/v1-mini8s/authority/finish"
_NAMES = ("Certificate", "Subject", "Ends", "Renews", "State")


@click.group("certificate")
def command() -> None:
    """Tell how long certificates last, and put another authority in the cluster's place."""


@command.command("check")
@data_option
@data_dir_option
def check(output: str | None, data_dir: str) -> None:
    """List this host's certificates; exit code 1 when one has ended or was not renewed in time."""
    try:
        now, there = datetime.now(UTC), [one for one in _files(data_dir) if one[1].exists()]
        rows = [row for name, path in there for row in _rows(name, path, now)]
        overlap = _overlap(data_dir)
    except PermissionError as error:
        raise CommandError(f"{error.filename} is for root alone") from None
    if not rows:
        raise CommandError(f"{data_dir} holds no certificates: has a server or an agent been started here?")
    echo_listed(_NAMES, rows, output)
    if overlap:
        click.echo(overlap, err=bool(output))
    if any(row[-1] not in {"ok", "leaving"} for row in rows):
        sys.exit(1)


@command.command("rotate-ca")
@click.option("--finish", is_flag=True, help="Give the old authority up now, before its certificates end.")
@click.option("--force", is_flag=True, help="With --finish, though nodes depend on it: they must join anew.")
@connection_options
def rotate_ca(finish: bool, force: bool, kubeconfig: str, data_dir: str) -> None:
    """Put a new certificate authority in the old one's place, which is believed until its certificates have
    ended."""
    if force and not finish:
        raise click.UsageError("--force is for --finish")
    query = {"force": "true"} if force else {}
    path = FINISH_PATH if finish else BEGIN_PATH
    answer = connect(kubeconfig, data_dir).request("POST", path, query=query)
    said = codec.decode_json(answer.body)
    if finish:
        click.echo(f"{said['subject']} alone is believed: the old authority is gone")
    else:
        begun = "is the cluster's authority" if said["begun"] else "has taken its place already"
        click.echo(f"{said['subject']} {begun}; the old one is believed until {said['until']}, or --finish")
    click.echo("take a new snapshot: in older ones the authority is the old one", err=True)


def _files(data_dir: str) -> Iterable[tuple[str, Path]]:
    server, agent = server_files(data_dir), agent_files(data_dir)
    return (
        ("authority", server.ca if server.ca.exists() else agent.ca),
        ("server", server.serving),
        ("administrator", server.admin),
        ("node", agent.certificate),
    )


def _rows(name: str, path: Path, now: datetime) -> Iterable[list[str]]:
    """One for a certificate; of authorities the first is that of now, the others those before it."""
    first, *others = pem.certificates(path.read_bytes()) or (b"",)
    yield _row(name, path, first, now)
    if name == "authority":
        for one in others:
            *row, state = _row("authority before", path, one, now)
            yield [*row, "leaving" if state == "ok" else state]


def _row(name: str, path: Path, certificate: bytes, now: datetime) -> list[str]:
    from mini8s.wire import tls  # cryptography takes a moment that other commands need not wait for

    try:
        life = tls.life(certificate)
    except ValueError:
        raise CommandError(f"{path} is not a certificate") from None
    renewed = not name.startswith("authority")
    state = "ended" if life.ends <= now else "overdue" if renewed and life.renews <= now else "ok"
    renews = format_time(life.renews) if renewed else "<never>"
    return [name, tls.subject(certificate), format_time(life.ends), renews, state]


def _overlap(data_dir: str) -> str:
    """How a change of the authority stands, on the server's host; "" for none."""
    from mini8s.wire import tls

    files = server_files(data_dir)
    if files.ca_next.exists():
        return "A new authority is not in use yet: the server goes on within an hour, and at its start."
    if not files.ca_cross.exists():
        return ""
    until = format_time(tls.expires(files.ca_cross.read_bytes()))
    return (
        f"The authority before is believed until {until}, or until `mini8s certificate rotate-ca --finish`."
    )
