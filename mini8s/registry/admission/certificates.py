"""A certificate signing request says who asks: the user that the API knows, not the one it names."""

from __future__ import annotations

from mini8s.objects.kinds import SIGNINGREQUESTS
from mini8s.registry.admission.attempt import Attempt

_CLAIMED = ("username", "groups", "uid", "extra")


def certificate_requester(attempt: Attempt) -> None:
    if not attempt.creates(SIGNINGREQUESTS):
        return
    spec = attempt.spec
    for part in _CLAIMED:
        spec.pop(part, None)
    spec["username"] = attempt.ctx.user.name
    if attempt.ctx.user.groups:
        spec["groups"] = list(attempt.ctx.user.groups)
    if attempt.ctx.user.uid:
        spec["uid"] = attempt.ctx.user.uid
    if attempt.ctx.user.extra:
        spec["extra"] = {key: list(values) for key, values in attempt.ctx.user.extra}
