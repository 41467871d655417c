"""The JSONPath templates of Kubernetes' documentation, and what is no template."""

from __future__ import annotations

import pytest

from mini8s.cli.jsonpath import BadTemplate, render

LIST = {
    "kind": "List",
    "items": [
        {
            "kind": "None",
            "metadata": {"name": "127.0.0.1", "labels": {"a.b/c": "x"}},
            "status": {"ready": True},
        },
        {
            "kind": "Some",
            "metadata": {"name": "127.0.0.2"},
            "status": {"addresses": [{"type": "A"}, {"type": "B"}]},
        },
    ],
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{.kind}", "List"),
        (".kind", "List"),
        ("{.items[*].metadata.name}", "127.0.0.1 127.0.0.2"),
        ("{.items[0].metadata.name}", "127.0.0.1"),
        ("{.items[-1].kind}", "Some"),
        ("{.items[0:1].kind}", "None"),
        ("{['kind']}", "List"),
        (r"{.items[0].metadata.labels.a\.b/c}", "x"),
        ("{.items[0].status.ready}", "true"),
        ('{.items[?(@.kind=="Some")].metadata.name}', "127.0.0.2"),
        ("{.items[?(@.kind!='Some')].metadata.name}", "127.0.0.1"),
        ('{range .items[*]}{.kind}{"\\t"}{.metadata.name}{"\\n"}{end}', "None\t127.0.0.1\nSome\t127.0.0.2\n"),
        ("{range .items[*]}{range .status.addresses[*]}{.type};{end}{end}", "A;B;"),
        ("kind is {.kind}!", "kind is List!"),
        ("{.nothing}", ""),
        ("{.items[1].status.addresses}", '[{"type":"A"},{"type":"B"}]'),
    ],
)
def test_a_template(template: str, text: str) -> None:
    assert render(template, LIST) == text


@pytest.mark.parametrize("template", ["{.a", "{end}", "{range .items[*]}{.kind}", "{.items[}"])
def test_what_is_no_template(template: str) -> None:
    with pytest.raises(BadTemplate):
        render(template, LIST)
