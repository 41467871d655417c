"""How deep the tests that search dig: MINI8S_TEST_DEPTH multiplies their examples.

At 1, as in every run, these are the same each time.
"""

from __future__ import annotations

import os

DEPTH = int(os.environ.get("MINI8S_TEST_DEPTH") or 1)


def examples(count: int) -> int:
    return count * DEPTH
