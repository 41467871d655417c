"""What a user can name, README names: flags with their defaults, commands, kinds, metrics."""

from __future__ import annotations

import re
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

import click
import pytest
from fakes.store import FakeStore

from mini8s import config
from mini8s.agent.dns.exposition import exposition as dns
from mini8s.agent.ingress.exposition import exposition as ingress
from mini8s.agent.ingress.plan import Plan
from mini8s.agent.kubelet.settings import NAMES as KUBELET_ARGUMENTS
from mini8s.api.metrics import Metrics
from mini8s.api.pump import Pump
from mini8s.cli.main import COMMANDS, cli
from mini8s.objects import kinds

NONE = {"reloads": 0, "changes": 0, "failures": 0}
README = (Path(__file__).parents[2] / "README.md").read_text()
SETTINGS = {
    field.name: field
    for cls in (config.NodeSettings, config.AgentSettings, config.ServerSettings)
    for field in fields(cls)
}


def row(item: Field[Any]) -> str:
    """The line of README's table that a setting has; it pins the default."""
    default = "off" if item.default is False else item.default
    about = item.metadata["help"].removesuffix(".")
    choices = ", ".join(f"`{choice}`" for choice in item.metadata["choices"])
    names = {field.name for field in fields(config.NodeSettings)}
    only = [
        f"Only `mini8s {command}`."
        for command, cls in (("agent", config.AgentSettings), ("server", config.ServerSettings))
        if item.name in {field.name for field in fields(cls)} - names
    ]
    more = ["May be repeated."] if item.metadata["many"] else []
    more += ["Reloaded."] if item.metadata["reloaded"] else []
    said = " ".join([f"{about}: {choices}." if choices else f"{about}.", *more, *only])
    shown = f"`{default}`" if default not in ("", ()) else ""
    return f"| `--{item.name.replace('_', '-')}` | {shown} | {said} |"


@pytest.mark.parametrize("name", SETTINGS)
def test_the_readme_documents_the_flag_and_its_default(name: str) -> None:
    assert row(SETTINGS[name]) in README.splitlines()


@pytest.mark.parametrize("name", KUBELET_ARGUMENTS)
def test_the_readme_documents_the_kubelets_setting(name: str) -> None:
    assert re.search(rf"^\|[^|]*`{name}`", README, re.MULTILINE)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_readme_documents_the_command(name: str) -> None:
    assert re.search(rf"^\| `mini8s {name}\b[^|]*` \|", README, re.MULTILINE)


@pytest.mark.parametrize("kind", kinds.KINDS, ids=lambda kind: kind.plural)
def test_the_readme_names_the_kind(kind: kinds.Kind) -> None:
    assert re.search(rf"\b{kind.kind}\b", README)


def options() -> list[tuple[str, click.Option]]:
    """Every option of every command, with the words that lead to it."""
    found, left = [], [("mini8s", click.Context(cli))]
    while left:
        words, context = left.pop()
        command = context.command
        found += [(words, item) for item in command.params if isinstance(item, click.Option)]
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                child = command.get_command(context, name)
                assert child is not None
                left.append((f"{words} {name}", click.Context(child, context, name)))
    return found


@pytest.mark.parametrize(("words", "option"), options(), ids=lambda value: getattr(value, "name", value))
def test_help_says_what_the_option_does(words: str, option: click.Option) -> None:
    assert re.search(r"\.(  \[|$)", option.help or ""), f"{words} {option.opts[-1]}"


def test_the_readme_documents_the_metrics() -> None:
    text = Metrics(Pump(), FakeStore().stats).text() + dns({}, 0, synced=True) + ingress(NONE, Plan())
    names = re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)
    assert [name for name in names if f"`{name}`" not in README] == []
