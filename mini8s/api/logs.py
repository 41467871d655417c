"""pods/log: asked of the pod's node through its tunnel, and handed on as it comes."""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any, cast
from urllib.parse import parse_qsl, quote, urlencode

from mini8s.api.answer import Answer, Pieces, begun, connection_of
from mini8s.api.connection import Socket
from mini8s.api.target import Target
from mini8s.api.tunnel import Tunnels
from mini8s.objects.errors import (
    ApiError,
    BadRequest,
    Cause,
    InternalError,
    Invalid,
    NotFound,
    ServiceUnavailable,
    from_status,
)
from mini8s.objects.kinds import PODS, Obj
from mini8s.registry.base import Registry
from mini8s.wire.codec import decode_json

_TEXT = "text/plain"
_PIECE = 65536  # bytes read from the node at a time
_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
_NOT_NEGATIVE, _POSITIVE = (0, "must be greater than or equal to 0"), (1, "must be greater than 0")
_LEAST = {"tailLines": _NOT_NEGATIVE, "limitBytes": _POSITIVE, "sinceSeconds": _POSITIVE}
_STREAMS = ("All", "Stderr", "Stdout")  # KEP-3288
_NUMBER = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_FLAGS = ("follow", "previous", "timestamps")


class Logs:
    def __init__(self, registry: Registry, tunnels: Tunnels) -> None:
        self._registry = registry
        self._tunnels = tunnels

    def read(self, environ: Mapping[str, Any], target: Target) -> Answer:
        said = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
        pod: Obj = decode_json(self._registry.get(PODS, target.namespace, target.name))
        container = choose_container(pod, said.get("container", ""))
        query = options(said, target.name)
        node = pod["spec"].get("nodeName", "")
        if not node:
            return Answer(
                status=204, content_type=""
            )  # upstream's: nothing can have been said yet, and nobody waits for it
        names = (quote(part, safe="") for part in (target.namespace, target.name, container))
        path = f"/containerLogs/{'/'.join(names)}?{urlencode(query)}"
        with ExitStack() as stack:
            sock = stack.enter_context(self._tunnels.open(node))
            response = stack.enter_context(ask(sock, path, node))
            if response.status != http.client.OK:
                raise refusal(response)
            stack.callback(connection_of(environ).when_gone(_hang_up(sock)))
            pieces = begun(_pieces(response, stack.pop_all()))
        return Answer(content_type=_TEXT, headers=[("Connection", "close")], pieces=pieces)


def options(said: Mapping[str, str], name: str) -> dict[str, str]:
    """The query for the node, checked. Raises Invalid."""
    causes = []
    query = {key: "true" for key in _FLAGS if said.get(key, "false").lower() not in {"false", "0"}}
    for key, (least, rule) in _LEAST.items():
        text = said.get(key, "")
        if not text:
            continue
        if not _NUMBER.fullmatch(text):
            raise BadRequest(f'{key}: strconv.ParseInt: parsing "{text}": invalid syntax')
        if int(text) < least:
            causes.append(Cause(key, f"Invalid value: {text}: {rule}"))
        query[key] = text
    if said.get("sinceTime"):
        query["sinceTime"] = said["sinceTime"]
        if "sinceSeconds" in query:
            causes.append(
                Cause(
                    "",
                    "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified",
                    "FieldValueForbidden",
                )
            )
    causes += _stream_causes(said)
    if said.get("stream"):
        query["stream"] = said["stream"]
    if causes:
        listed = ", ".join(f"{cause.field}: {cause.message}" for cause in causes)
        raise Invalid(
            f'PodLogOptions "{name}" is invalid: {listed}', causes=causes, kind="PodLogOptions", name=name
        )
    return query


def _stream_causes(said: Mapping[str, str]) -> list[Cause]:
    """The rules of KEP-3288: the last lines of one stream can't be told from a log that mixes both."""
    wanted, causes = said.get("stream") or "All", []
    if wanted not in _STREAMS:
        listed = ", ".join(f'"{one}"' for one in _STREAMS)
        message = f'Unsupported value: "{wanted}": supported values: {listed}'
        causes.append(Cause("stream", message, "FieldValueNotSupported"))
    if wanted != "All" and said.get("tailLines"):
        message = "Forbidden: `tailLines` and specific `stream` are mutually exclusive for now"
        causes.append(Cause("", message, "FieldValueForbidden"))
    return causes


def choose_container(pod: Obj, wanted: str) -> str:
    """The container meant; with one only, or an annotation, none need be named. Raises BadRequest."""
    spec, name = pod["spec"], pod["metadata"]["name"]
    containers = [item["name"] for item in spec.get("containers") or ()]
    starters = [item["name"] for item in spec.get("initContainers") or ()]
    debuggers = [item["name"] for item in spec.get("ephemeralContainers") or ()]
    if wanted:
        if wanted not in (*containers, *starters, *debuggers):
            raise BadRequest(f"container {wanted} is not valid for pod {name}")
        return wanted
    default = (pod["metadata"].get("annotations") or {}).get(_DEFAULT_CONTAINER, "")
    if default in containers:
        return str(default)
    if len(containers) == 1:
        return str(containers[0])
    said = f"a container name must be specified for pod {name}, choose one of: [{' '.join(containers)}]"
    if starters:
        said += f" or one of the init containers: [{' '.join(starters)}]"
    raise BadRequest(said)


def ask(sock: Socket, path: str, node: str) -> http.client.HTTPResponse:
    """One request to a node's agent. Raises ServiceUnavailable when it hangs up instead of answering."""
    try:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: {node}\r\nConnection: close\r\n\r\n".encode())
        response = http.client.HTTPResponse(cast("socket.socket", sock), method="GET")
        response.begin()
    except (OSError, http.client.HTTPException) as error:
        raise ServiceUnavailable(f'node "{node}" did not answer: {error or type(error).__name__}') from error
    return response


def refusal(response: http.client.HTTPResponse) -> ApiError:
    """The error that a node's answer stands for: a Status, or a kubelet's plain sentence."""
    body = response.read(_PIECE)
    if body.startswith(b"{"):
        return from_status(decode_json(body), response.status)
    message = body.decode(errors="replace").strip() or response.reason
    kinds: dict[int, type[ApiError]] = {400: BadRequest, 404: NotFound}
    return kinds.get(response.status, InternalError)(message)


def _pieces(response: http.client.HTTPResponse, held: ExitStack) -> Pieces:
    """What comes, when it comes; the tunnel is let go with the last of it, or with the client."""
    with held, contextlib.suppress(OSError, http.client.HTTPException):
        yield b""
        while piece := response.read1(_PIECE):
            yield piece


def _hang_up(sock: Socket) -> Callable[[], None]:
    def end() -> None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    return end
