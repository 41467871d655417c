"""ServiceAccounts: who pods are to the API."""

from __future__ import annotations

from mini8s.objects.kinds import SERVICEACCOUNTS
from mini8s.registry.columns import AGE, NAME, column
from mini8s.registry.strategy import Strategy

STRATEGY = Strategy(
    kind=SERVICEACCOUNTS,
    columns=(NAME, column("Secrets", lambda obj: len(obj.get("secrets") or ()), type="integer"), AGE),
)
