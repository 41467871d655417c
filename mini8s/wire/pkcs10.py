"""What a certificate signing request asks for (PKCS #10, RFC 2986), and when a certificate ends (RFC 5280),
read from their DER (X.690).

Just enough of it, in Python: who judges requests runs all the time, and the library that could read all of
this costs 15 MB. Nothing is verified here; who signs does that (`app.certify`).
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\s(.*?)-----END \1-----", re.DOTALL)
_SEQUENCE, _SET, _OID, _OCTETS, _BIT_STRING, _INTEGER = 0x30, 0x31, 0x06, 0x04, 0x03, 0x02
_UTC_TIME = 0x17
_ATTRIBUTES = _VERSION = 0xA0  # [0], constructed
_COMMON_NAME, _ORGANIZATION = b"\x55\x04\x03", b"\x55\x04\x0a"
_EXTENSION_REQUEST = bytes.fromhex("2a864886f70d01090e")  # RFC 2985, 5.4.2
_ALTERNATIVE_NAMES = b"\x55\x1d\x11"
_EMAIL, _DNS, _URI, _IP = 0x81, 0x82, 0x86, 0x87  # RFC 5280, 4.2.1.6
_TEXTS = {0x0C: "utf-8", 0x13: "ascii", 0x16: "ascii", 0x14: "latin-1", 0x1E: "utf-16-be"}
_MOST_LENGTH_BYTES = 4

_Element = tuple[int, bytes]  # tag, content


@dataclass(frozen=True, slots=True)
class Request:
    """`key` is the public key as SubjectPublicKeyInfo in DER."""

    common_name: str
    organizations: tuple[str, ...]
    dns: tuple[str, ...]
    addresses: tuple[str, ...]
    emails: tuple[str, ...]
    uris: tuple[str, ...]
    key: bytes


def parse(pem: bytes) -> Request:
    """Raises ValueError."""
    info = _signed(der(pem))
    if len(info) < 3 or info[0][0] != _INTEGER:
        raise ValueError("the request is not complete")
    names = list(_names(_content(info[1], _SEQUENCE)))
    common = [text for oid, text in names if oid == _COMMON_NAME]
    others: dict[int, list[bytes]] = {}
    for tag, content in _alternative_names(info[3:]):
        others.setdefault(tag, []).append(content)
    return Request(
        common_name=common[-1] if common else "",
        organizations=tuple(text for oid, text in names if oid == _ORGANIZATION),
        dns=_ascii(others.get(_DNS)),
        addresses=tuple(str(ipaddress.ip_address(one)) for one in others.get(_IP, ())),
        emails=_ascii(others.get(_EMAIL)),
        uris=_ascii(others.get(_URI)),
        key=_whole(_SEQUENCE, _content(info[2], _SEQUENCE)),
    )


def der(pem: bytes) -> bytes:
    """The request itself. Who signs takes it from here: where there are several, another reader of PEM may
    find another one than was judged. Raises ValueError."""
    return _block(pem, b"CERTIFICATE REQUEST")


def ends(pem: bytes) -> datetime:
    """When the first certificate of some ends. Raises ValueError."""
    parts = [part for part in _signed(_block(pem, b"CERTIFICATE")) if part[0] != _VERSION]
    if len(parts) < 4:  # serial number, signature algorithm, issuer, validity
        raise ValueError("the certificate is not complete")
    _, (tag, text) = _exactly(2, _content(parts[3], _SEQUENCE))
    form = "%y%m%d%H%M%SZ" if tag == _UTC_TIME else "%Y%m%d%H%M%SZ"
    return datetime.strptime(text.decode("ascii"), form).replace(tzinfo=UTC)


def _block(pem: bytes, type: bytes) -> bytes:
    block = _BLOCK.search(pem)
    if block is None or block[1] != type:
        raise ValueError(f"PEM block type must be {type.decode()}")
    try:
        return base64.b64decode(b"".join(block[2].split()), validate=True)
    except binascii.Error as error:
        raise ValueError(f"what is between its lines is not base64: {error}") from error


def _names(sequence: bytes) -> Iterator[tuple[bytes, str]]:
    """What kind of name each is, and the name."""
    for element in _elements(sequence):
        for pair in _elements(_content(element, _SET)):
            (kind, oid), (tag, text) = _exactly(2, _content(pair, _SEQUENCE))
            if kind != _OID or tag not in _TEXTS:
                raise ValueError("a name of the subject can't be read")
            yield oid, text.decode(_TEXTS[tag])


def _alternative_names(attributes: list[_Element]) -> Iterator[_Element]:
    for tag, content in attributes:
        if tag != _ATTRIBUTES:
            raise ValueError("the request has a part that does not belong there")
        for attribute in _elements(content):
            (_, oid), values = _exactly(2, _content(attribute, _SEQUENCE))
            if oid == _EXTENSION_REQUEST:
                for extensions in _elements(_content(values, _SET)):
                    yield from _from_extensions(_content(extensions, _SEQUENCE))


def _from_extensions(extensions: bytes) -> Iterator[_Element]:
    for extension in _elements(extensions):
        parts = list(_elements(_content(extension, _SEQUENCE)))
        if len(parts) >= 2 and parts[0][1] == _ALTERNATIVE_NAMES:
            (names,) = _exactly(1, _content(parts[-1], _OCTETS))
            yield from _elements(_content(names, _SEQUENCE))


def _signed(data: bytes) -> list[_Element]:
    """The parts of what the signature is for, which comes first in requests and certificates alike."""
    (whole,) = _exactly(1, data)
    first, *_ = _exactly(3, _content(whole, _SEQUENCE))
    return list(_elements(_content(first, _SEQUENCE)))


def _exactly(count: int, data: bytes) -> list[_Element]:
    found = list(_elements(data))
    if len(found) != count:
        raise ValueError(f"there are {len(found)} parts where there should be {count}")
    return found


def _content(element: _Element, tag: int) -> bytes:
    if element[0] != tag:
        raise ValueError(f"there is a part of type {element[0]:#04x} where {tag:#04x} was expected")
    return element[1]


def _elements(data: bytes) -> Iterator[_Element]:
    at = 0
    while at < len(data):
        tag, at = data[at], at + 2
        length = data[at - 1] if at <= len(data) else 0
        if length & 0x80:
            count = length & 0x7F
            length, at = int.from_bytes(data[at : at + count]), at + count
            if not 0 < count <= _MOST_LENGTH_BYTES:
                raise ValueError("a length can't be read")
        if at + length > len(data):
            raise ValueError("it ends too early")
        yield tag, data[at : at + length]
        at += length


def _whole(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(length))) + length + content


def _ascii(values: list[bytes] | None) -> tuple[str, ...]:
    return tuple(value.decode("ascii") for value in values or ())
