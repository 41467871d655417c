from __future__ import annotations

import pytest

from mini8s.api.answer import takes_gzip
from mini8s.api.representation import DEFAULT, JSON, READ, TEXT, YAML, Representation, negotiate
from mini8s.objects.errors import NotAcceptable

KUBECTL = (
    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,"
    "application/json"
)


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", DEFAULT),
        ("*/*", DEFAULT),
        ("application/json", DEFAULT),
        ("application/*", DEFAULT),
        (KUBECTL, Representation(JSON, "Table", "v1")),
        ("application/json;as=Table;v=v1beta1;g=meta.k8s.io", Representation(JSON, "Table", "v1beta1")),
        (
            "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
            Representation(JSON, "PartialObjectMetadata"),
        ),
        ("application/vnd.kubernetes.protobuf, */*", DEFAULT),
        ("application/vnd.kubernetes.protobuf,application/json", DEFAULT),
        ("application/yaml", Representation(YAML)),
        ("text/plain", Representation(TEXT)),
        ("text/plain;q=0.5, application/yaml", Representation(YAML)),
        ("application/json;as=Nonsense, application/yaml;q=0.1", Representation(YAML)),
    ],
)
def test_accept(accept: str, wanted: Representation) -> None:
    assert negotiate(accept) == wanted


@pytest.mark.parametrize(
    "accept", ["application/vnd.kubernetes.protobuf", "image/png", "application/json;as=X"]
)
def test_nothing_acceptable(accept: str) -> None:
    with pytest.raises(NotAcceptable, match="only the following media types"):
        negotiate(accept)


def test_as_comes_first() -> None:
    assert negotiate("application/json", "yaml") == Representation(YAML, READ)
    assert negotiate("", "wide") == Representation(TEXT, "wide")
    with pytest.raises(NotAcceptable):
        negotiate("", "poem")


def test_only_stored_bytes_are_plain() -> None:
    assert DEFAULT.plain
    assert not negotiate(KUBECTL).plain
    assert not negotiate("application/yaml").plain


@pytest.mark.parametrize(
    ("words", "taken"),
    [("gzip", True), ("gzip, deflate, br", True), ("br,gzip", True), ("gzip;q=0", False), ("", False)],
)
def test_only_the_bare_word_asks_for_gzip(words: str, taken: bool) -> None:
    assert takes_gzip({"HTTP_ACCEPT_ENCODING": words}) is taken
