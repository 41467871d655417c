"""int-or-string values: `3`, or a percentage such as `25%` of something."""

from __future__ import annotations

import re

_PERCENT = re.compile(r"([0-9]{1,18})%", re.ASCII)


def percent(value: int | str) -> int | None:
    """The number before the `%`; None for anything else."""
    found = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    return int(found[1]) if found else None


def resolve(value: int | str, total: int, *, round_up: bool) -> int:
    """The count that value means out of total. Raises ValueError for a string that is no percentage."""
    if isinstance(value, int):
        return value
    share = percent(value)
    if share is None:
        raise ValueError(
            f'invalid value for IntOrString: invalid type: string is not a percentage: "{value}"'
        )
    return -(-share * total // 100) if round_up else share * total // 100
