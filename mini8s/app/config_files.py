"""`config.yaml` and the drop-ins beside it, as k3s reads them (https://docs.k3s.io/installation/configuration):
the file, then `config.yaml.d/*.yaml` by name.

Nothing is typed here. What is kept of each value is the line that it is in, for whoever has to mend it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

_TAG = "tag:yaml.org,2002:"  # before what a plain scalar turned out to be: str, int, bool, null …
_SUFFIXES = frozenset({".yaml", ".yml"})


class BadConfig(Exception):
    """A file that can't be read; the message names it, and the line where there is one."""


@dataclass(frozen=True, slots=True)
class Said:
    """A key and what stands behind it. `adds`: the key ended with `+`. `kind` is the type that YAML sees in a
    scalar, "list" for a sequence of scalars."""

    key: str
    adds: bool
    texts: tuple[str, ...]
    kind: str
    where: str


def paths(config: Path) -> list[Path]:
    """The files that there are, in the order in which they are read."""
    folder = config.with_name(f"{config.name}.d")
    dropped = sorted(path for path in folder.glob("*") if path.suffix in _SUFFIXES) if folder.is_dir() else []
    return ([config] if config.exists() else []) + dropped


def read(path: Path) -> Iterator[Said]:
    """What a file says, from top to bottom. Raises BadConfig."""
    root = _composed(path)
    if root is None:
        return
    if not isinstance(root, yaml.MappingNode):
        raise BadConfig(f"{_at(path, root)}: it is not a mapping of settings")
    first: dict[str, int] = {}
    for key, value in root.value:
        if not isinstance(key, yaml.ScalarNode):
            raise BadConfig(f"{_at(path, key)}: a key is not a text")
        if key.value in first:
            raise BadConfig(f'{_at(path, key)}: "{key.value}" is in line {first[key.value]} already')
        first[key.value] = key.start_mark.line + 1
        texts, kind = _texts(path, key.value, value)
        name = key.value.removesuffix("+")
        yield Said(name, key.value.endswith("+"), texts, kind, _at(path, key))


def _composed(path: Path) -> yaml.Node | None:
    try:
        found: yaml.Node | None = yaml.compose(path.read_text(), yaml.SafeLoader)
    except OSError as error:
        raise BadConfig(f"{path} can't be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise BadConfig(f"{path} is not text in UTF-8") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BadConfig(f"{path}:{line}: it is not YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise BadConfig(f"{path} is not YAML: {error}") from error
    return found


def _texts(path: Path, key: str, node: yaml.Node) -> tuple[tuple[str, ...], str]:
    """As written, so that 0644 stays what it is."""
    if isinstance(node, yaml.ScalarNode):
        return (node.value,), node.tag.removeprefix(_TAG)
    if not isinstance(node, yaml.SequenceNode):
        raise BadConfig(f'{_at(path, node)}: "{key}" is a mapping, and no setting is one')
    for one in node.value:
        if not isinstance(one, yaml.ScalarNode) or one.tag == f"{_TAG}null":
            raise BadConfig(f'{_at(path, one)}: "{key}" is not a list of texts')
    return tuple(one.value for one in node.value), "list"


def _at(path: Path, node: yaml.Node) -> str:
    return f"{path}:{node.start_mark.line + 1}"
