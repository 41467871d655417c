"""Ingresses, their class and their Secrets, as the server writes them."""

from __future__ import annotations

import base64
import functools
from collections.abc import Sequence
from datetime import UTC, datetime

from mini8s.objects import ingresses
from mini8s.objects.kinds import Obj
from mini8s.wire import tls as certificates

CLASS: Obj = {
    "metadata": {"name": ingresses.CLASS, "annotations": {ingresses.DEFAULT_CLASS: "true"}},
    "spec": {"controller": ingresses.CONTROLLER},
}


def path(text: str, name: str, port: int | str = 80, kind: str = "Prefix") -> Obj:
    number = {"number": port} if isinstance(port, int) else {"name": port}
    return {"path": text, "pathType": kind, "backend": {"service": {"name": name, "port": number}}}


def ingress(
    name: str,
    *rules: tuple[str | Obj, ...],
    tls: Sequence[tuple[str, ...]] = (),
    born: str = "2026-01-01T00:00:00Z",
    **spec: object,
) -> Obj:
    """A rule is a host (may be empty) and its paths; one of `tls` is a Secret and its hosts."""
    said: Obj = {"ingressClassName": ingresses.CLASS, **spec}
    if rules:
        said["rules"] = [
            ({"host": host} if host else {}) | {"http": {"paths": list(paths)}} for host, *paths in rules
        ]
    if tls:
        said["tls"] = [{"secretName": secret, "hosts": list(hosts)} for secret, *hosts in tls]
    metadata = {"namespace": "default", "name": name, "creationTimestamp": born}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata, "spec": said}


@functools.cache
def pem(name: str) -> bytes:
    """A certificate with its key."""
    certificate, key = pair(name)
    return certificate + key


def secret(name: str, host: str) -> Obj:
    certificate, key = pair(host)
    data = {"tls.crt": base64.b64encode(certificate).decode(), "tls.key": base64.b64encode(key).decode()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"namespace": "default", "name": name},
        "data": data,
    }


@functools.cache
def pair(name: str) -> tuple[bytes, bytes]:
    now = datetime.now(UTC)
    made = certificates.issue(
        certificates.new_ca("tests", now), certificates.Leaf(name, addresses=(name,)), now
    )
    return made.certificate, made.key
