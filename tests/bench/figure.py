"""What a benchmark says: a name, a number, a unit."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    name: str
    value: float
    unit: str
    note: str = ""

    def line(self) -> str:
        digits = 0 if self.value >= 100 else 2 if self.value >= 1 else 4
        text = f"{self.name:<60} {self.value:>10,.{digits}f} {self.unit:<8} {self.note}"
        return text.rstrip()


def middle(name: str, values: Sequence[float], unit: str) -> Figure:
    """The median, and in the note the range."""
    note = f"{min(values):.2f} to {max(values):.2f}, n={len(values)}"
    return Figure(name, statistics.median(values), unit, note)
