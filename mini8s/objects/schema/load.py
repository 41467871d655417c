"""The shipped definitions: the one file of this room that reads anything. `scripts/schema` makes the data;
what is not among the published definitions is written by hand."""

from __future__ import annotations

import gzip
import json
from functools import cache
from importlib import resources
from typing import Any

from mini8s.objects.schema.metrics import METRICS


@cache
def raw_definitions() -> dict[str, dict[str, Any]]:
    """Name -> definition; a reference is `{"$ref": NAME}`. Read at first use, and not to be changed."""
    packed = resources.files(__package__).joinpath("types.json.gz").read_bytes()
    definitions: dict[str, dict[str, Any]] = json.loads(gzip.decompress(packed))
    return definitions | METRICS
