"""What a check says: a line for people, an exit code for scripts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    OK = "OK"
    WARN = "WARN"  # it works, but not all of it, or not for long
    FAIL = "FAIL"  # no server or agent runs here like that


@dataclass(frozen=True, slots=True)
class Finding:
    """`hint`: what to do about it."""

    subject: str
    level: Level
    text: str
    hint: str = ""


def ok(subject: str, text: str) -> Finding:
    return Finding(subject, Level.OK, text)


def warn(subject: str, text: str, hint: str) -> Finding:
    return Finding(subject, Level.WARN, text, hint)


def fail(subject: str, text: str, hint: str) -> Finding:
    return Finding(subject, Level.FAIL, text, hint)


def worst(findings: Iterable[Finding]) -> Level:
    levels = {one.level for one in findings}
    return next((level for level in (Level.FAIL, Level.WARN) if level in levels), Level.OK)
