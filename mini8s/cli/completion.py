"""`mini8s completion`: what a shell needs to complete commands and options."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

VARIABLE = "_MINI8S_COMPLETE"
SHELLS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command("completion")
@click.argument("shell", type=click.Choice(list(SHELLS)))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the script with which a shell completes mini8s: for bash, `source <(mini8s completion bash)`. An
    installation brings it along."""
    click.echo(SHELLS[shell](context.find_root().command, {}, "mini8s", VARIABLE).source())
