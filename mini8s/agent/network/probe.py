"""Which features of nf_tables a kernel lacks: asked only after it refused a table, so that the refusal
becomes one sentence that names what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mini8s.agent.network.ruleset import RulesetError

Feature = tuple[str, str, str]  # name, the kernel's option, and the least text of a table that needs it


def missing(
    load: Callable[[str], None], table: str, features: Iterable[Feature], what: str, family: str = "ip"
) -> str:
    """A sentence about the first that this kernel lacks, empty when it has all. `load` applies text as one
    transaction and raises RulesetError; each text takes back what it makes. `what` can't work without."""
    for name, option, text in features:
        try:
            load(f"table {family} {table} {{\n{text}\n}}\ndelete table {family} {table}\n")
        except RulesetError as error:
            return f"this kernel lacks {name} ({option}), without which {what} can't work here: {error}"
    return ""
