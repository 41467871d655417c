"""`kubectl --as`: who may speak in somebody else's name is treated as that somebody.

Whom somebody may speak for, roles say: the verb `impersonate` on users, groups, serviceaccounts, uids and
userextras.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from mini8s.api.attributes import AUTHENTICATED, Attributes, Authorize, require
from mini8s.api.authn import ANONYMOUS
from mini8s.objects.errors import BadRequest
from mini8s.objects.kinds import SERVICEACCOUNTS, Kind
from mini8s.registry.base import User

_USER, _GROUP, _UID = (f"HTTP_IMPERSONATE_{part}" for part in ("USER", "GROUP", "UID"))
_EXTRA = "HTTP_IMPERSONATE_EXTRA_"
_AUTHENTICATION = "authentication.k8s.io"
_USERS = Kind("", "v1", "User", "users", False)
_GROUPS = Kind("", "v1", "Group", "groups", False)
_UIDS = Kind(_AUTHENTICATION, "v1", "UID", "uids", False)
_EXTRAS = Kind(_AUTHENTICATION, "v1", "UserExtra", "userextras", False)
_ACCOUNT = "system:serviceaccount:"


def impersonated(environ: Mapping[str, Any], user: User, authorize: Authorize) -> User:
    """Whom the request speaks for. Raises Forbidden when this user may not speak for them."""
    name = environ.get(_USER, "")
    groups, uid = tuple(_listed(environ.get(_GROUP, ""))), environ.get(_UID, "")
    extra = tuple(_extras(environ))
    if not name and not groups and not uid and not extra:
        return user
    if not name:
        raise BadRequest("requested groups, a uid or extra to impersonate without impersonating a user")
    for what in _wanted(name, groups, uid, extra):
        require(authorize, user, what)
    return User(name, (*groups, *_implied(name, groups)), uid, extra)


def _wanted(
    name: str, groups: tuple[str, ...], uid: str, extra: tuple[tuple[str, tuple[str, ...]], ...]
) -> Iterator[Attributes]:
    namespace, account = _account(name)
    if account:
        yield Attributes("impersonate", SERVICEACCOUNTS, namespace, account)
    else:
        yield Attributes("impersonate", _USERS, name=name)
    for group in groups:
        yield Attributes("impersonate", _GROUPS, name=group)
    if uid:
        yield Attributes("impersonate", _UIDS, name=uid)
    for key, values in extra:
        for value in values:
            yield Attributes("impersonate", _EXTRAS, name=value, subresource=key)


def _extras(environ: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for header, said in environ.items():
        if header.startswith(_EXTRA):
            key = header.removeprefix(_EXTRA).lower().replace("_", "-")  # WSGI has the one for the other
            yield unquote(key), tuple(_listed(said))


def _listed(said: str) -> Iterator[str]:
    """The values of a header that may come several times, which the server joins with commas."""
    return (value.strip() for value in said.split(",") if value.strip())


def _account(name: str) -> tuple[str, str]:
    """Namespace and name of the service account that a user's name is of."""
    rest = name.removeprefix(_ACCOUNT)
    namespace, colon, account = rest.partition(":")
    return (namespace, account) if rest != name and colon and account else ("", "")


def _implied(name: str, groups: Sequence[str]) -> tuple[str, ...]:
    """The groups that a name makes somebody a member of besides those that were said."""
    known = ANONYMOUS.groups if name == ANONYMOUS.name else (AUTHENTICATED,)
    if {AUTHENTICATED, *ANONYMOUS.groups} & {*groups}:
        known = ()
    namespace, account = _account(name)
    if account and not groups:
        return (f"{_ACCOUNT.rstrip(':')}s", f"{_ACCOUNT.rstrip(':')}s:{namespace}", *known)
    return known
