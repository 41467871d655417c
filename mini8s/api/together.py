"""`POST /v1-mini8s/together`: many writes in one request, each as if it had come alone.

Controllers make hundreds of pods at a time, and the scheduler binds them. Of what a small write costs, a head
that is read, an answer that is sent, and the same once more on the other side, are more than half; and who
waits together shares a commit. Each is authorised, admitted, counted and answered by itself; one that is
refused hinders no other, and they take effect in any order.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

import gevent

from mini8s.api.answer import Answer
from mini8s.api.audit.trail import KEY
from mini8s.api.body import Body
from mini8s.api.representation import JSON
from mini8s.api.target import Target, parse
from mini8s.objects.errors import BadRequest
from mini8s.objects.kinds import CONNECTS, PROXY
from mini8s.wire import together
from mini8s.wire.codec import encode_json
from mini8s.wire.together import MOST, PATH, Ask, Said

__all__ = ["PATH", "answer"]

Perform = Callable[[dict[str, Any], Target | None], Answer]  # answers every request, raises nothing
_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


def answer(environ: Mapping[str, Any], perform: Perform) -> Answer:
    """Raises BadRequest, TooLarge."""
    asks = together.decode_asks(Body(environ).raw())
    if len(asks) > MOST:
        raise BadRequest(f"{len(asks)} requests in one, {MOST} are the most")
    parts = [_part(environ, ask) for ask in asks]
    waiting = [gevent.spawn(perform, part, parse(part["PATH_INFO"])) for part in parts]
    gevent.joinall(waiting, raise_error=True)
    return Answer(together.encode([_said(one.value) for one in waiting]))


def _part(environ: Mapping[str, Any], ask: Ask) -> dict[str, Any]:
    """The request that it would have been by itself. Raises BadRequest for what is no write of a resource."""
    path, _, query = ask.target.partition("?")
    path, body = unquote(path, "latin-1"), bytes(ask.body)
    target = parse(path)
    connects = target is not None and target.subresource in {*CONNECTS, PROXY, "log"}
    if target is None or connects or ask.method not in _WRITES:
        raise BadRequest(f'"{ask.method} {ask.target}" is no write of a resource')
    return {
        **environ,
        "REQUEST_METHOD": ask.method,
        "RAW_URI": ask.target,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "HTTP_ACCEPT": JSON,
        "CONTENT_TYPE": ask.type,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        KEY: None,
    }


def _said(answer: Answer) -> Said:
    body = answer.body if answer.content_type == JSON else encode_json(answer.body.decode())
    headers: dict[str, str] = {}
    for name, value in answer.headers:  # which may say one several times, as Warning
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return together.said(answer.status, body, headers)
