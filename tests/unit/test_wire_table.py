"""Tables as objects and as text."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mini8s.wire import table

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Shown:
    name: str
    path: str
    priority: int = 0
    type: str = "string"
    format: str = ""
    description: str = ""

    def cell(self, obj: dict[str, Any], now: datetime) -> Any:
        assert now == NOW
        return obj.get(self.path)


COLUMNS = [Shown("Name", "name", format="name"), Shown("Ready", "ready"), Shown("IP", "ip", priority=1)]
OBJECTS = [
    {"name": "a", "ready": "1/1", "ip": "10.0.0.1", "metadata": {"name": "a", "namespace": "n"}},
    {"name": "long-name", "ready": None, "ip": "", "metadata": {"name": "long-name"}},
]


def test_a_table_has_what_kubectl_needs():
    made = table.table(COLUMNS, OBJECTS, NOW, revision="7")
    assert made["metadata"] == {"resourceVersion": "7"}
    assert made["columnDefinitions"][0] == {
        "name": "Name",
        "type": "string",
        "format": "name",
        "description": "",
        "priority": 0,
    }
    assert made["rows"][0]["cells"] == ["a", "1/1", "10.0.0.1"]
    assert made["rows"][0]["object"] == {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"name": "a", "namespace": "n"},
    }


def test_what_goes_with_a_row():
    assert table.table(COLUMNS, OBJECTS, NOW, include="Object")["rows"][1]["object"] == OBJECTS[1]
    assert "object" not in table.table(COLUMNS, OBJECTS, NOW, include="None")["rows"][0]
    later = table.table(COLUMNS, OBJECTS[:1], NOW, headers=False, version="v1beta1")
    assert later["columnDefinitions"] is None
    assert later["apiVersion"] == "meta.k8s.io/v1beta1"


def test_text_is_kubectls():
    made = table.table(COLUMNS, OBJECTS, NOW)
    assert table.text(made) == "NAME        READY\na           1/1\nlong-name   <none>\n"
    assert table.text(made, no_headers=True) == "a           1/1\nlong-name   <none>\n"
    assert table.text(made, wide=True, no_headers=True).splitlines() == [
        "a           1/1      10.0.0.1",
        "long-name   <none>   <none>",
    ]
    assert table.text(made, namespaces=True).splitlines() == [
        "NAMESPACE   NAME        READY",
        "n           a           1/1",
        "<none>      long-name   <none>",
    ]


def test_odd_cells_stay_on_their_line():
    made = table.table([Shown("Name", "name")], [{"name": "a\nb"}, {"name": True}, {"name": 0}], NOW)
    assert table.text(made, no_headers=True) == "a\\nb\ntrue\n0\n"
    assert table.text(table.table(COLUMNS, [], NOW), no_headers=True) == ""
