"""Continue tokens and the meaning of resourceVersion on a list.

Upstream's table ("Semantics for get and list") is the measure: no version or 0 means the newest, a version
means "not older than" it, and together with a limit or with resourceVersionMatch=Exact precisely it. Our
reads are of the newest state, so "not older than" only has to refuse versions that are yet to come.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from mini8s.objects.errors import ApiError, BadRequest, Expired
from mini8s.registry import problems, refusals
from mini8s.registry.base import ListOptions
from mini8s.wire.codec import decode_json, encode_json

_VERSION = "meta.k8s.io/v1"
_MATCH = "resourceVersionMatch"
_NEWEST = -1  # a token's revision when what it goes on with need not be consistent with what was
TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. "
    "You can start a new list without the continue parameter, or use the continue token in this response to "
    "retrieve the remainder of the results. Continuing with the provided token results in an inconsistent "
    "list - objects that were created, modified, or deleted between the time the first chunk was returned "
    "and now may show up in the list."
)


@dataclass(frozen=True, slots=True)
class Start:
    """Where a list begins: as of `revision` (0: now), from key `after`; `not_older` must have been."""

    revision: int = 0
    after: str = ""
    not_older: int = 0


def start(options: ListOptions, prefix: str) -> Start:
    """Raises BadRequest and Invalid for queries that contradict themselves."""
    version, match = options.resource_version, options.resource_version_match
    _check_match(options)
    if options.continue_token:
        if version not in {"", "0"}:
            raise BadRequest("specifying resource version is not allowed when using continue")
        return _parse_token(options.continue_token, prefix)
    revision = parse_revision(version)
    if match == "Exact" or (revision and options.limit and not match):
        return Start(revision=revision)
    return Start(not_older=revision)


def token(revision: int, key: str, prefix: str) -> str:
    """What a client hands back to go on; opaque to it."""
    said = {"v": _VERSION, "rv": revision, "start": key.removeprefix(prefix)}
    return base64.urlsafe_b64encode(encode_json(said)).decode().rstrip("=")


def expired(after: str, prefix: str) -> Expired:
    """A page of a list whose revision has been compacted: the rest can be had as it is now."""
    return Expired(TOO_OLD, continue_token=token(_NEWEST, after, prefix))


def parse_revision(text: str) -> int:
    """A resourceVersion from a query; "" is 0."""
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()) or len(text) > 19:
        cause = problems.invalid("resourceVersion", text, "must be an unsigned integer")
        raise refusals.invalid_options(cause)
    return int(text)


def _check_match(options: ListOptions) -> None:
    match, version = options.resource_version_match, options.resource_version
    if not match:
        return
    if options.continue_token:
        why = f"{_MATCH} is forbidden when continue is provided"
        raise refusals.invalid_options(problems.forbidden(_MATCH, why))
    if not version:
        why = f"{_MATCH} is forbidden unless resourceVersion is provided"
        raise refusals.invalid_options(problems.forbidden(_MATCH, why))
    if match not in {"Exact", "NotOlderThan"}:
        cause = problems.not_supported(_MATCH, match, ("Exact", "NotOlderThan", ""))
        raise refusals.invalid_options(cause)
    if match == "Exact" and version == "0":
        why = f'{_MATCH} "Exact" is forbidden for resourceVersion "0"'
        raise refusals.invalid_options(problems.forbidden(_MATCH, why))


def _parse_token(text: str, prefix: str) -> Start:
    try:
        said = decode_json(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
        version, revision, key = said["v"], said["rv"], said["start"]
    except (binascii.Error, ValueError, KeyError, TypeError, ApiError) as error:
        raise BadRequest(f"continue key is not valid: {error}") from error
    ours = version == _VERSION and type(revision) is int and isinstance(key, str)
    if not ours or (revision <= 0 and revision != _NEWEST):
        raise BadRequest("continue key is not valid: it is not one that this server gave")
    return Start(revision=max(revision, 0), after=prefix + key)
