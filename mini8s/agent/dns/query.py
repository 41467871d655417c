"""The answer to the usual question, or None for what `answer` must look at with a full parser. PURE.

Usual is: one question, with or without EDNS, for an address of a name in the cluster's domain, known or not;
resolvers that follow a search list ask mostly for names that don't exist, and for AAAA of those that do.
"""

from __future__ import annotations

from mini8s.agent.dns.zone import Zone

EDNS_SIZE = 1232  # bytes that fit into a packet on every link
_OPT = b"\0\0\x29" + EDNS_SIZE.to_bytes(2, "big") + b"\0\0\0\0\0\0"
_OPT_LENGTH = 11  # without options
_DENIAL = b"\0\1\0\0\0\1\0\0"  # counts: the question and the SOA
_FLAGS = (b"\x84\x80", b"\x85\x80")  # an answer with authority; recursion desired or not, available
_NAME_ERROR = (b"\x84\x83", b"\x85\x83")
_AAAA_IN, _HTTPS_IN = b"\0\x1c\0\1", b"\0\x41\0\1"


def fast(zone: Zone, query: bytes) -> bytes | None:
    """The whole answer, or None."""
    if not zone.synced or query[4:10] != b"\0\1\0\0\0\0" or query[2] & 0xFA:
        return None
    end = query.find(b"\0", 12) + 5
    edns = _edns(query, end)
    if end < 17 or edns is None:
        return None
    question = query[12:end]
    recursion = query[2] & 1
    orders = zone.answers.get(question) or zone.answers.get(question.lower())
    if orders is not None:
        head, flags = orders[query[1] % len(orders)], _FLAGS[recursion]
    else:
        denied = _denied(zone, question.lower())
        if denied is None:
            return None
        head, flags = _DENIAL + zone.denial, (_NAME_ERROR if denied else _FLAGS)[recursion]
    if edns:
        return query[:2] + flags + head[:6] + b"\0\1" + question + head[8:] + _OPT
    return query[:2] + flags + head[:8] + question + head[8:]


def _edns(query: bytes, end: int) -> bool | None:
    """Whether the query ends with an EDNS record of version 0; None when it has anything else."""
    if query[10:12] == b"\0\0":
        return False if len(query) == end else None
    if query[10:12] != b"\0\1" or len(query) < end + _OPT_LENGTH or query[end : end + 3] != b"\0\0\x29":
        return None
    options = int.from_bytes(query[end + 9 : end + 11], "big")
    plain = query[end + 6] == 0 and len(query) == end + _OPT_LENGTH + options
    return True if plain else None


def _denied(zone: Zone, question: bytes) -> bool | None:
    """Whether the name doesn't exist (True) or has nothing of this type (False); None when that takes a
    closer look."""
    name, kind = question[:-4], question[-4:]
    if not name.endswith(zone.suffix) or kind[2:] != b"\0\1":
        return None
    if name in zone.names:
        return False if kind in (_AAAA_IN, _HTTPS_IN) and name not in zone.aliases else None
    return None if name.endswith(zone.pod_suffix) else True
