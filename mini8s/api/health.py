"""/livez, /readyz and /healthz as kubelets, load balancers and people ask for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mini8s.api.answer import Answer
from mini8s.objects.errors import NotFound

Check = Callable[[], str]  # what is wrong, "" for nothing
_TEXT = "text/plain; charset=utf-8"


def report(endpoint: str, checks: Mapping[str, Check], *, verbose: bool, excluded: tuple[str, ...]) -> Answer:
    """All checks; only their names leave the server, as upstream withholds reasons."""
    failed = False
    lines = []
    for name, check in checks.items():
        if name in excluded:
            lines.append(f"[+]{name} excluded: ok")
            continue
        wrong = check()
        failed = failed or bool(wrong)
        lines.append(f"[-]{name} failed: {wrong}" if wrong else f"[+]{name} ok")
    if not failed and not verbose:
        return Answer(b"ok", 200, _TEXT)
    lines.append(f"{endpoint} check {'failed' if failed else 'passed'}")
    return Answer("".join(f"{line}\n" for line in lines).encode(), 500 if failed else 200, _TEXT)


def single(checks: Mapping[str, Check], name: str) -> Answer:
    """`/readyz/NAME`. Raises NotFound."""
    check = checks.get(name)
    if check is None:
        raise NotFound("the server could not find the requested resource")
    wrong = check()
    if wrong:
        return Answer(f"internal server error: {wrong}\n".encode(), 500, _TEXT)
    return Answer(b"ok", 200, _TEXT)
