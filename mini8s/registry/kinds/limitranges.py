"""LimitRanges: how small and how large what a namespace holds may be; what it is when nobody says."""

from __future__ import annotations

from mini8s.objects.kinds import LIMITRANGES
from mini8s.registry.columns import CREATED_AT, NAME
from mini8s.registry.rules import quotas
from mini8s.registry.strategy import Strategy

STRATEGY = Strategy(
    kind=LIMITRANGES,
    columns=(NAME, CREATED_AT),
    validate=quotas.limit_range,
    create_on_update=True,
)
