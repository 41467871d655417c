"""From flags to a running server or agent, and from what keeps it from running to one sentence."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NoReturn, TypeVar

from mini8s.app.host import HostError
from mini8s.app.settings import SettingsError, load
from mini8s.app.supervisor import ChildFailed
from mini8s.cli.errors import CommandError
from mini8s.config import NodeSettings
from mini8s.util import log

S = TypeVar("S", bound=NodeSettings)


def start(cls: type[S], flags: dict[str, Any], run: Callable[[S, Callable[[], S]], int]) -> NoReturn:
    """Be the process that the settings describe, and end with its exit code. Raises CommandError."""
    try:
        read = partial(load, cls, given(flags), dict(os.environ))
        settings = read()
        log.setup(settings.log_level)
        sys.exit(run(settings, read))
    except (SettingsError, HostError, ChildFailed) as error:
        raise CommandError(str(error)) from error


def given(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Those that are on the command line."""
    return {name: value for name, value in flags.items() if value is not None and value != ()}
