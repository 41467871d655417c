"""kubectl's protobuf bodies, encoded by hand: zeros, maps, special types, and hostile bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini8s.objects.errors import BadRequest
from mini8s.wire import protobuf


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    made = bytearray()
    while number > 127:
        made.append(number & 127 | 128)
        number >>= 7
    return bytes([*made, number])


def field(number: int, value: bytes | str | int) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def body(api_version: str, kind: str, message: bytes, *more: bytes) -> bytes:
    type_meta = field(1, api_version) + field(2, kind)
    return b"k8s\x00" + field(1, type_meta) + field(2, message) + b"".join(more)


NAMED = field(1, field(1, "x") + field(8, b""))  # metadata: a name, and the zero creationTimestamp


def test_maps_and_bytes():
    data = field(2, field(1, "a") + field(2, "1")) + field(2, field(1, "b"))
    binary = field(3, field(1, "c") + field(2, b"\x00\xff"))
    assert protobuf.decode(body("v1", "ConfigMap", NAMED + data + binary)) == {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"name": "x"},
        "data": {"a": "1", "b": ""},
        "binaryData": {"c": "AP8="},
    }


def test_zeros_of_pointers_were_meant():
    """replicas is a pointer, minReadySeconds and paused are not; an emptyDir is there though it is empty."""
    empty_dir = field(1, field(1, "v") + field(2, field(2, field(1, ""))))
    template = field(3, field(2, empty_dir))
    spec = field(2, field(1, 0) + template + field(5, 0) + field(7, 0))
    assert protobuf.decode(body("apps/v1", "Deployment", NAMED + spec))["spec"] == {
        "replicas": 0,
        "template": {"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}},
    }


def test_special_types():
    port = field(1, field(2, "TCP") + field(3, 80) + field(4, field(1, 0) + field(2, 8080)))
    named = field(1, field(3, 81) + field(4, field(1, 1) + field(3, "web")))
    assert protobuf.decode(body("v1", "Service", field(2, port + named)))["spec"]["ports"] == [
        {"protocol": "TCP", "port": 80, "targetPort": 8080},
        {"port": 81, "targetPort": "web"},
    ]
    spec = field(2, field(3, field(1, 1767225600) + field(2, 5000)) + field(2, -1))
    assert protobuf.decode(body("coordination.k8s.io/v1", "Lease", spec))["spec"] == {
        "leaseDurationSeconds": -1,
        "acquireTime": "2026-01-01T00:00:00.000005Z",
    }
    limits = field(1, field(1, "cpu") + field(2, field(1, "500m")))
    container = field(2, field(1, "c") + field(8, limits))
    spec = protobuf.decode(body("v1", "Pod", field(2, container)))["spec"]
    assert spec["containers"] == [{"name": "c", "resources": {"limits": {"cpu": "500m"}}}]
    managed = field(17, field(1, "m") + field(7, field(1, '{"f:x":{}}')))
    metadata = protobuf.decode(body("v1", "Pod", field(1, managed)))["metadata"]
    assert metadata["managedFields"] == [{"manager": "m", "fieldsV1": {"f:x": {}}}]


@pytest.mark.parametrize(
    ("api_version", "kind"),
    [
        ("v1", "DeleteOptions"),
        ("policy/v1", "DeleteOptions"),
        ("policy/v1", "Eviction"),
        ("autoscaling/v1", "Scale"),
        ("authorization.k8s.io/v1", "SelfSubjectAccessReview"),
        ("authentication.k8s.io/v1", "TokenRequest"),
        ("rbac.authorization.k8s.io/v1", "ClusterRole"),
    ],
)
def test_kinds_without_a_collection_are_known(api_version, kind):
    assert protobuf.decode(body(api_version, kind, b"")) == {"kind": kind, "apiVersion": api_version}


def test_lists_that_are_messages():
    extra = field(6, field(1, "k") + field(2, field(1, "a") + field(1, "b")))
    user = protobuf.decode(
        body("authorization.k8s.io/v1", "SubjectAccessReview", field(2, field(5, extra[2:])))
    )
    assert user["spec"]["extra"] == {"k": ["a", "b"]}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"k8s\x00",
        b"k8s\x00\xff",
        body("v1", "Nothing", b""),
        body("nothing/v1", "Pod", b""),
        body("v1", "Pod", b"\x0a\x05x"),
        body("v1", "Pod", b"\x0a\x03\x0a\x05x"),
        body("v1", "Pod", b"\x0b"),
        body("v1", "Pod", b"\xff" * 12),
        body("v1", "Pod", field(1, 5)),
        body("v1", "Pod", field(1, field(1, b"\xff"))),
        body("v1", "Pod", field(2, field(4, "x"))),
        body("v1", "Pod", field(1, field(8, field(1, 1 << 62)))),
        body("v1", "Pod", b"", field(3, "gzip")),
        body("v1", "Pod", field(1, field(17, field(7, field(1, "{"))))),
    ],
)
def test_malformed(data):
    with pytest.raises(BadRequest):
        protobuf.decode(data)


@given(st.binary(max_size=60))
def test_any_bytes_are_an_object_or_a_bad_request(data):
    for bytes_ in (data, body("v1", "Pod", data), body("apps/v1", "Deployment", field(2, data))):
        try:
            protobuf.decode(bytes_)
        except BadRequest as error:
            assert error.message  # noqa: PT017
