"""Many writes in one request, and their answers in one: how they are framed.

Bodies stay as they are: what was encoded for a write that goes alone is copied in, and what was stored comes
out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from mini8s.objects.errors import BadRequest

PATH = "/v1-mini8s/together"
MOST_BYTES = 1 << 20  # of them together, well below what a request may have
MOST = 128  # writes in a request: its answer is not kept waiting for long
_NOTHING = msgspec.Raw(b"null")
_NO_HEADERS: Mapping[str, str] = {}


class Ask(msgspec.Struct, frozen=True, omit_defaults=True):
    """One write; `target` is a path with its query, `type` that of the body."""

    method: str
    target: str
    body: msgspec.Raw = _NOTHING
    type: str = "application/json"


class Said(msgspec.Struct, frozen=True, omit_defaults=True):
    """Its answer."""

    code: int
    body: msgspec.Raw = _NOTHING
    headers: Mapping[str, str] = _NO_HEADERS


_asks = msgspec.json.Decoder(list[Ask])
_answers = msgspec.json.Decoder(list[Said])
_encoder = msgspec.json.Encoder()


def ask(method: str, target: str, body: bytes | None, type: str) -> Ask:
    return Ask(method, target, msgspec.Raw(body) if body else _NOTHING, type)


def said(code: int, body: bytes, headers: Mapping[str, str]) -> Said:
    return Said(code, msgspec.Raw(body) if body else _NOTHING, headers)


def batches(asks: Sequence[Ask]) -> Iterator[Sequence[Ask]]:
    """What may go in one request each."""
    batch: list[Ask] = []
    size = 0
    for one in asks:
        length = len(bytes(one.body)) + len(one.target)
        if batch and (len(batch) == MOST or size + length > MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += length
    if batch:
        yield batch


def encode(items: Sequence[Ask] | Sequence[Said]) -> bytes:
    return _encoder.encode(items)


def decode_asks(data: bytes) -> Sequence[Ask]:
    """Raises BadRequest."""
    try:
        return _asks.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"the body is no list of requests: {error}") from error


def decode_answers(data: bytes) -> Sequence[Said]:
    """What `encode` made. Raises BadRequest."""
    try:
        return _answers.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"the body is no list of answers: {error}") from error
