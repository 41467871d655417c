"""What of Jobs' policies is refused, and how."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.cluster import Cluster

from mini8s.objects.errors import Invalid
from mini8s.objects.kinds import JOBS, Obj

cluster = Cluster()
INDEXED: Obj = {"completionMode": "Indexed", "completions": 3, "parallelism": 3}
FAILING = "spec.podFailurePolicy.rules[0]"
SUCCESS = "spec.successPolicy.rules[0]"


def job(restart: str = "Never", **spec: Any) -> Obj:
    inner = {"containers": [{"name": "main", "image": "x"}], "restartPolicy": restart}
    return {"metadata": {"name": "j"}, "spec": {"template": {"spec": inner}} | spec}


def failing(**rule: Any) -> Obj:
    return job(podFailurePolicy={"rules": [rule]})


def codes(**said: Any) -> Obj:
    return failing(action="Ignore", onExitCodes={"operator": "In", "values": [1]} | said)


def success(**rule: Any) -> Obj:
    return job(**INDEXED, successPolicy={"rules": [rule]})


CASES = [
    (
        job(backoffLimitPerIndex=1),
        "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode",
    ),
    (
        job(**INDEXED, maxFailedIndexes=1),
        "spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified",
    ),
    (
        job(**INDEXED, backoffLimitPerIndex=1, maxFailedIndexes=4),
        "spec.maxFailedIndexes: Invalid value: 4: must be less than or equal to completions",
    ),
    (
        job("OnFailure", podFailurePolicy={"rules": []}),
        'only "Never" is supported when podFailurePolicy is specified',
    ),
    (
        job(podFailurePolicy={"rules": []}, podReplacementPolicy="TerminatingOrFailed"),
        'Unsupported value: "TerminatingOrFailed": supported values: "Failed"',
    ),
    (
        failing(action="Retry", onPodConditions=[{"type": "Ready"}]),
        'supported values: "Count", "FailIndex", "FailJob", "Ignore"',
    ),
    (
        failing(action="FailIndex", onPodConditions=[{"type": "Ready"}]),
        f'{FAILING}.action: Invalid value: "FailIndex": requires the backoffLimitPerIndex to be set',
    ),
    (failing(action="Ignore"), "specifying one of OnExitCodes and OnPodConditions is required"),
    (codes(values=[]), "onExitCodes.values: Invalid value: []: at least one value is required"),
    (codes(values=[0]), "onExitCodes.values[0]: Invalid value: 0: must not be 0 for the In operator"),
    (codes(values=[2, 1]), f"{FAILING}.onExitCodes.values: Invalid value: [2,1]: must be ordered"),
    (
        codes(containerName="other"),
        "must be one of the container or initContainer names in the pod template",
    ),
    (job(successPolicy={"rules": []}), "requires indexed completion mode"),
    (success(), f"{SUCCESS}: Required value: at least one of succeededCount or succeededIndexes must be"),
    (success(succeededIndexes="0,9"), 'error parsing succeededIndexes: too large index: "9"'),
    (
        success(succeededIndexes="0,1", succeededCount=3),
        "less than or equal to 2 (the number of indexes in the specified succeededIndexes field)",
    ),
    (job(managedBy="me"), 'must be a domain-prefixed path (such as "acme.io/foo")'),
]


@pytest.mark.parametrize(("obj", "expected"), CASES, ids=[case[1][:60] for case in CASES])
def test_refused(obj: Obj, expected: str) -> None:
    with pytest.raises(Invalid) as refused:
        cluster.create(JOBS, obj)
    said = [f"{cause.field}: {cause.message}" for cause in refused.value.causes]
    assert any(expected in cause for cause in said), said


def test_policies_that_make_sense_are_taken() -> None:
    policy = {"rules": [{"action": "FailIndex", "onExitCodes": {"operator": "NotIn", "values": [0, 7]}}]}
    made = job(
        **INDEXED,
        podFailurePolicy=policy,
        backoffLimitPerIndex=1,
        successPolicy={"rules": [{"succeededIndexes": "0-1", "succeededCount": 1}]},
        managedBy="example.com/queue",
    )
    cluster.create(JOBS, made)
