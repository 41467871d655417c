"""The order of merged lists.

What the patch speaks of keeps the patch's order, what only the server has keeps the server's, and the two are
interleaved so that both keep their neighbours where that is possible.
"""

from __future__ import annotations

from typing import Any

from mini8s.objects.errors import BadRequest

_PATCH = "$patch"


def of_maps(*parts: list[Any]) -> bool:
    """Whether the elements are maps; raises BadRequest when they are mixed, or lists."""
    kinds = {_kind(item) for part in parts for item in part}
    if "list" in kinds:
        raise BadRequest("lists of lists are not supported")
    if len(kinds) > 1:
        raise BadRequest("list element types are not identical")
    return kinds == {"map"}


def unique(values: list[Any]) -> list[Any]:
    """The scalars, each at its first place."""
    return list({_identity(value, ""): value for value in reversed(values)}.values())[::-1]


def key_of(item: Any, key: str) -> Any:
    if not isinstance(item, dict) or key not in item:
        raise BadRequest(f"map: {item} does not contain declared merge key: {key}")
    return item[key]


def interleave(merged: list[Any], ours: list[Any], theirs: list[Any], key: str) -> list[Any]:
    """`merged`, ordered: `ours` is the patch's order, `theirs` the server's."""
    our_place = _places(ours, key)
    their_place = _places(theirs, key)
    left = [item for item in merged if _identity(item, key) not in our_place]
    right = [item for item in merged if _identity(item, key) in our_place]
    left.sort(key=lambda item: their_place.get(_identity(item, key), len(theirs)))
    right.sort(key=lambda item: our_place[_identity(item, key)])
    result: list[Any] = []
    for item in right:
        place = their_place.get(_identity(item, key), -1)
        while left and their_place.get(_identity(left[0], key), len(theirs)) < place:
            result.append(left.pop(0))
        result.append(item)
    return result + left


def filled(original: list[Any], patch: list[Any], merged: list[Any], key: str) -> list[Any]:
    """The server's order once the patch was merged: what is left, and in the places that deletions freed what
    is new (upstream deletes and appends in one array, and only looks at its first part)."""
    stay = _places(merged, key)
    left = [item for item in original if _identity(item, key) in stay]
    known = _places(original, key)
    new = [item for item in patch if (place := _identity(item, key)) in stay and place not in known]
    return [*left, *new][: len(original)]


def check_order(patch: list[Any], order: list[Any], key: str) -> None:
    """The patch's elements must come in the order that the patch itself states."""
    stated = iter([_identity(item, key) for item in order])
    kept = [item for item in patch if not (isinstance(item, dict) and item.get(_PATCH) == "delete")]
    if not all(_identity(item, key) in stated for item in kept):
        raise BadRequest(
            f"The order in patch list:\n{patch}\n doesn't match $setElementOrder list:\n{order}\n"
        )


def _kind(item: Any) -> str:
    if isinstance(item, dict):
        return "map"
    return "list" if isinstance(item, list) else type(item).__name__


def _places(items: list[Any], key: str) -> dict[Any, int]:
    places: dict[Any, int] = {}
    for place, item in enumerate(items):
        places.setdefault(_identity(item, key), place)
    return places


def _identity(item: Any, key: str) -> Any:
    value = key_of(item, key) if key else item
    if isinstance(value, dict | list):
        raise BadRequest(
            f"map: {item} does not contain declared merge key: {key}" if key else f"{item} is no scalar"
        )
    return type(value), value
