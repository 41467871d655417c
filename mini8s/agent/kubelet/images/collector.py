"""Makes room for images: every five minutes when the disk is full, and at once when pods would have to go.
All of it by one thread."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from mini8s.agent.kubelet.images import garbage as image_gc
from mini8s.agent.kubelet.settings import KubeletSettings
from mini8s.agent.kubelet.usage.disk_usage import Space
from mini8s.agent.runtime.base import EngineDown, EngineError, Runtime
from mini8s.agent.runtime.records import Image, RunningPod
from mini8s.util.clock import Clock

log = logging.getLogger(__name__)

EVERY_SECONDS = 300.0
FIRST_SECONDS = 10.0


class ImageCollector:
    """`space` is the engine's filesystem; `tell` takes an event about the node: type, reason, message."""

    def __init__(
        self,
        *,
        runtime: Runtime,
        pods: Callable[[], Iterable[RunningPod]],
        pinned: Callable[[], Iterable[str]],
        space: Callable[[], Space],
        settings: KubeletSettings,
        clock: Clock,
        tell: Callable[[str, str, str], None],
    ) -> None:
        self._runtime = runtime
        self._pods = pods
        self._pinned = pinned
        self._space = space
        self._settings = settings
        self._clock = clock
        self._tell = tell
        self._known = image_gc.Known()

    def step(self) -> float:
        """One round; seconds until the next. The first only looks: what is wanted may not have been started
        yet."""
        try:
            if not self._known.images:
                self._collectable(self._runtime.images())
                return FIRST_SECONDS
            self._round()
        except EngineDown:
            return FIRST_SECONDS
        return EVERY_SECONDS

    def free_all(self) -> int:
        """Remove whatever may go; how many bytes that gave. Raises EngineDown."""
        return self._remove(self._collectable(self._runtime.images()))

    def _round(self) -> None:
        images = self._runtime.images()
        wanted = image_gc.to_free(self._space(), self._settings)
        free = self._collectable(images)
        freed = self._remove(image_gc.enough(free, wanted)) if wanted else 0
        if freed < wanted:
            message = (
                f"Failed to garbage collect required amount of images. Attempted to free {wanted} bytes, "
                f"but only found {freed} bytes eligible to free."
            )
            self._tell("Warning", "FreeDiskSpaceFailed", message)

    def _collectable(self, images: Iterable[Image]) -> list[Image]:
        now = self._clock.monotonic()
        in_use = {one.image_id for pod in self._pods() for one in pod.containers}
        self._known = image_gc.look(self._known, images, in_use, now)
        age = self._settings.image_least_age_seconds
        return image_gc.collectable(self._known, images, self._pinned(), now=now, least_age_seconds=age)

    def _remove(self, images: Iterable[Image]) -> int:
        freed = 0
        for image in images:
            try:
                self._runtime.remove_image(image)
            except EngineDown:
                raise
            except EngineError as error:
                log.info("image %s stays: %s", image.names or image.id, error)
                continue
            log.info("image %s was removed, nobody used it", ", ".join(image.names) or image.id)
            freed += image.size_bytes
        return freed
