"""The host's own time zone, with its changes of the clocks: an offset would be right for half a year."""

from __future__ import annotations

import os
from datetime import UTC, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_FILE = Path("/etc/localtime")  # tzset(3)


def local_zone() -> tzinfo:
    """What TZ names, else what the host is set to, else UTC."""
    named = os.environ.get("TZ", "").removeprefix(":")
    try:
        if named:
            return ZoneInfo(named)
        with _FILE.open("rb") as file:
            return ZoneInfo.from_file(file, key="Local")
    except (OSError, ValueError, ZoneInfoNotFoundError):
        return UTC
