"""Transcripts: commands with what they must print, as files that a person reads like a terminal.

    ## Why this file exists; comments begin so.
    $ kubectl get configmap settings -o name
    configmap/settings
    $ kubectl apply -f - <<EOF
    > {apiVersion: v1, kind: ConfigMap, metadata: {name: x}}
    > EOF
    [..1.29] what kubectl up to 1.29 prints
    [1.30..] what the later ones print
    [exit 1]

A command runs in bash, standard error beside standard output. A line that begins with a range of versions is
there for these only, a command with all that it prints as well. What can't be known beforehand has a name in
angle brackets (`HOLES`), and nothing else is forgiven but how many spaces follow such a word, and blank lines
at the end.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

# What stands for a word that differs from run to run. Ages are in seconds: no transcript takes two minutes.
HOLES = {
    "<age>": r"\d{1,3}s",
    "<created>": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000 UTC",
    "<date>": r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}",
    "<hash>": "[a-z0-9]{1,10}",
    "<ip>": r"\d+\.\d+\.\d+\.\d+",
    "<micro>": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z",
    "<number>": r"\d+",
    "<rv>": r"\d+",
    "<suffix>": "[a-z0-9]{5}",
    "<time>": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
    "<uid>": "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
}
_HOLE = re.compile("({})( *)".format("|".join(HOLES)))
_RANGE = re.compile(r"\[(?:1\.(\d+))?\.\.(?:1\.(\d+))?\] ?")
SECONDS = 180


@dataclass(frozen=True, slots=True)
class Step:
    """A command and the lines that it must print."""

    command: str
    lines: tuple[str, ...]


def steps(text: str, minor: int) -> Iterator[Step]:
    """What a kubectl of version 1.`minor` is put through."""
    command, lines, skipped = "", [""], True
    for line in text.splitlines():
        body, here = _for_version(line, minor)
        if body.startswith("$ "):
            if not skipped:
                yield _step(command, lines)
            command, lines, skipped = body[2:], [], not here
        elif body.startswith("> ") or body == ">":
            command += f"\n{body[2:]}"
        elif here and not body.startswith("## "):
            lines.append(body)
    if not skipped:
        yield _step(command, lines)


def _for_version(line: str, minor: int) -> tuple[str, bool]:
    """The line without its range, and whether it is meant for this version."""
    found = _RANGE.match(line)
    if not found:
        return line, True
    first, last = (int(end) if end else None for end in found.groups())
    return line[found.end() :], (first or 0) <= minor <= (last or minor)


def _step(command: str, lines: list[str]) -> Step:
    while lines and not lines[-1]:
        lines.pop()
    return Step(command, tuple(lines))


def run(command: str, environment: Mapping[str, str], folder: Path) -> list[str]:
    """What a command prints; an exit code other than 0 is its last line."""
    done = subprocess.run(
        ["/bin/bash", "-c", command],
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    return lines + ([f"[exit {done.returncode}]"] if done.returncode else [])


def as_expected(printed: list[str], lines: tuple[str, ...]) -> list[str]:
    """What was printed, each line that is as expected in the expectation's words."""
    patterns = [(_pattern(line), line.rstrip()) for line in lines]
    return [
        next((expected for pattern, expected in patterns if pattern.fullmatch(line)), line)
        for line in printed
    ]


def _pattern(line: str) -> re.Pattern[str]:
    pieces = _HOLE.split(line.rstrip())
    parts = [re.escape(pieces[0])]
    for hole, spaces, rest in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        parts += [HOLES[hole], " +" if spaces else "", re.escape(rest)]
    return re.compile("".join(parts))
