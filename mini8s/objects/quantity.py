"""Resource quantities: `500m`, `1.5Gi`, `12e6`, computed exactly.

As upstream, a quantity is a whole number of nano-units, rounded away from zero, and at most 2^63-1. Its
canonical form has no fraction, the largest suffix that loses nothing, and the family of suffixes it was
written in.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

_FORM = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)", re.ASCII)
_EXPONENT = re.compile(r"[eE]([-+]?[0-9]+)", re.ASCII)
_LONGEST = 512
_NANO = 9
_MOST = ((1 << 63) - 1) * 10**_NANO

_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DECIMAL_SUFFIX = {power: suffix for suffix, power in _DECIMAL.items()}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_BINARY_SUFFIX = ("", *_BINARY)

Text = str | int | float


def parse(value: Text) -> Decimal:
    """The exact number. Raises ValueError, with upstream's message, for what is no quantity."""
    return Decimal(_nanos(value)).scaleb(-_NANO)


def value(value: Text) -> int:
    """Whole units, rounded up: bytes of memory."""
    return _up(_nanos(value), 10**_NANO)


def milli(value: Text) -> int:
    """Thousandths, rounded up: millicores."""
    return _up(_nanos(value), 10 ** (_NANO - 3))


def canonical(value: Text) -> str:
    """The form upstream prints: `1024Mi` is `1Gi`, `0.5` is `500m`."""
    nanos, family = _read(str(value))
    if family == "binary" and abs(nanos) >= 1024 * 10**_NANO:
        return format_binary(_up(nanos, 10**_NANO))
    return _decimal(nanos, -_NANO, exponent=family == "exponent")


def format_binary(count: int) -> str:
    """A number of bytes, with the largest of Ki, Mi, … that divides it."""
    power = 0
    while count and count % 1024 == 0 and power < len(_BINARY):
        count //= 1024
        power += 1
    return f"{count}{_BINARY_SUFFIX[power]}"


def format_decimal_milli(count: int) -> str:
    """A number of thousandths: 1500 is `1500m`, 2000 is `2`."""
    return _decimal(count, -3, exponent=False)


def _decimal(count: int, power: int, *, exponent: bool) -> str:
    while count and count % 1000 == 0 and power < 18:
        count //= 1000
        power += 3
    if not count or not power:
        return str(count)
    return f"{count}e{power}" if exponent else f"{count}{_DECIMAL_SUFFIX[power]}"


def _nanos(value: Text) -> int:
    return _read(str(value))[0]


@lru_cache(maxsize=4096)
def _read(text: str) -> tuple[int, str]:
    """Nano-units, and the family of the suffix: decimal, binary or exponent."""
    found = _FORM.fullmatch(text.strip())
    if not found or not (found[2] or found[3]) or len(text) > _LONGEST:
        raise ValueError(
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        )
    sign, whole, fraction, suffix = found[1], found[2], found[3] or "", found[4]
    digits = int(whole + fraction)
    power, shift, family = _suffix(suffix, len(whole + fraction))
    nanos = min(_MOST, _scaled(digits << shift, power - len(fraction) + _NANO))
    return (-nanos if sign == "-" else nanos), family


def _suffix(suffix: str, digits: int) -> tuple[int, int, str]:
    """Power of ten, power of two, family."""
    if suffix in _DECIMAL:
        return _DECIMAL[suffix], 0, "decimal"
    if suffix in _BINARY:
        return 0, _BINARY[suffix], "binary"
    if found := _EXPONENT.fullmatch(suffix):
        reach = digits + 40  # beyond it the result is the greatest or the least there is
        return max(-reach, min(reach, int(found[1]))), 0, "exponent"
    raise ValueError("unable to parse quantity's suffix")


def _scaled(number: int, power: int) -> int:
    return number * 10**power if power >= 0 else _up(number, 10**-power)


def _up(number: int, unit: int) -> int:
    return -(-number // unit)
