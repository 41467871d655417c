"""Signing requests read without a library, held to one that another library wrote."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from mini8s.wire import pkcs10, tls

KEY = ec.generate_private_key(ec.SECP256R1())
TEXT = st.text(st.characters(exclude_categories=("C",)), min_size=1, max_size=40)
WORD = st.text("abcdefghijklmnop", min_size=1, max_size=60)
ADDRESS = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))


def pem(common: str, groups: list[str], names: list[x509.GeneralName]) -> bytes:
    subject = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    subject.append(x509.NameAttribute(NameOID.COMMON_NAME, common))
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


WHOLE = x509.load_pem_x509_csr(pem("x", ["y"], [x509.DNSName("z")])).public_bytes(serialization.Encoding.DER)


@settings(max_examples=30)
@given(TEXT, st.lists(TEXT, max_size=3), st.lists(WORD, max_size=3), st.lists(ADDRESS, max_size=3))
def test_what_was_asked_for_is_read(
    common: str,
    groups: list[str],
    words: list[str],
    addresses: list[ipaddress.IPv4Address | ipaddress.IPv6Address],
) -> None:
    names: list[x509.GeneralName] = [x509.DNSName(word) for word in words]
    names += [x509.IPAddress(address) for address in addresses]
    names += [x509.RFC822Name(f"{word}@x.io") for word in words]
    names += [x509.UniformResourceIdentifier(f"spiffe://{word}") for word in words]
    written = pem(common, groups, names)
    assert pkcs10.parse(written) == pkcs10.Request(
        common_name=common,
        organizations=tuple(groups),
        dns=tuple(words),
        addresses=tuple(map(str, addresses)),
        emails=tuple(f"{word}@x.io" for word in words),
        uris=tuple(f"spiffe://{word}" for word in words),
        key=KEY.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
    )


def test_a_key_has_one_id() -> None:
    request = tls.new_request(tls.Leaf("system:node:pi", ("system:nodes",))).certificate
    assert hashlib.sha256(pkcs10.parse(request).key).hexdigest() == tls.key_id(request)


@pytest.mark.parametrize("year", [2026, 2049, 2050, 2090])
def test_when_a_certificate_ends(year: int) -> None:
    made = tls.new_ca("x", datetime(year, 2, 3, 4, 5, 6, tzinfo=UTC)).certificate
    assert pkcs10.ends(made) == tls.expires(made)


@given(st.binary(max_size=40), st.integers(0, 300), st.integers(0, 300))
def test_nothing_else_than_a_value_error_comes_of_broken_ones(noise: bytes, at: int, cut: int) -> None:
    der = WHOLE[:at] + noise + WHOLE[at + len(noise) :]
    for kind, read in (("CERTIFICATE REQUEST", pkcs10.parse), ("CERTIFICATE", pkcs10.ends)):
        text = base64.b64encode(der[:cut]).decode()
        with suppress(ValueError):
            read(f"-----BEGIN {kind}-----\n{text}\n-----END {kind}-----\n".encode())


def test_another_block_is_none() -> None:
    with pytest.raises(ValueError, match="PEM block type must be CERTIFICATE REQUEST"):
        pkcs10.parse(tls.new_ca("x", datetime.now(UTC)).certificate)


def test_of_two_common_names_the_last_counts() -> None:
    """As it does for who shows the certificate (`app.connection`): else another one was judged."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in ("first", "last")])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(KEY, hashes.SHA256())
    assert pkcs10.parse(request.public_bytes(serialization.Encoding.PEM)).common_name == "last"
