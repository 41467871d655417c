"""The scheduler's profiles from the file that `--kube-scheduler-arg config=FILE` names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from mini8s.config import ServerSettings
from mini8s.objects.errors import BadRequest
from mini8s.scheduler.profiles import Profile, profiles

FLAG = "--kube-scheduler-arg"


class BadConfiguration(Exception):
    """One sentence that says what is wrong where."""


def profiles_of(settings: ServerSettings) -> Mapping[str, Profile]:
    """Raises BadConfiguration."""
    path = ""
    for argument in settings.kube_scheduler_arg:
        name, _, path = argument.partition("=")
        if name != "config" or not path:
            raise BadConfiguration(f"{FLAG} {argument}: only config=FILE is known")
    if not path:
        return profiles(None)
    try:
        stated = yaml.safe_load(Path(path).read_text())
    except OSError as error:
        raise BadConfiguration(f"{FLAG}: {path} can't be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadConfiguration(f"{FLAG}: {path} is not YAML: {error}") from error
    if not isinstance(stated, dict):
        raise BadConfiguration(f"{FLAG}: {path} is not a mapping")
    try:
        return profiles(stated)
    except BadRequest as error:
        raise BadConfiguration(f"{FLAG}: {path}: {error}") from error
