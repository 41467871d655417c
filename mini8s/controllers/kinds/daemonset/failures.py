"""A pod that fails again and again on a node is replaced later each time: the node may refuse it for good
reasons, and both would go on for ever (upstream's failedPodsBackoff)."""

from __future__ import annotations

from dataclasses import dataclass, field

from mini8s.util.backoff import Backoff

FIRST_SECONDS, MOST_SECONDS = 1.0, 900.0
FORGOTTEN_SECONDS = 2 * MOST_SECONDS  # after so long without a failure it starts anew


@dataclass(slots=True)
class _Failing:
    backoff: Backoff
    last: float
    wait: float


@dataclass(slots=True)
class Failures:
    """By DaemonSet and node; times are monotonic."""

    _known: dict[str, dict[str, _Failing]] = field(default_factory=dict)

    def waiting(self, owner: str, now: float) -> dict[str, float]:
        """The nodes whose failed pod must still stay, and for how many seconds."""
        found = {node: one.last + one.wait - now for node, one in self._known.get(owner, {}).items()}
        return {node: left for node, left in found.items() if left > 0}

    def note(self, owner: str, node: str, now: float) -> None:
        nodes = self._known.get(owner, {}).items()
        kept = {name: one for name, one in nodes if now - one.last <= FORGOTTEN_SECONDS}
        found = kept.setdefault(node, _Failing(Backoff(FIRST_SECONDS, MOST_SECONDS), now, 0.0))
        found.last, found.wait = now, found.backoff.failed()
        self._known[owner] = kept

    def forget(self, owner: str) -> None:
        self._known.pop(owner, None)
