"""What a command's arguments mean: `pods`, `pod web`, `deploy/web svc/web`, `pods,svc`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import click

from mini8s.cli.errors import CommandError
from mini8s.objects import kinds
from mini8s.objects.kinds import Kind, Obj

namespace_option = click.option(
    "-n", "--namespace", default="default", show_default=True, help="Namespace of the objects."
)
selector_option = click.option(
    "-l", "--selector", default="", help="Label selector, such as app=web,tier!=test."
)


@dataclass(frozen=True, slots=True)
class Target:
    """A kind, and the name of one of its objects; "" for all."""

    kind: Kind
    name: str = ""


def kind_of(word: str) -> Kind:
    """Raises CommandError for a word that names no kind."""
    found = kinds.by_word(word)
    if found is None:
        raise CommandError(f'the server doesn\'t have a resource type "{word}"')
    return found


def targets(words: Sequence[str]) -> list[Target]:
    """The objects that arguments name, in kubectl's three ways of naming them. Raises CommandError."""
    if not words:
        raise click.UsageError("say what: a resource type such as pods, or TYPE/NAME")
    if any("/" in word for word in words):
        return [_slashed(word) for word in words]
    types = [kind_of(word) for word in ("pods,svc,deploy,rs" if words[0] == "all" else words[0]).split(",")]
    names = words[1:] or [""]
    return [Target(kind, name) for kind in types for name in names]


def _slashed(word: str) -> Target:
    kind, slash, name = word.partition("/")
    if not slash or not name or "/" in name:
        raise CommandError(
            f"arguments in resource/name form may not have more than one slash, nor lack it: {word}"
        )
    return Target(kind_of(kind), name)


def one(words: Sequence[str]) -> Target:
    """The single object that arguments name. Raises CommandError."""
    found = targets(words)
    if len(found) != 1 or not found[0].name:
        raise CommandError("name exactly one object, such as deployment/web")
    return found[0]


def title(kind: Kind, name: str) -> str:
    """`pod/web`, `deployment.apps/web`: how a command names what it did something to."""
    return f"{kind.singular}.{kind.group}/{name}" if kind.group else f"{kind.singular}/{name}"


def kind_of_object(obj: Obj) -> Kind:
    """Raises CommandError for an object of a kind that is not served."""
    version, name = str(obj.get("apiVersion", "")), str(obj.get("kind", ""))
    found = kinds.by_kind(version, name)
    if found is None:
        raise CommandError(f'no matches for kind "{name}" in version "{version}"')
    return found
