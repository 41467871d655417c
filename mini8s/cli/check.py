"""`mini8s check`: whether this host can be a server or an agent, before anything is installed on it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from mini8s.app.checking import engine, host, kernel
from mini8s.app.checking.base import Finding, Level, worst
from mini8s.app.checking.ports import Wanted
from mini8s.cli.options import data_dir_option, setting_option
from mini8s.cli.output import data_option, echo_data

_COLOURS = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}


@click.command("check")
@click.argument("role", type=click.Choice(["server", "agent"]), default="server")
@data_option
@data_dir_option
@setting_option("docker_host", "Address of the Docker engine.")
@setting_option("https_listen_port", "Port of the API.")
@setting_option("ingress_http_port", "Port of Ingresses.")
@setting_option("ingress_https_port", "Port of Ingresses with TLS.")
def command(
    *,
    role: str,
    output: str | None,
    data_dir: str,
    docker_host: str,
    https_listen_port: int,
    ingress_http_port: int,
    ingress_https_port: int,
) -> None:
    """Tell what this host has and lacks to be a server (or an agent), each with a hint. Nothing is changed.
    Exit code 1: something is missing that it can't do without."""
    wanted = host.wanted(role, https_listen_port, ingress_http_port, ingress_https_port)
    findings = list(_look(Path(data_dir), docker_host, wanted))
    if output:
        fields = ("subject", "level", "text", "hint")
        echo_data([{name: str(getattr(one, name)) for name in fields} for one in findings], output)
    else:
        _print(findings)
    if worst(findings) == Level.FAIL:
        sys.exit(1)


def _look(data_dir: Path, docker_host: str, wanted: Sequence[Wanted]) -> Iterator[Finding]:
    yield from kernel.look()
    docker = list(engine.look(docker_host))
    yield from docker
    root = next((one.text.rpartition(" in ")[2] for one in docker if one.subject == engine.STORAGE), "")
    yield from host.look(data_dir, root, wanted)


def _print(findings: Sequence[Finding]) -> None:
    width = max(len(one.subject) for one in findings)
    for one in findings:
        level = click.style(f"{one.level:<4}", fg=_COLOURS[one.level])
        click.echo(f"{level}  {one.subject:<{width}}  {one.text}")
        if one.hint:
            click.echo(f"{'':<{width + 8}}{one.hint}")
    counts = {level: sum(one.level == level for one in findings) for level in Level}
    click.echo(f"{counts[Level.OK]} fine, {counts[Level.WARN]} to think about, {counts[Level.FAIL]} missing")
