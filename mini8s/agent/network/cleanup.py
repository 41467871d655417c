"""Taking away all that mini8s made in a host's network: for `quickstart --down`, never at a mere stop.

Everything is found by marks that it carries (names, the routes' protocol number, an address label), so no
settings are needed.
"""

from __future__ import annotations

from collections.abc import Callable

from mini8s.agent.network import forwarding, ruleset
from mini8s.agent.network.base import NetworkError
from mini8s.agent.network.family import FAMILIES
from mini8s.agent.network.netlink import Kernel

TABLE_PREFIX = "mini8s_"


def remove_all() -> list[str]:
    """Remove nftables tables, pods' links, routes, the tunnel, the DNS address, rules in DOCKER-USER; what
    could not be removed."""
    steps: tuple[Callable[[], None], ...] = (
        _remove_tables,
        Kernel(FAMILIES).remove_ours,
        forwarding.take_back,
    )
    return [problem for problem in map(_problem, steps) if problem]


def _problem(step: Callable[[], None]) -> str:
    """One step that fails must not keep the others from being done."""
    try:
        step()
    except (NetworkError, ruleset.RulesetError) as error:
        return str(error)
    return ""


def _remove_tables() -> None:
    for family in FAMILIES.values():
        for name in ruleset.tables(family.nft):
            if name.startswith(TABLE_PREFIX):
                ruleset.remove(name, family.nft)
