"""PURE: which images make room for others: those that nobody has used for longest.

Upstream's thresholds and order (`pkg/kubelet/images/image_gc_manager.go`). Never collected: what is in use,
what came from the image folder, and what is so young that a pod may just be about to start from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mini8s.agent.kubelet.settings import KubeletSettings
from mini8s.agent.kubelet.usage.disk_usage import Space
from mini8s.agent.runtime.records import Image


@dataclass(frozen=True, slots=True)
class Seen:
    """When an image was first seen here, and when it was last in use (0: never), monotonic."""

    first: float
    used: float = 0.0


@dataclass(frozen=True, slots=True)
class Known:
    """What one look hands to the next, by image id."""

    images: Mapping[str, Seen] = field(default_factory=dict)


def look(known: Known, images: Iterable[Image], in_use: Iterable[str], now: float) -> Known:
    """`in_use` are ids of images that containers were made from, whether these run or not."""
    used = set(in_use)
    return Known(
        {
            image.id: Seen(
                (known.images.get(image.id) or Seen(now)).first,
                now if image.id in used else (known.images.get(image.id) or Seen(now)).used,
            )
            for image in images
        }
    )


def to_free(space: Space, settings: KubeletSettings) -> int:
    """Bytes, 0 when there is room: from the high threshold down to the low one."""
    if not space.capacity or 100 - space.available * 100 // space.capacity < settings.image_gc_high:
        return 0
    return max(0, space.capacity * (100 - settings.image_gc_low) // 100 - space.available)


def collectable(
    known: Known,
    images: Iterable[Image],
    pinned: Iterable[str],
    *,
    now: float,
    least_age_seconds: float,
) -> list[Image]:
    """What may go, in the order in which it goes. `pinned` are names."""
    kept = frozenset(pinned)
    free = [
        image
        for image in images
        if not image.pinned
        and kept.isdisjoint(image.names)
        and known.images[image.id].used < now
        and now - known.images[image.id].first >= least_age_seconds
    ]
    return sorted(
        free, key=lambda image: (known.images[image.id].used, known.images[image.id].first, image.id)
    )


def enough(free: Sequence[Image], wanted: int) -> list[Image]:
    """The first of them that together give that much, or all when they don't."""
    found: list[Image] = []
    for image in free:
        if sum(one.size_bytes for one in found) >= wanted:
            break
        found.append(image)
    return found
