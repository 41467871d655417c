"""`mini8s token`: what may be said of how long one lasts."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from mini8s.cli.token import command


@pytest.mark.parametrize(
    ("ttl", "said"),
    [
        ("soon", "is not a duration such as 90m, 24h or 7d"),
        ("-1h", "is not a duration"),
        ("999999999999d", "is longer than the cluster's authority lives"),
    ],
)
def test_a_span_that_cant_be_meant_is_told(ttl: str, said: str) -> None:
    done = CliRunner().invoke(command, ["create", f"--ttl={ttl}"])
    assert done.exit_code == 2
    assert said in " ".join(done.output.split())
