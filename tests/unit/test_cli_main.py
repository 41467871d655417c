"""What holds for every command: completion, colours, and how an error ends."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from mini8s.cli.main import COMMANDS, cli, colour


def completed(*words: str) -> list[str]:
    shell = ShellComplete(cli, {}, "mini8s", "_MINI8S_COMPLETE")
    return [item.value for item in shell.get_completions(list(words[:-1]), words[-1])]


def test_commands_and_options_are_completed() -> None:
    assert completed("s") == [name for name in COMMANDS if name.startswith("s")]
    assert completed("snapshot", "s") == ["save", "schedule"]
    assert "--cluster-cidr" in completed("server", "--cl")
    assert completed("completion", "z") == ["zsh"]


def test_a_name_is_completed_without_importing_the_commands() -> None:
    program = (
        "import sys; from click.shell_completion import ShellComplete; from mini8s.cli.main import cli\n"
        "ShellComplete(cli, {}, 'mini8s', 'X').get_completions([], 's')\n"
        "print([name for name in sys.modules if name in ('mini8s.cli.server', 'mini8s.cli.snapshot')])"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(shell: str) -> None:
    said = CliRunner().invoke(cli, ["completion", shell])
    assert said.exit_code == 0
    assert f"_MINI8S_COMPLETE={shell}_complete" in said.output


@pytest.mark.parametrize(("value", "wanted"), [("", None), ("1", False)])
def test_no_color_is_heard(monkeypatch: pytest.MonkeyPatch, value: str, wanted: bool | None) -> None:
    monkeypatch.setenv("NO_COLOR", value)
    assert colour() is wanted
