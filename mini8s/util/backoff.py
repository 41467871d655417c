"""Waiting longer after each failure in a row, so that what is broken is not hammered."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Backoff:
    """Seconds to wait: `first`, then twice as long each time, never more than `most`."""

    first: float = 0.2
    most: float = 30.0
    failures: int = 0

    def failed(self) -> float:
        """Count a failure; the seconds to wait before the next try."""
        wait = min(self.most, self.first * 2.0 ** min(self.failures, 32))
        self.failures += 1
        return wait

    def succeeded(self) -> None:
        self.failures = 0
