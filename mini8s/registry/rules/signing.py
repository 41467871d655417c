"""Rules of CertificateSigningRequests."""

from __future__ import annotations

import base64
import re

from mini8s.objects import names, signers
from mini8s.objects.errors import Cause
from mini8s.objects.kinds import Obj
from mini8s.registry.problems import Causes, duplicate, forbidden, invalid, not_supported, required
from mini8s.wire import pkcs10

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\s")
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
    if wrong := _unreadable(spec.get("request") or ""):
        yield invalid("spec.request", spec.get("request") or "", wrong)
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


def decided(new: Obj, old: Obj) -> Causes:
    yield from conditions(new, old)
    yield from _kept(new, old)


def signed(new: Obj, old: Obj) -> Causes:
    yield from conditions(new, old)
    yield from _kept(new, old)
    certificate, known = ((found.get("status") or {}).get("certificate") or "" for found in (new, old))
    if certificate == known:
        return
    if known:
        yield forbidden("status.certificate", "updates may not modify existing certificate content")
    if wrong := _no_certificate(certificate):
        yield _hidden(wrong)


def _kept(new: Obj, old: Obj) -> Causes:
    """What was said of a request is never taken back."""
    left = {one.get("type") for one in (new.get("status") or {}).get("conditions") or ()}
    for condition in (old.get("status") or {}).get("conditions") or ():
        about = condition.get("type")
        if about in {*_LAST_WORDS, "Failed"} and about not in left:
            yield forbidden("status.conditions", f'updates may not remove a condition of type "{about}"')


def _no_certificate(encoded: str) -> str:
    try:
        pem = base64.b64decode(encoded)
        blocks = _BLOCK.findall(pem)
        if others := [block.decode() for block in blocks if block != b"CERTIFICATE"]:
            return f'only CERTIFICATE PEM blocks are allowed, found "{others[0]}"'
        if not blocks:
            return "must contain at least one CERTIFICATE PEM block"
        pkcs10.ends(pem)
    except ValueError as error:  # binascii.Error is one
        return str(error)
    return ""


def _hidden(why: str) -> Cause:
    return Cause("status.certificate", f"Invalid value: <certificate data>: {why}", "FieldValueInvalid")


def _signer(name: str) -> Causes:
    if not name:
        yield required("spec.signerName")
        return
    if name == signers.LEGACY:
        yield invalid("spec.signerName", name, "legacy signerName is not allowed via this API version")
        return
    domain, slash, path = name.partition("/")
    if not slash or not path or "." not in domain or names.dns_subdomain(domain):
        why = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        yield invalid("spec.signerName", name, why)


def _unreadable(encoded: str) -> str:
    try:
        pkcs10.parse(base64.b64decode(encoded))
    except ValueError as error:  # binascii.Error is one
        return str(error)
    return ""
