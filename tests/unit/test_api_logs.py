from __future__ import annotations

from typing import Any

import pytest

from mini8s.api.logs import choose_container, options
from mini8s.objects.errors import BadRequest, Invalid


def pod(*containers: str, starters: tuple[str, ...] = (), default: str = "") -> dict[str, Any]:
    annotations = {"kubectl.kubernetes.io/default-container": default} if default else {}
    return {
        "metadata": {"name": "p", "annotations": annotations},
        "spec": {
            "containers": [{"name": name} for name in containers],
            "initContainers": [{"name": name} for name in starters],
        },
    }


def test_one_container_need_not_be_named() -> None:
    assert choose_container(pod("web"), "") == "web"


def test_the_default_of_several() -> None:
    assert choose_container(pod("web", "side", default="side"), "") == "side"
    assert choose_container(pod("web", "side", default="side"), "web") == "web"


def test_init_containers_can_be_named() -> None:
    assert choose_container(pod("web", starters=("setup",)), "setup") == "setup"


BOTH = "a container name must be specified for pod p, choose one of: [a b] or one of the init containers: [c]"


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (pod("a", "b"), "a container name must be specified for pod p, choose one of: [a b]"),
        (
            pod("a", "b", starters=("c",)),
            BOTH,
        ),
    ],
)
def test_several_must_be_named(found: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        choose_container(found, "")
    assert caught.value.message == message


def test_options_are_handed_on() -> None:
    said = {"follow": "true", "tailLines": "10", "previous": "false", "timestamps": "", "sinceSeconds": "5"}
    assert options(said, "p") == {
        "follow": "true",
        "timestamps": "true",
        "tailLines": "10",
        "sinceSeconds": "5",
    }


@pytest.mark.parametrize(
    ("said", "fields"),
    [
        ({"tailLines": "-1"}, ["tailLines"]),
        ({"limitBytes": "0", "sinceSeconds": "0"}, ["limitBytes", "sinceSeconds"]),
        ({"sinceSeconds": "1", "sinceTime": "2026-01-01T00:00:00Z"}, [""]),
        ({"stream": "stdout"}, ["stream"]),
        ({"stream": "Stderr", "tailLines": "1"}, [""]),
    ],
)
def test_options_that_make_no_sense(said: dict[str, str], fields: list[str]) -> None:
    with pytest.raises(Invalid) as caught:
        options(said, "p")
    assert [cause.field for cause in caught.value.causes] == fields


def test_one_stream_is_handed_on_and_a_refusal_is_worded_as_upstream_does() -> None:
    assert options({"stream": "Stderr"}, "p") == {"stream": "Stderr"}
    assert options({"stream": "All", "tailLines": "1"}, "p") == {"stream": "All", "tailLines": "1"}
    with pytest.raises(Invalid) as caught:
        options({"stream": "Both", "limitBytes": "0"}, "p")
    assert [cause.message for cause in caught.value.causes] == [
        "Invalid value: 0: must be greater than 0",
        'Unsupported value: "Both": supported values: "All", "Stderr", "Stdout"',
    ]


def test_options_that_are_no_numbers() -> None:
    with pytest.raises(BadRequest, match="tailLines"):
        options({"tailLines": "ten"}, "p")


@pytest.mark.parametrize("text", ["²", "9" * 5000])
def test_digits_that_are_no_number(text: str) -> None:
    with pytest.raises(BadRequest, match="tailLines"):
        options({"tailLines": text}, "p")
