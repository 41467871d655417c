"""/livez, /readyz and /healthz as kubelets, load balancers and people ask for them, in upstream's words
(`k8s.io/apiserver/pkg/server/healthz`)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from mini8s.api.answer import Answer
from mini8s.objects.errors import NotFound
from mini8s.util.log import OnChange

Check = Callable[[], str]  # what is wrong, "" for nothing
_TEXT = "text/plain; charset=utf-8"
_HEADERS = [("X-Content-Type-Options", "nosniff")]
_said = OnChange(logging.getLogger(__name__))


def report(endpoint: str, checks: Mapping[str, Check], *, verbose: bool, excluded: tuple[str, ...]) -> Answer:
    """All checks. Why one failed is for the log and for who asks for that check alone."""
    lines, wrong = [], {}
    for name, check in checks.items():
        if name in excluded:
            lines.append(f"[+]{name} excluded: ok")
        elif why := check():
            wrong[name] = why
            lines.append(f"[-]{name} failed: reason withheld")
        else:
            lines.append(f"[+]{name} ok")
    if unknown := sorted(set(excluded) - set(checks)):
        listed = ",".join(f'"{name}"' for name in unknown)
        lines.append(f"warn: some health checks cannot be excluded: no matches for {listed}")
    _said.say("; ".join(f"{name}: {why}" for name, why in wrong.items()) or "all checks pass")
    if not wrong and not verbose:
        return Answer(b"ok", 200, _TEXT, list(_HEADERS))
    lines.append(f"{endpoint} check {'failed' if wrong else 'passed'}")
    body = "".join(f"{line}\n" for line in lines).encode()
    return Answer(body, 500 if wrong else 200, _TEXT, list(_HEADERS))


def single(checks: Mapping[str, Check], name: str) -> Answer:
    """`/readyz/NAME`. Raises NotFound."""
    check = checks.get(name)
    if check is None:
        raise NotFound("the server could not find the requested resource")
    wrong = check()
    if wrong:
        return Answer(f"internal server error: {wrong}\n".encode(), 500, _TEXT, list(_HEADERS))
    return Answer(b"ok", 200, _TEXT, list(_HEADERS))
