"""Whose a bearer token is, besides those of service accounts: bootstrap tokens, and the static ones of a
file; and who is asked in which order (upstream's: the file, service accounts, bootstrap tokens)."""

from __future__ import annotations

import csv
import hmac
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from mini8s.api.attributes import AUTHENTICATED
from mini8s.api.authn import Tokens
from mini8s.api.service_accounts import PREFIX, Judged, Refused
from mini8s.objects import bootstrap_tokens
from mini8s.objects.errors import NotFound
from mini8s.objects.kinds import SECRETS, Obj
from mini8s.registry.base import Registry, User
from mini8s.wire.codec import decode_json

Judge = Callable[[str, Sequence[str]], Judged]


class BadTokenFile(Exception):
    """It can't be used; the message says why."""


class BootstrapTokens:
    """Kubernetes documentation, "Authenticating with Bootstrap Tokens": `Authorization: Bearer ID.SECRET`."""

    def __init__(self, registry: Registry, now: Callable[[], datetime]) -> None:
        self._registry = registry
        self._now = now

    def __call__(self, token: str) -> User | None:
        if not bootstrap_tokens.FORM.fullmatch(token):
            return None
        secret = self._secret(token.partition(".")[0])
        if secret is None or bootstrap_tokens.refusal(secret, token, self._now()):
            return None
        groups = bootstrap_tokens.groups(secret)
        if groups is None:
            return None
        name = f"{bootstrap_tokens.USER}{token.partition('.')[0]}"
        return User(name, (*groups, AUTHENTICATED))

    def _secret(self, id: str) -> Obj | None:
        try:
            found: Obj = decode_json(
                self._registry.get(SECRETS, bootstrap_tokens.NAMESPACE, bootstrap_tokens.PREFIX + id)
            )
        except NotFound:
            return None
        return found


class StaticTokens:
    """Documentation, "Static token file": lines of token, user, uid and, if any, groups in one field."""

    def __init__(self, users: Mapping[str, User]) -> None:
        self._users = {token.encode(): user for token, user in users.items()}

    def __call__(self, token: str) -> User | None:
        """All are compared, each in the same time: how long it takes tells nothing of a token."""
        said, found = token.encode(), None
        for known, user in self._users.items():
            if hmac.compare_digest(known, said):
                found = user
        return found


def read_static(path: str) -> StaticTokens:
    """Raises BadTokenFile."""
    try:
        text = Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise BadTokenFile(f"--token-auth-file {path} can't be read: {error}") from error
    users: dict[str, User] = {}
    for number, row in enumerate(csv.reader(text.splitlines(), skipinitialspace=True), 1):
        if not row or row[0].lstrip().startswith("#"):
            continue
        where = f"--token-auth-file {path}, line {number}"
        if len(row) < 3:
            raise BadTokenFile(
                f"{where}: there must be token, user and uid, and {len(row)} of them are there"
            )
        token, user, uid, *more = (part.strip() for part in row)
        if not token or not user:
            raise BadTokenFile(f"{where}: {'the user' if token else 'the token'} is empty")
        if token in users:
            raise BadTokenFile(f"{where}: the token is there twice")
        groups = tuple(part for part in (more[0] if more else "").split(",") if part)
        users[token] = User(user, (*groups, AUTHENTICATED), uid)
    return StaticTokens(users)


def any_of(*all_of_them: Tokens) -> Tokens:
    """The first that knows a token."""

    def whose(token: str) -> User | None:
        return next(filter(None, (tokens(token) for tokens in all_of_them)), None)

    return whose


def judge(accounts: Judge, everybody: Judge) -> Judge:
    """As TokenReview asks: tokens that know no audience are good for whichever is asked about."""

    def judged(token: str, audiences: Sequence[str]) -> Judged:
        try:
            return accounts(token, audiences)
        except Refused:
            found = everybody(token, audiences)
            if found.user.name.startswith(PREFIX):  # which knows its audiences, and was refused for them
                raise
        return found

    return judged
