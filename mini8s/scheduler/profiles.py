"""PURE: which plugins judge a pod, and how much each score weighs: kube-scheduler's profiles.

A `KubeSchedulerConfiguration` (kubescheduler.config.k8s.io/v1) may name several profiles, each for the pods
that name it as their scheduler. Of it are read: profiles, their plugins by any extension point that we have
(multiPoint, filter, score: enabled with a weight, disabled, `*`), and of pluginConfig the scoring strategy
of NodeResourcesFitArgs. Anything else is refused in words: a setting that is silently ignored misleads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mini8s.objects.errors import BadRequest
from mini8s.objects.kinds import Obj
from mini8s.scheduler import plugins
from mini8s.scheduler.base import Filter, NodeState, Picture, PodFacts, Score, Survey, View
from mini8s.scheduler.plugins.resources_fit import least_allocated, most_allocated

DEFAULT = "default-scheduler"
API = "kubescheduler.config.k8s.io/v1"
KIND = "KubeSchedulerConfiguration"
MOST_WEIGHT = 100
_ALL = "*"
_POINTS = ("multiPoint", "filter", "score")
_ELSEWHERE = {"SchedulingGates", "PrioritySort", "DefaultBinder", "DefaultPreemption"}  # never off
_STRATEGIES: Mapping[str, Score] = {"LeastAllocated": least_allocated, "MostAllocated": most_allocated}


@dataclass(frozen=True, slots=True)
class Profile:
    """The plugins of one scheduler name, in the order in which they are asked."""

    name: str
    filters_as_such: Sequence[Filter]
    filters_now: Sequence[Filter]
    surveys: Sequence[tuple[Survey, float]]
    scores_as_such: Sequence[tuple[Score, float]]
    scores_now: Sequence[tuple[Score, float]]

    def refuses_as_such(self, pod: PodFacts, node: NodeState) -> Sequence[str]:
        return _first(self.filters_as_such, pod, node)

    def refuses_now(self, pod: PodFacts, node: NodeState) -> Sequence[str]:
        return _first(self.filters_now, pod, node)

    def why_not(self, pod: PodFacts, node: NodeState) -> Sequence[str]:
        return self.refuses_as_such(pod, node) or self.refuses_now(pod, node)

    def points_as_such(self, pod: PodFacts, node: NodeState) -> float:
        return sum(weight * score(pod, node) for score, weight in self.scores_as_such)

    def points_now(self, pod: PodFacts, node: NodeState) -> float:
        return sum([weight * score(pod, node) for score, weight in self.scores_now])

    def surveyed(self, pod: PodFacts, picture: Picture) -> Sequence[tuple[View, float]]:
        found = ((survey(pod, picture), weight) for survey, weight in self.surveys)
        return [(view, weight) for view, weight in found if view]


def profile(name: str = DEFAULT, stated: Obj | None = None) -> Profile:
    """What one entry of `profiles` makes of the default plugins. Raises BadRequest."""
    stated = stated or {}
    _only(stated, {"schedulerName", "plugins", "pluginConfig"}, f"profile {name}")
    filters, scores = _enabled(stated.get("plugins") or {})
    strategy = _strategy(stated.get("pluginConfig") or ())

    def weighed(table: Mapping[str, tuple[Score, int]]) -> list[tuple[Score, float]]:
        return [
            (strategy if score is least_allocated else score, scores[key])
            for key, (score, _) in table.items()
            if scores.get(key)
        ]

    return Profile(
        name,
        [one for key, one in plugins.FILTERS_AS_SUCH.items() if key in filters],
        [one for key, one in plugins.FILTERS_NOW.items() if key in filters],
        [
            (one, scores.get(key, 0.0))
            for key, (one, _) in plugins.SURVEYS.items()
            if key in filters or scores.get(key)
        ],
        weighed(plugins.SCORES_AS_SUCH),
        weighed(plugins.SCORES_NOW),
    )


def profiles(configuration: Obj | None) -> Mapping[str, Profile]:
    """By scheduler name. Raises BadRequest with what is wrong."""
    if not configuration:
        return {DEFAULT: profile()}
    if configuration.get("apiVersion") != API or configuration.get("kind") != KIND:
        raise BadRequest(f"a scheduler configuration begins with apiVersion: {API} and kind: {KIND}")
    _only(configuration, {"apiVersion", "kind", "profiles"}, KIND)
    found: dict[str, Profile] = {}
    for stated in configuration.get("profiles") or ():
        name = stated.get("schedulerName") or DEFAULT
        if name in found:
            raise BadRequest(f"profiles: two are called {name}")
        found[name] = profile(name, stated)
    return found or {DEFAULT: profile()}


def _enabled(stated: Obj) -> tuple[set[str], dict[str, float]]:
    """The filters that are on, and the scores that are with their weights."""
    _only(stated, set(_POINTS), "plugins")
    filters = {*plugins.FILTERS_AS_SUCH, *plugins.FILTERS_NOW, *plugins.SURVEYS}
    tables = (plugins.SCORES_AS_SUCH, plugins.SCORES_NOW, plugins.SURVEYS)
    usual: dict[str, float] = {key: float(entry[1]) for table in tables for key, entry in table.items()}
    scores, on = dict(usual), set(filters)
    for point in _POINTS:
        part = stated.get(point) or {}
        _only(part, {"enabled", "disabled"}, f"plugins.{point}")
        for name in _names(part.get("disabled") or (), filters | set(usual)):
            if point != "score":
                on.discard(name)
            if point != "filter":
                scores.pop(name, None)
        for entry in part.get("enabled") or ():
            for name in _names([entry], filters | set(usual)):
                if point != "score" and name in filters:
                    on.add(name)
                if point != "filter" and name in usual:
                    scores[name] = _weight(entry, usual[name])
    return on, scores


def _names(entries: Iterable[Obj], known: set[str]) -> Iterable[str]:
    for entry in entries:
        name = entry.get("name")
        if name == _ALL:
            yield from known
        elif name in known:
            yield name
        elif name not in _ELSEWHERE:
            raise BadRequest(f"plugins: there is no {name}; there are {', '.join(sorted(known))}")


def _weight(entry: Obj, usual: float) -> float:
    weight = entry.get("weight") or usual
    if not isinstance(weight, int | float) or not 0 < weight <= MOST_WEIGHT:
        raise BadRequest(f"plugins: the weight of {entry['name']} must be 1 to {MOST_WEIGHT}")
    return float(weight)


def _strategy(stated: Iterable[Obj]) -> Score:
    found: Score = least_allocated
    for entry in stated:
        if entry.get("name") != "NodeResourcesFit":
            raise BadRequest(f"pluginConfig: {entry.get('name')} has no settings here")
        strategy = (entry.get("args") or {}).get("scoringStrategy") or {}
        kind = strategy.get("type") or "LeastAllocated"
        if kind not in _STRATEGIES:
            raise BadRequest(f"pluginConfig: scoringStrategy is one of {', '.join(_STRATEGIES)}, not {kind}")
        found = _STRATEGIES[kind]
    return found


def _only(stated: Obj, known: set[str], where: str) -> None:
    if unknown := sorted(set(stated) - known):
        raise BadRequest(f"{where}: {', '.join(unknown)} is not known")


def _first(filters: Sequence[Filter], pod: PodFacts, node: NodeState) -> Sequence[str]:
    for refuses in filters:
        if reasons := refuses(pod, node):
            return reasons
    return ()
