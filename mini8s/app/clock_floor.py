"""A board without a clock starts in 1970, where no certificate holds yet: its clock is set to the newest
moment that the data folder has seen, until somebody who knows the time sets it.

Certificates are judged by the kernel's clock, by everybody who looks at them; so it is that clock which is
set, as systemd-timesyncd and fake-hwclock do. Only a clock that is before mini8s was made is touched: one
that is merely behind may be right, and the folder may remember a time when it was wrong.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

log = logging.getLogger(__name__)

MADE = datetime(2025, 1, 1, tzinfo=UTC)  # no cluster of ours is older


def keep(folder: Path, clock: float, set_clock: Callable[[float], None]) -> None:
    """Set the clock when it can't be true. What the folder has seen last is when a file of it was written:
    certificates, the store's, the node's state."""
    if clock >= MADE.timestamp():
        return
    floor = max((MADE.timestamp(), *_written(folder)))
    said = datetime.fromtimestamp(floor, UTC).isoformat(timespec="seconds")
    try:
        set_clock(floor)
    except PermissionError:
        log.warning("the clock is before %s and may not be set: certificates will not hold", said)
        return
    log.warning("the clock was before mini8s was made, and is set to when it last ran: %s", said)


def set_system_clock(seconds: float) -> None:
    """Raises PermissionError."""
    time.clock_settime(time.CLOCK_REALTIME, seconds)


def _written(folder: Path) -> Iterable[float]:
    for place in (
        folder / "server" / "db",
        folder / "server" / "tls",
        folder / "agent",
        folder / "agent" / "state",
    ):
        for path in (place, *place.glob("*")):
            if path.exists():
                yield path.stat().st_mtime
