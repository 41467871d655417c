"""Keys and certificates of the cluster: made, signed and read, as PEM.

Only short-lived processes import this: `cryptography` costs 15 MB that a running server or agent need not
keep. Identities are Kubernetes': the common name is the user, each organisation a group (Kubernetes
documentation, "Authenticating: X.509 client certificates"). Keys are P-256 (fast on small boards, understood
by every client).
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mini8s.wire import jwt

CA_LIFE = timedelta(days=3650)
LEAF_LIFE = timedelta(days=365)
TOKEN_KEY_BITS = 2048
BACKDATE = timedelta(hours=1)  # hosts' clocks differ, and a certificate must hold from its first second
RENEW_AT, RENEW_SPREAD = (
    2 / 3,
    2 / 15,
)  # shares of a life: from two thirds to four fifths (kubelet: 70 to 90 %)


class BadRequestForCertificate(ValueError):
    """A signing request that can't be read, isn't signed by its own key, or asks for another identity."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class Leaf:
    """What a certificate says. `addresses` may hold names and IP addresses; with any, it also serves TLS."""

    user: str
    groups: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Life:
    """When a certificate was signed, when it ends, and when it is to be renewed."""

    begins: datetime
    ends: datetime
    renews: datetime


def new_ca(name: str, now: datetime) -> Pair:
    """A self-signed authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = _builder(subject, subject, key.public_key(), now - BACKDATE, now + CA_LIFE)
    return Pair(_pem(_as_authority(builder, key.public_key()).sign(key, hashes.SHA256())), _key_pem(key))


def cross_sign(old: Pair, new_pem: bytes, now: datetime, life: timedelta) -> bytes:
    """Another authority's certificate for the key of a new one: with it, who only knows the old authority
    believes what the new one signs (RFC 4210, 4.4)."""
    new, by = x509.load_pem_x509_certificate(new_pem), x509.load_pem_x509_certificate(old.certificate)
    key = new.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise TypeError("the new authority's key is not an elliptic curve key")
    ends = min(now + life, by.not_valid_after_utc)
    builder = _as_authority(_builder(new.subject, by.subject, key, now - BACKDATE, ends), key)
    return _pem(identified(builder, by).sign(_load_key(old.key), hashes.SHA256()))


def is_for(certificate_pem: bytes, key_pem: bytes) -> bool:
    """Whether a certificate is for this key."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        return certificate.public_key() == _load_key(key_pem).public_key()
    except (ValueError, TypeError):
        return False


def issue(ca: Pair, leaf: Leaf, now: datetime, *, life: timedelta = LEAF_LIFE, key: bytes = b"") -> Pair:
    """A certificate for this key, or for a new one."""
    own = _load_key(key) if key else ec.generate_private_key(ec.SECP256R1())
    return Pair(_sign(ca, leaf, own.public_key(), now, life), _key_pem(own))


def new_request(leaf: Leaf, key_pem: bytes = b"") -> Pair:
    """This key, or a new one, and a signing request for it (in the certificate's place)."""
    key = _load_key(key_pem) if key_pem else ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(_subject(leaf)).sign(key, hashes.SHA256())
    return Pair(request.public_bytes(serialization.Encoding.PEM), _key_pem(key))


def sign_request(
    ca: Pair, request_pem: bytes, leaf: Leaf, now: datetime, life: timedelta = LEAF_LIFE
) -> bytes:
    """A certificate for the request's key, with the identity that the signer decided on.

    Raises BadRequestForCertificate.
    """
    try:
        request = x509.load_pem_x509_csr(request_pem)
    except ValueError as error:
        raise BadRequestForCertificate(f"not a PEM certificate signing request: {error}") from error
    if not request.is_signature_valid:
        raise BadRequestForCertificate("the signing request is not signed by its own key")
    key = request.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise BadRequestForCertificate("the signing request's key is not an elliptic curve key")
    if request.subject != _subject(leaf):
        raise BadRequestForCertificate(f"the signing request asks for another identity than {leaf.user}")
    return _sign(ca, leaf, key, now, life)


def expires(certificate_pem: bytes) -> datetime:
    return x509.load_pem_x509_certificate(certificate_pem).not_valid_after_utc


