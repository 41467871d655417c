"""The types of metrics.k8s.io, as its own API documents them: upstream it is aggregated, and so not among the
definitions that Kubernetes publishes of itself."""

from __future__ import annotations

from typing import Any

_PACKAGE = "io.k8s.metrics.pkg.apis.metrics.v1beta1"
_META = "io.k8s.apimachinery.pkg.apis.meta.v1"
_TEXT = {"type": "string"}
_USAGE = {"type": "object", "additionalProperties": {"$ref": "io.k8s.apimachinery.pkg.api.resource.Quantity"}}
_CONTAINERS = {"type": "array", "items": {"$ref": f"{_PACKAGE}.ContainerMetrics"}}


def _kind(name: str, *, metadata: str, **own: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "apiVersion": _TEXT,
            "kind": _TEXT,
            "metadata": {"$ref": f"{_META}.{metadata}"},
            **own,
        },
        "x-kubernetes-group-version-kind": [{"group": "metrics.k8s.io", "kind": name, "version": "v1beta1"}],
    }


def _measured(name: str, **own: Any) -> dict[str, Any]:
    time, window = {"$ref": f"{_META}.Time"}, {"$ref": f"{_META}.Duration"}
    return _kind(name, metadata="ObjectMeta", timestamp=time, window=window, **own)


def _list(name: str) -> dict[str, Any]:
    items = {"type": "array", "items": {"$ref": f"{_PACKAGE}.{name}"}}
    return _kind(f"{name}List", metadata="ListMeta", items=items)


METRICS: dict[str, dict[str, Any]] = {
    f"{_META}.Duration": _TEXT,
    f"{_PACKAGE}.ContainerMetrics": {"type": "object", "properties": {"name": _TEXT, "usage": _USAGE}},
    f"{_PACKAGE}.NodeMetrics": _measured("NodeMetrics", usage=_USAGE),
    f"{_PACKAGE}.NodeMetricsList": _list("NodeMetrics"),
    f"{_PACKAGE}.PodMetrics": _measured("PodMetrics", containers=_CONTAINERS),
    f"{_PACKAGE}.PodMetricsList": _list("PodMetrics"),
}
