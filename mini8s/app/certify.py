"""A short-lived process that signs what a CertificateSigningRequest asks for: `python -m mini8s.app.certify
< QUESTION`, a JSON object with `data_dir`, the `request` (PEM in base64, as the object has it), `usages` and
the certificate's life in `seconds`. Prints the certificate as PEM; exit code REFUSED and a sentence on
standard error: the request is at fault.

Whether its signer signs such a request was judged before (`controllers/kinds/signing/`): subject and further
names are the request's own, all else is ours (upstream: `PermissiveSigningPolicy`). What is signed is what
was judged, so both have the request from `wire.pkcs10`.
"""

from __future__ import annotations

import base64
import ipaddress
import sys
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from mini8s.app import authority
from mini8s.app.certifying import REFUSED
from mini8s.app.layout import server_files
from mini8s.wire import pkcs10, tls
from mini8s.wire.codec import decode_json

_PURPOSES = {"client auth": ExtendedKeyUsageOID.CLIENT_AUTH, "server auth": ExtendedKeyUsageOID.SERVER_AUTH}
_SIGNATURE, _ENCIPHERMENT = "digital signature", "key encipherment"
_KEYS = (ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey, rsa.RSAPublicKey)
LEAST_RSA_BITS = 2048  # what the TLS libraries of clients still take


class Refused(ValueError):
    """A request that can't be signed, whenever it is tried."""


def certificate(
    pair: tls.Pair, request_pem: bytes, usages: Collection[str], now: datetime, life: timedelta
) -> bytes:
    """Raises Refused."""
    request = _checked(request_pem)
    by = x509.load_pem_x509_certificate(pair.certificate)
    key = serialization.load_pem_private_key(pair.key, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("the authority's key is not an elliptic curve key")
    if unknown := set(usages) - {*_PURPOSES, _SIGNATURE, _ENCIPHERMENT}:
        raise Refused(f"no signer of the cluster gives the usage {min(unknown)}")
    public = request.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(request.subject)
        .issuer_name(by.subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - tls.BACKDATE)
        .not_valid_after(min(now + life, by.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([_PURPOSES[one] for one in sorted({*usages} & {*_PURPOSES})]), False
        )
    )
    if {_SIGNATURE, _ENCIPHERMENT} & {*usages}:  # one that allows nothing is good for nothing
        builder = builder.add_extension(
            tls.key_usage(signature=_SIGNATURE in usages, encipherment=_ENCIPHERMENT in usages), critical=True
        )
    if names := _names(request_pem):
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return tls.identified(builder, by).sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _checked(pem: bytes) -> x509.CertificateSigningRequest:
    try:
        request = x509.load_der_x509_csr(pkcs10.der(pem))
        good, key = request.is_signature_valid, request.public_key()
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise Refused(f"the request can't be read: {error}") from error
    if not good:
        raise Refused("unable to verify certificate request signature")
    if not isinstance(key, _KEYS) or (isinstance(key, rsa.RSAPublicKey) and key.key_size < LEAST_RSA_BITS):
        raise Refused(f"the key is none of ECDSA, Ed25519, or RSA with at least {LEAST_RSA_BITS} bits")
    return request


def _names(pem: bytes) -> list[x509.GeneralName]:
    try:
        asked = pkcs10.parse(pem)
        return [
            *map(x509.DNSName, asked.dns),
            *(x509.IPAddress(ipaddress.ip_address(one)) for one in asked.addresses),
            *map(x509.RFC822Name, asked.emails),
            *map(x509.UniformResourceIdentifier, asked.uris),
        ]
    except ValueError as error:
        raise Refused(f"the request's further names can't be read: {error}") from error


def main() -> int:
    asked = decode_json(sys.stdin.buffer.read())
    pair = authority.load(server_files(asked["data_dir"])).pair
    request, life = base64.b64decode(asked["request"]), timedelta(seconds=asked["seconds"])
    try:
        made = certificate(pair, request, asked["usages"], datetime.now(UTC), life)
    except Refused as error:
        sys.stderr.write(f"{error}\n")
        return REFUSED
    sys.stdout.buffer.write(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
