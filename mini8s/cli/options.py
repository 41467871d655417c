"""Flags made from the settings' dataclasses, so that a setting is described once; and where a server's files
are."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import Field, fields
from typing import Any

import click

from mini8s.app.given import gather
from mini8s.config import NodeSettings, ServerSettings

Decorator = Callable[[Callable[..., None]], Callable[..., None]]


def setting_option(name: str, help: str, flag: str = "") -> Decorator:
    """The value of one of the server's or agent's settings, for a command that must know it too: as the
    configuration of this host says it."""
    default = getattr(ServerSettings(), name)
    return click.option(
        flag or "--" + name.replace("_", "-"),
        envvar=f"MINI8S_{name.upper()}",
        type=type(default),
        default=lambda: gather(ServerSettings, {}, os.environ).given[name].value,
        show_default=str(default),
        help=help,
    )


data_dir_option = setting_option("data_dir", "Data folder of the server on this host.")


def settings_options(cls: type[NodeSettings]) -> Callable[[click.Command], click.Command]:
    """Give a command one option for each setting; what isn't given on the command line stays unset (None)."""

    def add(command: click.Command) -> click.Command:
        command.params = [_option(item) for item in fields(cls)]
        return command

    return add


def _option(item: Field[Any]) -> click.Option:
    flag, about = "--" + item.name.replace("_", "-"), item.metadata["help"]
    if isinstance(item.default, bool):
        return click.Option([flag], is_flag=True, default=None, help=about)
    shown = f"{about}  [default: {item.default}]" if item.default not in ("", ()) else about
    kind: Any = click.Choice(item.metadata["choices"]) if item.metadata["choices"] else type(item.default)
    if item.metadata["many"]:
        return click.Option([flag], multiple=True, type=str, help=f"{about}  [may be repeated]")
    return click.Option([flag], type=kind, default=None, help=shown)
