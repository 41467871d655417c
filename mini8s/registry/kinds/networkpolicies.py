"""NetworkPolicies: who may talk to which pods."""

from __future__ import annotations

from mini8s.objects.kinds import NETWORKPOLICIES
from mini8s.registry import columns
from mini8s.registry.columns import AGE, NAME, column, spec
from mini8s.registry.rules import network_policies
from mini8s.registry.strategy import Strategy
from mini8s.registry.strategy import spec as spec_of

STRATEGY = Strategy(
    kind=NETWORKPOLICIES,
    columns=(NAME, column("Pod-Selector", lambda obj: columns.selector(spec(obj).get("podSelector"))), AGE),
    validate=network_policies.check,
    generation=spec_of,
)
