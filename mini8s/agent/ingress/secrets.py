"""The Secrets that Ingresses name for their certificates, each followed by a watch of its own: a node has no
business with any other, and the API shows it no other."""

from __future__ import annotations

import base64
import binascii
import os
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mini8s.agent.ingress.model import Certificate, SecretKey
from mini8s.client.base import Api
from mini8s.client.informer import Informer, Memory
from mini8s.objects import meta
from mini8s.objects.kinds import SECRETS, Obj
from mini8s.util.workers import Stop

CERTIFICATE, KEY = "tls.crt", "tls.key"


@dataclass(slots=True)
class _Followed:
    informer: Informer
    stop: Stop
    seen: tuple[str, str] = ("", "")  # uid and revision of what was looked at
    certificate: Certificate | None = None


class Certificates:
    """One thread uses it; `changed` is called by others."""

    def __init__(self, api: Api, memory: Memory, changed: Callable[[], None]) -> None:
        self._api, self._memory = api, memory
        self._changed = changed
        self._followed: dict[SecretKey, _Followed] = {}

    def follow(self, wanted: Iterable[SecretKey]) -> None:
        """Follow these and no others."""
        keys = set(wanted)
        for key in self._followed.keys() - keys:
            followed = self._followed.pop(key)
            _end(followed)
            self._memory.release(followed.informer)
        for key in keys - self._followed.keys():
            stop = Stop()
            informer = Informer(self._api, SECRETS, stop, namespace=key[0], fields=f"metadata.name={key[1]}")
            self._memory.adopt(informer)
            self._followed[key] = _Followed(informer, stop)
            informer.subscribe(lambda _old, _new: self._changed())
            informer.once_heard(self._changed)
            informer.start()

    def known(self, seconds: float) -> bool:
        """Whether it is known of each what is in it, or that it isn't there; waits so long for the first."""
        return all(followed.informer.synced.wait(seconds) for followed in self._followed.values())

    def found(self) -> dict[SecretKey, Certificate]:
        """Those that exist."""
        found = {}
        for key, followed in self._followed.items():
            secret = followed.informer.cache.get(*key)
            if secret is None:
                followed.seen, followed.certificate = ("", ""), None
                continue
            seen = (meta.uid(secret), str(secret["metadata"].get("resourceVersion")))
            if followed.certificate is None or followed.seen != seen:
                followed.seen, followed.certificate = seen, read(secret)
            found[key] = followed.certificate
        return found

    def close(self) -> None:
        for followed in self._followed.values():
            _end(followed)


def read(secret: Obj) -> Certificate:
    """A certificate with its key, as the proxy takes it, or what is wrong with it."""
    data = secret.get("data") or {}
    try:
        parts = [base64.b64decode(str(data[name]), validate=True).strip() for name in (CERTIFICATE, KEY)]
    except KeyError as error:
        return Certificate(trouble=f"it has no {error.args[0]}")
    except binascii.Error:
        return Certificate(trouble="it is not base64")
    pem = b"\n".join((*parts, b""))
    return Certificate(pem, _trouble(pem))


def _trouble(pem: bytes) -> str:
    """What OpenSSL says against it; the library reads files only, so it gets one that is never on a disk."""
    descriptor = os.memfd_create("mini8s-certificate", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password="")
    except (ssl.SSLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or str(error)
        return f"no certificate with its key is in it ({reason})"
    finally:
        os.close(descriptor)
    return ""


def _end(followed: _Followed) -> None:
    followed.stop.set()
    followed.informer.close()
