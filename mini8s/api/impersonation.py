"""`kubectl --as`: an administrator who asks in somebody else's name is treated as that somebody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mini8s.api.authn import ANONYMOUS
from mini8s.api.authz import AUTHENTICATED, Attributes, Authorize, refuse
from mini8s.objects.errors import BadRequest
from mini8s.objects.kinds import Kind
from mini8s.registry.base import User

_USER, _GROUP, _UID = (f"HTTP_IMPERSONATE_{part}" for part in ("USER", "GROUP", "UID"))
_USERS = Kind("", "v1", "User", "users", False)
_UIDS = Kind("authentication.k8s.io", "v1", "UID", "uids", False)
_GROUPS = Kind("", "v1", "Group", "groups", False)
_ACCOUNT = "system:serviceaccount:"


def impersonated(environ: Mapping[str, Any], user: User, authorize: Authorize) -> User:
    """Whom the request speaks for. Raises Forbidden when this user may not speak for them."""
    name = environ.get(_USER, "")
    groups = tuple(group.strip() for group in environ.get(_GROUP, "").split(",") if group.strip())
    uid = environ.get(_UID, "")
    if not name:
        if groups or uid:
            raise BadRequest("requested groups or a uid to impersonate without impersonating a user")
        return user
    for kind, wanted in ((_USERS, (name,)), (_GROUPS, groups), (_UIDS, (uid,) if uid else ())):
        for each in wanted:
            what = Attributes("impersonate", kind, name=each)
            if not authorize(user, what):
                raise refuse(user, what)
    return User(name, tuple(dict.fromkeys((*groups, *_implied(name)))), uid)


def _implied(name: str) -> tuple[str, ...]:
    """The groups that a name alone makes somebody a member of."""
    if name == ANONYMOUS.name:
        return ANONYMOUS.groups
    account = name.removeprefix(_ACCOUNT)
    if account != name and ":" in account:
        namespace = account.partition(":")[0]
        return (f"{_ACCOUNT.rstrip(':')}s", f"{_ACCOUNT.rstrip(':')}s:{namespace}", AUTHENTICATED)
    return (AUTHENTICATED,)
