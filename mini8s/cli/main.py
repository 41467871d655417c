"""The `mini8s` command: one file a subcommand, imported only when it is called.

An error that a person can act on ends as one sentence on stderr and exit code 1; click's own usage errors end
with 2; anything else is a defect and shows its trace.
"""

from __future__ import annotations

import importlib
import os
import sys

import click
from click.shell_completion import CompletionItem

from mini8s.cli.errors import CommandError
from mini8s.config import VERSION
from mini8s.objects.errors import ApiError

COMMANDS = {
    "server": "Run the server: API, controllers, scheduler, and this host's node.",
    "agent": "Run a node that joins a server.",
    "get": "Show objects.",
    "describe": "Show everything about objects, and the events about them.",
    "apply": "Create or change objects so that they are as in files.",
    "delete": "Delete objects.",
    "logs": "Print the logs of a container.",
    "exec": "Run a command in a container.",
    "top": "Show how much cpu and memory nodes or pods use.",
    "expose": "Make a Service that leads to a workload's pods.",
    "run": "Run so many pods of an image, and follow them until they are available.",
    "why": "Say why an object is as it is, and what is behind that.",
    "history": "List an object's revisions, who made them and what they changed.",
    "undo": "Put an object back to what it was.",
    "scale": "Set how many replicas a Deployment keeps.",
    "rollout": "Follow, inspect, undo, restart, pause and resume rollouts.",
    "status": "Say how the cluster is, in a screen.",
    "token": "Print, make, list and delete tokens with which other hosts join.",
    "node": "Let a host take another one's place.",
    "certificate": "Tell how long certificates last.",
    "snapshot": "Save, list, restore and delete snapshots of the server.",
    "upgrade": "Upgrade hosts one by one.",
    "secrets": "Change the key under which Secrets lie on the disk.",
    "config": "Show and check the settings of this host's server or agent.",
    "check": "Tell what a host lacks, before anything is installed.",
    "debug": "Collect what helps to find out what is wrong.",
    "completion": "Print what a shell needs to complete commands.",
    "image": "Import, list, pull, pin and remove images on this host.",
    "kubeconfig": "Print the administrator's kubeconfig.",
    "unit": "Print the systemd unit of the server or the agent.",
    "reset": "Take away all that mini8s made on this host.",
}


class LazyGroup(click.Group):
    """Knows its commands' names and one-line helps; loads a command's module when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002
        if name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"mini8s.cli.{name}").command
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """From the table: click's own way would import every command at each press of a key."""
        found = [
            CompletionItem(name, help=about)
            for name, about in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="mini8s")
def cli() -> None:
    """mini8s runs containers on a handful of small hosts and speaks the Kubernetes API."""


def colour() -> bool | None:
    """None: on a terminal only (https://no-color.org)."""
    return False if os.environ.get("NO_COLOR") else None


def main() -> None:
    try:
        cli(color=colour())
    except (CommandError, ApiError) as error:
        click.echo(f"mini8s: {error}", err=True)
        sys.exit(1)
