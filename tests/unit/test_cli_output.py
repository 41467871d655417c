"""What is printed of objects, and what is kept from people."""

from __future__ import annotations

import json

import pytest

from mini8s.cli import output
from mini8s.objects.kinds import Obj

OBJ: Obj = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "a", "managedFields": [{"manager": "kubectl"}]},
    "data": {"items": "b"},
}


@pytest.mark.parametrize("form", ["json", "yaml"])
@pytest.mark.parametrize("as_list", [True, False])
def test_managed_fields_are_kept_from_people(
    form: str, as_list: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    output.echo([OBJ], form, as_list=as_list)
    said = capsys.readouterr().out
    assert "managedFields" not in said
    assert "items" in said
    assert "managedFields" in OBJ["metadata"]


def test_a_template_may_ask_for_them(capsys: pytest.CaptureFixture[str]) -> None:
    output.echo([OBJ], "jsonpath={.metadata.managedFields[0].manager}", as_list=False)
    assert capsys.readouterr().out == "kubectl"


def test_several_objects_are_a_list(capsys: pytest.CaptureFixture[str]) -> None:
    output.echo([OBJ, OBJ], "json", as_list=True)
    assert len(json.loads(capsys.readouterr().out)["items"]) == 2
