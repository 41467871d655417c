"""How deep a body may be nested.

Whatever walks an object by recursion must not run into Python's limit, so bodies are refused at the door.
"""

from __future__ import annotations

from typing import Any

from mini8s.objects.errors import BadRequest

MAX_DEPTH = 250  # real objects, the schemas of custom resources among them, stay below 80


def check_depth(value: Any) -> None:
    """Raises BadRequest when the value is nested deeper than MAX_DEPTH. No recursion."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise too_deep()


def too_deep() -> BadRequest:
    return BadRequest(f"the body is nested deeper than {MAX_DEPTH} levels")
