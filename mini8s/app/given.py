"""What was said of settings, and where: flags over environment over files over defaults, each value with its
origin.

Everything that is wrong is found in one go, so that a file is mended once. Lists may have commas between
their values in each of the three places, as k3s' may.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from mini8s.app import config_files
from mini8s.app.config_files import BadConfig, Said
from mini8s.config import AgentSettings, NodeSettings, ServerSettings

DEFAULT = "default"
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off", "")


@dataclass(frozen=True, slots=True)
class Given:
    value: Any
    origin: str = DEFAULT


@dataclass(slots=True)
class Gathered:
    """By setting, as a field is named; and a sentence for each thing that is wrong."""

    given: dict[str, Given]
    problems: list[str] = field(default_factory=list)

    @property
    def values(self) -> dict[str, Any]:
        return {name: one.value for name, one in self.given.items() if one.origin != DEFAULT}


def gather(cls: type[NodeSettings], flags: Mapping[str, Any], environ: Mapping[str, str]) -> Gathered:
    """`flags` holds only what was given."""
    items = {item.name: item for item in fields(cls)}
    found = Gathered({name: Given(item.default) for name, item in items.items()})
    _take_files(found, items, flags, environ)
    for name, item in items.items():
        variable = "MINI8S_" + name.upper()
        if variable in environ:
            _take(found, item, [environ[variable]], f"${variable}", f"${variable}")
    for name, value in flags.items():
        texts = [str(part) for part in value] if isinstance(value, list | tuple) else [str(value)]
        _take(found, items[name], texts, flag(name), flag(name))
    return found


def flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _take_files(
    found: Gathered, items: Mapping[str, Field[Any]], flags: Mapping[str, Any], environ: Mapping[str, str]
) -> None:
    default = str(items["config"].default)
    config = Path(flags.get("config") or environ.get("MINI8S_CONFIG") or default)
    if not config.exists() and str(config) != default:
        found.problems.append(f"{config} does not exist")
    for path in config_files.paths(config):
        try:
            for said in config_files.read(path):
                _take_said(found, items, said)
        except BadConfig as error:
            found.problems.append(str(error))


def _take_said(found: Gathered, items: Mapping[str, Field[Any]], said: Said) -> None:
    item = items.get(said.key.replace("-", "_"))
    if item is None or item.name == "config":
        found.problems.append(f'{said.where}: unknown key "{said.key}"{_hint(said.key, items)}')
        return
    before = found.given[item.name]
    if wrong := _misfit(item, said):
        found.problems.append(f"{said.where}: {said.key} {wrong}")
    elif _take(found, item, said.texts, f"{said.where}: {said.key}", said.where) and said.adds:
        found.given[item.name] = _added(item, before, found.given[item.name])


def _hint(key: str, items: Iterable[str]) -> str:
    for command, cls in (("agent", AgentSettings), ("server", ServerSettings)):
        if key.replace("-", "_") in {item.name for item in fields(cls)} - {"config"}:
            return f": it is one of mini8s {command} only"
    known = [name.replace("_", "-") for name in items if name != "config"]
    near = difflib.get_close_matches(key.lower().replace("_", "-"), known, 1)
    return f': did you mean "{near[0]}"?' if near else ""


def _misfit(item: Field[Any], said: Said) -> str:
    """What is wrong with the form of a value; YAML sees more in plain words than their writers do."""
    if said.kind == "null":
        return "has no value: leave the line out, or say which"
    if said.kind == "list" and not item.metadata["many"]:
        return "is a list, and takes one value"
    if said.kind == "bool" and not isinstance(item.default, bool):
        return f"is {said.texts[0]}, which YAML takes for true or false: put it in quotes if it is meant"
    if said.adds and not (item.metadata["many"] or isinstance(item.default, str)):
        return "can't be added to: say it without +"
    return ""


def _added(item: Field[Any], before: Given, more: Given) -> Given:
    """As k3s does it: lists grow, texts are joined with a comma."""
    if before.origin == DEFAULT:
        return more
    origin = f"{before.origin}, {more.origin}"
    if item.metadata["many"]:
        return Given((*before.value, *more.value), origin)
    return Given(",".join(filter(None, (before.value, more.value))), origin)


def _take(found: Gathered, item: Field[Any], texts: Sequence[str], where: str, origin: str) -> bool:
    try:
        found.given[item.name] = Given(_typed(item, texts), origin)
    except ValueError as error:
        found.problems.append(f"{where} is {error}")
        return False
    return True


def _typed(item: Field[Any], texts: Sequence[str]) -> Any:
    """The value as the setting has it. Raises ValueError."""
    if item.metadata["many"]:
        parts = tuple(_parts(texts, item.metadata["between"]))
        for part in parts:
            _check_choice(item, part)
        return parts
    text = texts[0]
    if isinstance(item.default, bool):
        if text.lower() not in _TRUE + _FALSE:
            raise ValueError(f"{text!r}, not true or false")
        return text.lower() in _TRUE
    if isinstance(item.default, int):
        if not re.fullmatch(r"\s*-?\d+\s*", text, re.ASCII):
            raise ValueError(f"{text!r}, not a whole number")
        return int(text)
    _check_choice(item, text)
    return text


def _parts(texts: Iterable[str], between: str) -> Iterator[str]:
    for text in texts:
        yield from filter(None, (part.strip() for part in text.split(between)))


def _check_choice(item: Field[Any], value: str) -> None:
    choices = item.metadata["choices"]
    if choices and value not in choices:
        raise ValueError(f"{value!r}, not one of {', '.join(choices)}")
