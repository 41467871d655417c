"""What `mini8s apply` writes down for the next apply, its own or kubectl's."""

from __future__ import annotations

from mini8s.cli.apply import LAST_APPLIED, with_last_applied

MANIFEST = {
    "kind": "ConfigMap",
    "apiVersion": "v1",
    "metadata": {
        "namespace": "default",
        "name": "signs",
        "annotations": {"own": "kept", LAST_APPLIED: "old"},
    },
    "data": {"z": "a < b & c > d", "a": "grün"},
}
KUBECTLS = (
    '{"apiVersion":"v1","data":{"a":"grün","z":"a \\u003c b \\u0026 c \\u003e d"},"kind":"ConfigMap",'
    '"metadata":{"annotations":{"own":"kept"},"name":"signs","namespace":"default"}}\n'
)


def test_it_is_kubectls_to_the_letter() -> None:
    made = with_last_applied(MANIFEST)
    assert made["metadata"]["annotations"] == {"own": "kept", LAST_APPLIED: KUBECTLS}
    assert MANIFEST["metadata"]["annotations"][LAST_APPLIED] == "old", "what was given is left as it was"


def test_again_on_its_own_result_it_is_the_same() -> None:
    once = with_last_applied(MANIFEST)
    assert with_last_applied(once) == once
