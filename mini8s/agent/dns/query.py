"""The answer to the usual question, or None for what `answer` must look at with a full parser. PURE.

Usual is: one question, with or without EDNS, for an address of a name in the cluster's domain, known or not;
resolvers that follow a search list ask mostly for names that don't exist, and for AAAA of those that do.
"""

from __future__ import annotations

from mini8s.agent.dns.zone import OPTIONS_SIZE, Zone

LABEL, NAME = 63, 255  # most bytes of a label, and of a name in wire form
EDNS_SIZE = 1232  # bytes that fit into a packet on every link
_OPT = b"\0\0\x29" + EDNS_SIZE.to_bytes(2, "big") + b"\0\0\0\0\0\0"
_DENIAL = b"\0\1\0\0\0\1\0\0"  # counts: the question and the SOA
_PLAIN = b"\0\1\0\0\0\0\0\0"  # counts of a query: one question and nothing else
_FLAGS = (b"\x84\x80", b"\x85\x80")  # an answer with authority; recursion desired or not, available
_NAME_ERROR = (b"\x84\x83", b"\x85\x83")
_OFTEN_IN_VAIN = (b"\0\1\0\1", b"\0\x1c\0\1", b"\0\x41\0\1")  # A, AAAA, HTTPS


def fast(zone: Zone, query: bytes) -> bytes | None:
    """The whole answer, or None. A known name as most ask it costs two look-ups and one concatenation."""
    question = query[12:]
    orders = zone.answers.get(question)
    if orders is None or query[4:12] != _PLAIN or query[2] & 0xFA or not zone.synced:
        return _other(zone, query)
    counts, records = orders[query[1] % len(orders)]
    return query[:2] + _FLAGS[query[2] & 1] + counts + question + records


def _other(zone: Zone, query: bytes) -> bytes | None:
    """With EDNS, in other letters, or for what there is not."""
    if not zone.synced or query[4:10] != b"\0\1\0\0\0\0" or query[2] & 0xFA:
        return None
    end = query.find(b"\0", 12) + 5
    edns = _edns(query, end)
    if end < 17 or edns is None:
        return None
    question = query[12:end]
    plain = question[:-4].lower() + question[-4:]  # a type may look like a letter
    orders = zone.answers.get(plain)
    if orders is not None:
        counts, records = orders[query[1] % len(orders)]
        flags = _FLAGS[query[2] & 1]
    else:
        denied = _denied(zone, plain)
        if denied is None:
            return None
        counts, records = _DENIAL, zone.denial
        flags = (_NAME_ERROR if denied else _FLAGS)[query[2] & 1]
    if edns:
        return query[:2] + flags + counts[:6] + b"\0\1" + question + records + _OPT
    return query[:2] + flags + counts + question + records


def name_end(message: bytes) -> int:
    """Where the name of the first question ends."""
    at = 12
    while at < len(message) and 0 < message[at] <= LABEL:
        at += message[at] + 1
    return min(at + 1, len(message))


def _edns(query: bytes, end: int) -> bool | None:
    """Whether the query ends with an EDNS record of version 0; None when it has anything else."""
    if query[10:12] == b"\0\0":
        return False if len(query) == end else None
    if query[10:12] != b"\0\1" or len(query) < end + OPTIONS_SIZE or query[end : end + 3] != b"\0\0\x29":
        return None
    options = int.from_bytes(query[end + 9 : end + 11], "big")
    plain = query[end + 6] == 0 and len(query) == end + OPTIONS_SIZE + options
    return True if plain else None


def _denied(zone: Zone, question: bytes) -> bool | None:
    """Whether the name doesn't exist (True) or has nothing of this type (False); None when that takes a
    closer look."""
    name, kind = question[:-4], question[-4:]
    if not name.endswith(zone.suffix) or kind[2:] != b"\0\1" or not _is_name(name):
        return None
    if name in zone.names:
        nothing = kind in _OFTEN_IN_VAIN and name not in zone.aliases and question not in zone.long
        return False if nothing else None
    return None if name.endswith(zone.pod_suffix) else True


def _is_name(name: bytes) -> bool:
    """Whether it is labels to its end, without pointers and no longer than one may be (RFC 1035, 2.3.4)."""
    at = 0
    while at < len(name) and name[at]:
        if name[at] > LABEL:
            return False
        at += name[at] + 1
    return at == len(name) - 1 and len(name) <= NAME
