"""What a benchmark says: a name, a number, a unit."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Figure:
    name: str
    value: float
    unit: str
    note: str = ""

    def line(self) -> str:
        return f"{self.name:<60} {self.value:>10,.{_digits(self.value)}f} {self.unit:<8} {self.note}".rstrip()

    def noting(self, more: str) -> Figure:
        return replace(self, note=f"{self.note}; {more}")


def middle(name: str, values: Sequence[float], unit: str) -> Figure:
    """The median, and in the note the range."""
    low, high = (f"{value:,.{_digits(value)}f}" for value in (min(values), max(values)))
    note = f"{low} to {high}, n={len(values)}"
    return Figure(name, statistics.median(values), unit, note)


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values don't exceed (nearest rank)."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def _digits(value: float) -> int:
    return 0 if value >= 100 else 2 if value >= 0.1 else 4
