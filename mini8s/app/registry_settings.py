"""The node's `registries.yaml`: read and checked before anything starts, and made known to the engine."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import yaml

from mini8s.agent.kubelet.images.registries import BadRegistries, Registries, parse
from mini8s.config import NodeSettings

log = logging.getLogger(__name__)


def load(settings: NodeSettings) -> Registries:
    """Raises BadRegistries."""
    return read(Path(settings.private_registry))


def read(path: Path) -> Registries:
    """Nothing when there is no such file. Raises BadRegistries, whose message names the file."""
    try:
        return parse(yaml.safe_load(path.read_text()))
    except FileNotFoundError:
        return Registries()
    except (BadRegistries, yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        raise BadRegistries(f"{path}: {error}") from error


def introduce(registries: Registries, trust: Callable[[str, Mapping[str, str]], None]) -> None:
    """Have the engine trust what the node trusts (`Runtime.trust`). What it has to be told otherwise is
    said."""
    for host, files in registries.files.items():
        try:
            trust(host, files)
        except OSError as error:
            log.warning("certificates of registry %s are not used: %s", host, error)
    for host in registries.unverified:
        log.warning(
            "insecure_skip_verify of registry %s is Docker's own setting: "
            "add it to insecure-registries in /etc/docker/daemon.json",
            host,
        )