def life(certificate_pem: bytes) -> Life:
    """When in its span a certificate is renewed follows from its serial number, so that those that were made
    together are not renewed together, and everybody who asks gets the same answer."""
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    begins, ends = certificate.not_valid_before_utc + BACKDATE, certificate.not_valid_after_utc
    share = RENEW_AT + RENEW_SPREAD * (certificate.serial_number % 1000) / 1000
    return Life(begins, ends, begins + (ends - begins) * share)


def subject(certificate_pem: bytes) -> str:
    """The user that a certificate names."""
    names = x509.load_pem_x509_certificate(certificate_pem).subject.get_attributes_for_oid(
        NameOID.COMMON_NAME
    )
    return str(names[-1].value) if names else ""


def belongs(certificate_pem: bytes, key_pem: bytes, ca_pem: bytes) -> bool:
    """Whether a certificate is for this key and signed by this authority."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(ca_pem))
    except (ValueError, TypeError, InvalidSignature):
        return False
    return is_for(certificate_pem, key_pem)


def key_id(request_pem: bytes) -> str:
    """SHA-256 of a request's public key in DER form, hex: what a node is known by."""
    key = x509.load_pem_x509_csr(request_pem).public_key()
    return hashlib.sha256(
        key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    ).hexdigest()


def addresses(certificate_pem: bytes) -> set[str]:
    """The names and addresses that a serving certificate covers."""
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {str(name.value) for name in names}


def new_token_key() -> tuple[bytes, dict[str, str]]:
    """An RSA key as PEM, and its public half as a JSON Web Key (RFC 7517; RFC 7518, 6.3). RSA, because to
    check its signatures is arithmetic that needs no library (`wire.jwt`). The id is upstream's: the hash of
    the key's DER form."""
    key = rsa.generate_private_key(65537, TOKEN_KEY_BITS)
    der = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    numbers = key.public_key().public_numbers()
    sized = {"n": numbers.n.to_bytes(TOKEN_KEY_BITS // 8), "e": numbers.e.to_bytes(3)}
    public = {name: jwt.encode(value).decode() for name, value in sized.items()}
    key_id = jwt.encode(hashlib.sha256(der).digest()).decode()
    return pem, {"use": "sig", "kty": "RSA", "kid": key_id, "alg": jwt.ALGORITHM, **public}


def _sign(ca: Pair, leaf: Leaf, key: ec.EllipticCurvePublicKey, now: datetime, life: timedelta) -> bytes:
    authority = x509.load_pem_x509_certificate(ca.certificate)
    authority_key = _load_key(ca.key)
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH] if leaf.addresses else [ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = (
        _builder(_subject(leaf), authority.subject, key, now - BACKDATE, now + life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    )
    if leaf.addresses:
        names = x509.SubjectAlternativeName([_general_name(address) for address in leaf.addresses])
        builder = builder.add_extension(names, critical=False)
    return _pem(identified(builder, authority).sign(authority_key, hashes.SHA256()))


def _as_authority(
    builder: x509.CertificateBuilder, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    return (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(key_usage(certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def identified(builder: x509.CertificateBuilder, by: x509.Certificate) -> x509.CertificateBuilder:
    """Which key signed it (RFC 5280, 4.2.1.1): strict clients want to read it."""
    key = by.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise TypeError("the authority's key is not an elliptic curve key")
    return builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key), critical=False)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, begins: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins.astimezone(UTC))
        .not_valid_after(ends.astimezone(UTC))
    )


def _subject(leaf: Leaf) -> x509.Name:
    groups = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in leaf.groups]
    return x509.Name([*groups, x509.NameAttribute(NameOID.COMMON_NAME, leaf.user)])


def _general_name(address: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        return x509.DNSName(address)


def key_usage(
    *, signature: bool = True, encipherment: bool = False, certificates: bool = False
) -> x509.KeyUsage:
    """What a certificate's key is for (RFC 5280, 4.2.1.3): to sign handshakes, to get keys (RSA's only), to
    sign certificates and lists of those that were taken back."""
    return x509.KeyUsage(
        digital_signature=signature,
        content_commitment=False,
        key_encipherment=encipherment,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certificates,
        crl_sign=certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _load_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """Raises ValueError, TypeError."""
    key = serialization.load_pem_private_key(pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("the key is not an elliptic curve key")
    return key


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
