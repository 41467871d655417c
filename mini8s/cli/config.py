"""`mini8s config`: what the server or agent of this host would start with, where each value comes from, and
what is wrong with it. Nothing needs to run for that."""

from __future__ import annotations

import difflib
import importlib
import os
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from mini8s.app.config_files import paths
from mini8s.app.given import Gathered, gather
from mini8s.app.settings import judge
from mini8s.cli.errors import CommandError
from mini8s.cli.output import data_option, echo_data, echo_rows
from mini8s.cli.process import given
from mini8s.config import AgentSettings, NodeSettings, ServerSettings

ROLES: dict[str, type[NodeSettings]] = {"server": ServerSettings, "agent": AgentSettings}
HIDDEN = "<hidden>"
_SURE = (
    0.9  # how near a variable's name must be to a setting's to be a slip: MINI8S_NODE is another program's
)
_WORDS = {"ignore_unknown_options": True}
_what = click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[server|agent] [FLAGS]...")


@click.group("config")
def command() -> None:
    """Show and check the settings of this host's server or agent."""


@command.command("show", context_settings=_WORDS)
@data_option
@_what
def show(output: str | None, words: tuple[str, ...]) -> None:
    """Show each setting, and where it comes from; what is secret is hidden. Without server or agent it is the
    agent's when a server to join is set. FLAGS are those of that command."""
    cls, gathered = _read(words)
    _, problems = judge(cls, gathered)
    rows = [
        (item.name.replace("_", "-"), _shown(item.metadata["secret"], one.value), one.origin)
        for item in fields(cls)
        if (one := gathered.given[item.name])
    ]
    if output:
        echo_data({name: {"value": value, "from": origin} for name, value, origin in rows}, output)
    else:
        echo_rows(
            ("Setting", "Value", "From"), [(name, _text(value), origin) for name, value, origin in rows]
        )
    if problems:
        raise CommandError("\nmini8s: ".join(problems))


@command.command("check", context_settings=_WORDS)
@_what
def check(words: tuple[str, ...]) -> None:
    """Say what is wrong with the settings, all of it at once; exit code 1 when something is."""
    cls, gathered = _read(words)
    settings, problems = judge(cls, gathered)
    for warning in _slips(cls):
        click.echo(f"Warning: {warning}", err=True)
    if problems:
        raise CommandError("\nmini8s: ".join(problems))
    files = ", ".join(map(str, paths(Path(settings.config)))) or f"no file (there is no {settings.config})"
    click.echo(f"the settings of the {_role(cls)} are good: {files}")


def settings_of(cls: type[NodeSettings]) -> dict[str, Any]:
    """The effective ones as a text would have them, what is secret hidden; for a bundle that others read."""
    given = gather(cls, {}, os.environ).given
    return {
        item.name.replace("_", "-"): _shown(item.metadata["secret"], given[item.name].value)
        for item in fields(cls)
    }


def _read(words: tuple[str, ...]) -> tuple[type[NodeSettings], Gathered]:
    role, flags = (words[0], words[1:]) if words and not words[0].startswith("-") else ("", words)
    if role and role not in ROLES:
        raise click.UsageError(f"{role!r} is neither server nor agent")
    if not role:
        joins = gather(AgentSettings, {}, os.environ).values.get("server")
        role = "agent" if joins or any(flag.startswith("--server") for flag in flags) else "server"
    runs: click.Command = importlib.import_module(f"mini8s.cli.{role}").command
    said = runs.make_context(f"mini8s {role}", list(flags)).params
    return ROLES[role], gather(ROLES[role], given(said), os.environ)


def _role(cls: type[NodeSettings]) -> str:
    return next(role for role, its in ROLES.items() if its is cls)


def _shown(secret: bool, value: Any) -> Any:
    if secret and value:
        return HIDDEN
    return list(value) if isinstance(value, tuple) else value


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, list) else str(value)


def _slips(cls: type[NodeSettings]) -> Iterator[str]:
    """Variables that are nearly a setting's. Only nearly the name of one: others have variables too."""
    known = {"MINI8S_" + item.name.upper() for role in ROLES.values() for item in fields(role)}
    for name in sorted(os.environ):
        near = difflib.get_close_matches(name, known, 1, _SURE)
        if re.match("MINI8S_", name) and name not in known and near:
            yield f"${name} is no setting of the {_role(cls)}: did you mean ${near[0]}?"
