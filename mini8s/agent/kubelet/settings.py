"""PURE: what `--kubelet-arg NAME=VALUE` may set, under the kubelet's own names and with its defaults.

Sources: the kubelet's command line reference, and Kubernetes' page on node-pressure eviction. Values are
checked when the agent starts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mini8s.objects import quantity

SIGNALS = (
    "memory.available",
    "nodefs.available",
    "nodefs.inodesFree",
    "imagefs.available",
    "imagefs.inodesFree",
    "pid.available",
)
RESERVABLE = ("cpu", "memory", "ephemeral-storage", "pid")
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|h|m|s))+|0", re.ASCII)
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|h|m|s)", re.ASCII)
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


class BadArgument(ValueError):
    """An argument that can't be used; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Amount:
    """A quantity, or a share of the capacity."""

    text: str
    number: int = 0
    share: float = 0.0

    def of(self, capacity: int) -> int:
        return int(capacity * self.share) if self.share else self.number


@dataclass(frozen=True, slots=True)
class Threshold:
    """A signal below which pods are evicted: at once when hard, else when it lasted for the grace period."""

    signal: str
    least: Amount
    grace_seconds: float | None = None  # of a soft one
    reclaim: Amount = Amount("0")  # how much more than `least` is to be there before it is over

    @property
    def hard(self) -> bool:
        return self.grace_seconds is None


def _hard(**least: Amount) -> tuple[Threshold, ...]:
    return tuple(Threshold(signal.replace("_", "."), amount) for signal, amount in least.items())


@dataclass(frozen=True, slots=True)
class KubeletSettings:
    """Seconds, per cent, bytes."""

    # the default of each: what the kubelet has
    eviction: tuple[Threshold, ...] = _hard(
        memory_available=Amount("100Mi", 100 << 20),
        nodefs_available=Amount("10%", share=0.10),
        nodefs_inodesFree=Amount("5%", share=0.05),
        imagefs_available=Amount("15%", share=0.15),
        imagefs_inodesFree=Amount("5%", share=0.05),
    )
    pressure_transition_seconds: float = (
        300.0  # a condition that comes and goes would drive pods away and back
    )
    most_grace_seconds: float = 0.0  # of pods evicted by a soft threshold
    image_gc_high: int = 85
    image_gc_low: int = 80
    image_least_age_seconds: float = 120.0  # what was just pulled is about to be used
    kube_reserved: Mapping[str, str] = field(default_factory=dict)
    system_reserved: Mapping[str, str] = field(default_factory=dict)
    max_pods: int = 110
    lease_seconds: int = 40  # after which a node whose lease is not renewed has given up on it
    most_images: int = 50  # told in the node's status, the biggest; -1: all
    log_bytes: int = 10 << 20  # of a container's log before a new file is begun
    log_files: int = 5  # kept of a container's log, the current one among them
    shutdown_seconds: float = 0.0  # 0: the host's shutdown is not held up for pods
    shutdown_critical_seconds: float = 0.0  # of these, kept for critical pods


DEFAULTS = KubeletSettings()


