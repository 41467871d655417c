"""podFailurePolicy: what a failed pod means, by its exit codes and conditions (KEP-3329). The first rule that
matches decides; without one the pod is a failure like any other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mini8s.objects import meta
from mini8s.objects.kinds import Obj

FAIL_JOB, FAIL_INDEX, IGNORE = "FailJob", "FailIndex", "Ignore"


@dataclass(frozen=True, slots=True)
class Match:
    """`action` "": no rule. `message` is why the Job fails, when it does."""

    action: str = ""
    message: str = ""

    @property
    def counts(self) -> bool:
        return self.action != IGNORE


def match(policy: Obj, pod: Obj) -> Match:
    for number, rule in enumerate(policy.get("rules") or ()):
        why = _exited(rule, pod) if rule.get("onExitCodes") else _conditioned(rule, pod)
        if why:
            message = f"{why} matching {rule['action']} rule at index {number}"
            return Match(rule["action"], message if rule["action"] == FAIL_JOB else "")
    return Match()


def _exited(rule: Obj, pod: Obj) -> str:
    wanted = rule["onExitCodes"]
    for status in _statuses(pod):
        ended = (status.get("state") or {}).get("terminated")
        if not ended or not ended.get("exitCode"):
            continue
        if wanted.get("containerName") not in {None, status["name"]}:
            continue
        code, values = ended["exitCode"], wanted.get("values") or ()
        if (code in values) == (wanted.get("operator") == "In"):
            return f"Container {status['name']} for pod {meta.key(pod)} failed with exit code {code}"
    return ""


def _conditioned(rule: Obj, pod: Obj) -> str:
    found = (pod.get("status") or {}).get("conditions") or ()
    for pattern in rule.get("onPodConditions") or ():
        for condition in found:
            same = condition.get("type") == pattern.get("type")
            if same and condition.get("status") == pattern.get("status", "True"):
                return f"Pod {meta.key(pod)} has condition {condition['type']}"
    return ""


def _statuses(pod: Obj) -> Iterable[Obj]:
    status = pod.get("status") or {}
    yield from status.get("containerStatuses") or ()
    yield from status.get("initContainerStatuses") or ()
