"""Leases: who leads, and which nodes are alive."""

from __future__ import annotations

from mini8s.objects.kinds import LEASES, Obj
from mini8s.registry.columns import AGE, NAME, column, spec
from mini8s.registry.problems import Causes
from mini8s.registry.rules import values
from mini8s.registry.strategy import Strategy


def _check(lease: Obj) -> Causes:
    yield from values.positive(spec(lease), "leaseDurationSeconds", "spec")
    yield from values.non_negative(spec(lease), "leaseTransitions", "spec")


STRATEGY = Strategy(
    kind=LEASES,
    columns=(NAME, column("Holder", lambda obj: spec(obj).get("holderIdentity") or ""), AGE),
    validate=_check,
    create_on_update=True,
    unconditional_update=False,
)