def parse(arguments: Sequence[str]) -> KubeletSettings:
    """Raises BadArgument."""
    given: dict[str, str] = {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if name not in NAMES:
            raise BadArgument(f"--kubelet-arg {argument!r}: {name!r} is none of {', '.join(NAMES)}")
        if not equals:
            raise BadArgument(f"--kubelet-arg {argument!r} is not NAME=VALUE")
        given[name] = value
    found = DEFAULTS
    for name, (setting, read) in _VALUES.items():
        if name in given:
            found = replace(found, **{setting: _read(name, given[name], read)})
    found = replace(found, eviction=_thresholds(given))
    _check(found)
    return found


def _read(name: str, text: str, read: Callable[[str], Any]) -> Any:
    try:
        return read(text)
    except ValueError as error:
        raise BadArgument(f"--kubelet-arg {name}={text}: {error}") from error


def _check(found: KubeletSettings) -> None:
    if found.image_gc_low >= found.image_gc_high:
        raise BadArgument(
            f"--kubelet-arg image-gc-low-threshold={found.image_gc_low} is not below "
            f"image-gc-high-threshold={found.image_gc_high}"
        )
    if found.shutdown_critical_seconds > found.shutdown_seconds:
        raise BadArgument(
            "--kubelet-arg shutdown-grace-period-critical-pods is longer than shutdown-grace-period"
        )


def _thresholds(given: Mapping[str, str]) -> tuple[Threshold, ...]:
    """What is given takes the place of all defaults, as upstream has it. Raises BadArgument."""
    hard, soft = "eviction-hard", "eviction-soft"
    found = list(DEFAULTS.eviction)
    if hard in given:
        found = _read(hard, given[hard], _statements)
    for one in _read(soft, given.get(soft, ""), _statements):
        graces = _read(f"{soft}-grace-period", given.get(f"{soft}-grace-period", ""), _graces)
        if one.signal not in graces:
            raise BadArgument(f"--kubelet-arg {soft}: {soft}-grace-period says nothing of {one.signal}")
        found.append(replace(one, grace_seconds=graces[one.signal]))
    reclaim = _read("eviction-minimum-reclaim", given.get("eviction-minimum-reclaim", ""), _amounts)
    return tuple(replace(one, reclaim=reclaim.get(one.signal, one.reclaim)) for one in found)


def _statements(text: str) -> list[Threshold]:
    """`memory.available<100Mi,nodefs.available<10%`; 0 and 100% are no threshold."""
    found = []
    for statement in filter(None, text.split(",")):
        signal, less, amount = statement.partition("<")
        if not less:
            raise ValueError(f"{statement!r} is not SIGNAL<QUANTITY")
        if amount not in {"0", "0%", "100%"}:
            found.append(Threshold(_signal(signal), _amount(amount)))
    return found


def _amounts(text: str) -> dict[str, Amount]:
    return {_signal(key): _amount(value) for key, value in _pairs(text)}


def _graces(text: str) -> dict[str, float]:
    return {_signal(key): duration(value) for key, value in _pairs(text)}


def _reserved(text: str) -> dict[str, str]:
    found = dict(_pairs(text))
    for resource, amount in found.items():
        if resource not in RESERVABLE:
            raise ValueError(f"{resource!r} is none of {', '.join(RESERVABLE)}")
        if quantity.parse(amount) < 0:
            raise ValueError(f"{resource}={amount} is less than nothing")
    return found


def _pairs(text: str) -> list[tuple[str, str]]:
    pairs = [statement.partition("=") for statement in filter(None, text.split(","))]
    for key, equals, value in pairs:
        if not equals or not value:
            raise ValueError(f"{key!r} is not KEY=VALUE")
    return [(key, value) for key, _, value in pairs]


def _signal(text: str) -> str:
    if text not in SIGNALS:
        raise ValueError(f"{text!r} is none of {', '.join(SIGNALS)}")
    return text


def _amount(text: str) -> Amount:
    if not text.endswith("%"):
        return Amount(text, _positive(quantity.value(text)))
    try:
        share = float(text[:-1]) / 100
    except ValueError as error:
        raise ValueError(f"{text!r} is no percentage") from error
    if not 0 < share < 1:
        raise ValueError(f"{text!r} is not between 0% and 100%")
    return Amount(text, share=share)


def duration(text: str) -> float:
    """Go's form: 1m30s. Raises ValueError."""
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is no duration such as 1m30s")
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))


def _positive(number: int) -> int:
    if number < 0:
        raise ValueError(f"{number} is less than nothing")
    return number


def _percent(text: str) -> int:
    if not text.isdigit() or int(text) > 100:
        raise ValueError("not a number from 0 to 100")
    return int(text)


def _count(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise ValueError("not a number above 0")
    return int(text)


def _log_files(text: str) -> int:
    if not text.isdigit() or int(text) < 2:
        raise ValueError("not a number above 1")
    return int(text)


def _bytes(text: str) -> int:
    size = quantity.value(text)
    if size <= 0:
        raise ValueError(f"{text!r} is not more than nothing")
    return size


def _images(text: str) -> int:
    return -1 if text == "-1" else _count(text)


def _seconds(text: str) -> float:
    if not text.isdigit():
        raise ValueError("not a number of seconds")
    return float(text)


_VALUES: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "container-log-max-files": ("log_files", _log_files),
    "container-log-max-size": ("log_bytes", _bytes),
    "eviction-max-pod-grace-period": ("most_grace_seconds", _seconds),
    "eviction-pressure-transition-period": ("pressure_transition_seconds", duration),
    "image-gc-high-threshold": ("image_gc_high", _percent),
    "image-gc-low-threshold": ("image_gc_low", _percent),
    "kube-reserved": ("kube_reserved", _reserved),
    "max-pods": ("max_pods", _count),
    "minimum-image-ttl-duration": ("image_least_age_seconds", duration),
    "node-lease-duration-seconds": ("lease_seconds", _count),
    "node-status-max-images": ("most_images", _images),
    "shutdown-grace-period": ("shutdown_seconds", duration),
    "shutdown-grace-period-critical-pods": ("shutdown_critical_seconds", duration),
    "system-reserved": ("system_reserved", _reserved),
}
NAMES = sorted(
    (
        *("eviction-hard", "eviction-soft", "eviction-soft-grace-period", "eviction-minimum-reclaim"),
        *_VALUES,
    )
)
