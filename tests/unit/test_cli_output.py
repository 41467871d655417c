"""How several kinds are told apart in `mini8s get`."""

from __future__ import annotations

from mini8s.cli.output import with_kind
from mini8s.objects.kinds import DEPLOYMENTS, EVENTS

NAME = {"name": "Name", "type": "string", "format": "name"}
SEEN = {"name": "Last Seen", "type": "string", "format": ""}


def test_the_kind_is_put_before_the_name_wherever_that_stands() -> None:
    table = {"columnDefinitions": [NAME, SEEN], "rows": [{"cells": ["web", "1m"]}]}
    assert with_kind(table, DEPLOYMENTS)["rows"] == [{"cells": ["deployment.apps/web", "1m"]}]
    assert table["rows"] == [{"cells": ["web", "1m"]}]


def test_a_table_without_a_column_for_names_stays_as_it_is() -> None:
    table = {"columnDefinitions": [SEEN], "rows": [{"cells": ["1m"]}]}
    assert with_kind(table, EVENTS) == table
