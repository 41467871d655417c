"""Completion indexes of an Indexed Job: how a pod says which one is its, and `1,3-5` as a status has it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

from mini8s.objects import meta
from mini8s.objects.kinds import Obj

INDEX = "batch.kubernetes.io/job-completion-index"
Indexes = frozenset[int]
NONE: Indexes = frozenset()


def of_pod(pod: Obj) -> int | None:
    """A pod's index; None when it has none that is a number."""
    stated = meta.annotations(pod).get(INDEX, "")
    return int(stated) if stated.isascii() and stated.isdigit() else None


def of_pods(found: Iterable[Obj], completions: int) -> Indexes:
    """The valid indexes that some pods have."""
    stated = (of_pod(pod) for pod in found)
    return frozenset(index for index in stated if index is not None and index < completions)


def parse(text: str, completions: int) -> Indexes:
    """Indexes below `completions`: what lies beyond was of a Job that has been made smaller since."""
    return frozenset(index for span in spans(text, completions) for index in span)


def spans(text: str, completions: int) -> list[range]:
    """The same unfolded: two numbers may stand for a thousand million."""
    return [_span(part, completions) for part in text.split(",") if part]


def within(found: Indexes, wanted: Sequence[range]) -> Indexes:
    """Those of the indexes that lie in one of the rising spans."""
    begins = [span.start for span in wanted]
    places = ((index, bisect_right(begins, index) - 1) for index in found)
    return frozenset(index for index, place in places if place >= 0 and index in wanted[place])


def show(indexes: Indexes) -> str:
    """Runs of three and more are written with a hyphen."""
    return ",".join(_shown(first, last) for first, last in _runs(indexes))


def _span(part: str, completions: int) -> range:
    first, _, last = part.partition("-")
    return range(int(first), min(int(last or first) + 1, completions))


def _shown(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}{',' if last == first + 1 else '-'}{last}"


def _runs(indexes: Indexes) -> Iterator[tuple[int, int]]:
    first = last = -1
    for index in sorted(indexes):
        if index != last + 1 or first < 0:
            if first >= 0:
                yield first, last
            first = index
        last = index
    if first >= 0:
        yield first, last
