"""How far a pull or a load has come, from what the engine says of each layer as it goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mini8s.agent.runtime.base import Progress

_MOVING = frozenset({"Downloading", "Loading layer"})  # extracting counts the same bytes once more


class Layers:
    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._known: dict[str, tuple[int, int]] = {}

    def hear(self, said: Mapping[str, Any]) -> None:
        """One line of the engine's answer."""
        layer, detail = str(said.get("id") or ""), said.get("progressDetail") or {}
        if self._progress is None or not layer:
            return
        if said.get("status") in _MOVING and detail.get("total"):
            self._known[layer] = int(detail.get("current") or 0), int(detail["total"])
        elif said.get("status") in ("Download complete", "Pull complete") and layer in self._known:
            total = self._known[layer][1]
            self._known[layer] = total, total
        else:
            return
        done, whole = (sum(pair[place] for pair in self._known.values()) for place in (0, 1))
        self._progress(done, whole)
