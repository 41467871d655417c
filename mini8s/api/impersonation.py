"""`kubectl --as`: who may speak in somebody else's name is treated as that somebody.

Whom somebody may speak for, roles say: the verb `impersonate` on users, groups, serviceaccounts, uids and
userextras.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

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
    if not name and not groups and not uid:
        return user
    if not name:
        raise BadRequest("requested groups or a uid to impersonate without impersonating a user")
    extra = tuple(_extras(environ))
    for what in _wanted(name, groups, uid, extra):
        require(authorize, user, what)
    return User(name, tuple(dict.fromkeys((*groups, *_implied(name)))), uid, extra)


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
            yield header.removeprefix(_EXTRA).lower().replace("_", "-"), tuple(_listed(said))


def _listed(said: str) -> Iterator[str]:
    """The values of a header that may come several times, which the server joins with commas."""
    return (value.strip() for value in said.split(",") if value.strip())


def _account(name: str) -> tuple[str, str]:
    """Namespace and name of the service account that a user's name is of."""
    rest = name.removeprefix(_ACCOUNT)
    namespace, colon, account = rest.partition(":")
    return (namespace, account) if rest != name and colon and account else ("", "")


def _implied(name: str) -> tuple[str, ...]:
    """The groups that a name alone makes somebody a member of."""
    if name == ANONYMOUS.name:
        return ANONYMOUS.groups
    namespace, account = _account(name)
    if account:
        return (f"{_ACCOUNT.rstrip(':')}s", f"{_ACCOUNT.rstrip(':')}s:{namespace}", AUTHENTICATED)
    return (AUTHENTICATED,)
