"""Rules of CertificateSigningRequests."""

from __future__ import annotations

import base64
import binascii

from mini8s.objects import names
from mini8s.objects.kinds import Obj
from mini8s.registry.problems import Causes, duplicate, invalid, not_supported, required

_BEGIN, _END = b"-----BEGIN CERTIFICATE REQUEST-----", b"-----END CERTIFICATE REQUEST-----"
_SHORTEST = 600
_LAST_WORDS = frozenset({"Approved", "Denied"})
_USAGES = frozenset({
    "signing", "digital signature", "content commitment", "key encipherment", "key agreement",
    "data encipherment", "cert sign", "crl sign", "encipher only", "decipher only", "any", "server auth",
    "client auth", "code signing", "email protection", "s/mime", "ipsec end system", "ipsec tunnel",
    "ipsec user", "timestamping", "ocsp signing", "microsoft sgc", "netscape sgc",
})  # fmt: skip


def check(found: Obj) -> Causes:
    spec = found.get("spec") or {}
    if not _is_request(spec.get("request") or ""):
        yield invalid("spec.request", spec.get("request") or "", "PEM block type must be CERTIFICATE REQUEST")
    usages = spec.get("usages") or ()
    if not usages:
        yield required("spec.usages", "usages must not be empty")
    for index, usage in enumerate(usages):
        if usage not in _USAGES:
            yield not_supported(f"spec.usages[{index}]", usage, _USAGES)
        if usage in usages[:index]:
            yield duplicate(f"spec.usages[{index}]", usage)
    yield from _signer(spec.get("signerName") or "")
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < _SHORTEST:
        why = "may not specify a duration less than 600 seconds (10 minutes)"
        yield invalid("spec.expirationSeconds", seconds, why)


def conditions(new: Obj, _old: Obj) -> Causes:
    """A decision is final, and there is one of each."""
    seen: set[str] = set()
    for index, condition in enumerate((new.get("status") or {}).get("conditions") or ()):
        about, field = condition.get("type") or "", f"status.conditions[{index}]"
        if not about:
            yield required(f"{field}.type")
        elif about in seen:
            yield duplicate(f"{field}.type", about)
        elif {about} | seen >= _LAST_WORDS:
            yield invalid(f"{field}.type", about, "Approved and Denied conditions are mutually exclusive")
        seen.add(about)
        if about in {*_LAST_WORDS, "Failed"} and condition.get("status") != "True":
            yield not_supported(f"{field}.status", condition.get("status") or "", ("True",))


def _signer(name: str) -> Causes:
    if not name:
        yield required("spec.signerName")
        return
    domain, slash, path = name.partition("/")
    if not slash or not path or "." not in domain or names.dns_subdomain(domain):
        why = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        yield invalid("spec.signerName", name, why)


def _is_request(encoded: str) -> bool:
    try:
        text = base64.b64decode(encoded).strip()
    except (binascii.Error, ValueError):
        return False
    return text.startswith(_BEGIN) and text.endswith(_END)
