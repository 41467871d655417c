"""pods/exec, attach and portforward: the client's upgrade is handed to the pod's node as it is, and whatever
is agreed on there is passed on. The protocols are the agent's business."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from mini8s.api.answer import Answer
from mini8s.api.connection import Connection, Socket
from mini8s.api.logs import choose_container
from mini8s.api.splice import splice
from mini8s.api.target import Target
from mini8s.api.tunnel import Tunnels
from mini8s.objects.errors import BadRequest, ServiceUnavailable
from mini8s.objects.kinds import PODS, Obj
from mini8s.registry.base import Registry
from mini8s.wire.codec import decode_json

_PATHS = {"exec": "exec", "attach": "attach", "portforward": "portForward"}
_PASSED = frozenset({"command", "stdin", "stdout", "stderr", "tty", "ports"})
_HEADERS = ("HTTP_UPGRADE", "HTTP_X_STREAM_PROTOCOL_VERSION")  # and all that begin with:
_WEBSOCKET = "HTTP_SEC_WEBSOCKET_"
_PIECE = 65536  # bytes


class Streams:
    def __init__(self, registry: Registry, tunnels: Tunnels) -> None:
        self._registry = registry
        self._tunnels = tunnels

    def connect(self, environ: Mapping[str, Any], target: Target) -> Answer:
        """What the node answers is the answer, be it agreement or refusal. Raises ApiError."""
        if "upgrade" not in environ.get("HTTP_CONNECTION", "").lower():
            raise BadRequest("Upgrade request required")
        said = parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)
        pod: Obj = decode_json(self._registry.get(PODS, target.namespace, target.name))
        path = _path(pod, target, said)
        node = pod["spec"].get("nodeName", "")
        if not node:
            raise BadRequest(f"pod {target.name} does not have a host assigned")
        with ExitStack() as stack:
            sock = stack.enter_context(self._tunnels.open(node))
            return agreed(stack, sock, _head(environ, path, node), node)


def agreed(stack: ExitStack, sock: Socket, head: bytes, node: str) -> Answer:
    """Ask for an upgrade, and hand on whatever comes of it. `stack` holds `sock`. Raises
    ServiceUnavailable."""
    begun = _ask(sock, head, node)
    held = stack.pop_all()

    def hand_over(connection: Connection) -> None:
        with held:
            client = connection.take_socket()
            client.sendall(begun)
            splice(client, sock)

    return Answer(status=_status(begun), take_over=hand_over)


def _path(pod: Obj, target: Target, said: list[tuple[str, str]]) -> str:
    parts = [_PATHS[target.subresource], target.namespace, target.name]
    if target.subresource != "portforward":
        parts.append(choose_container(pod, dict(said).get("container", "")))
    passed = urlencode([(name, value) for name, value in said if name in _PASSED])
    return f"/{'/'.join(quote(part, safe='') for part in parts)}?{passed}"


def _head(environ: Mapping[str, Any], path: str, node: str) -> bytes:
    lines = [f"{environ['REQUEST_METHOD']} {path} HTTP/1.1", f"Host: {node}", "Connection: Upgrade"]
    lines += _passed_headers(environ)
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _passed_headers(environ: Mapping[str, Any]) -> Iterator[str]:
    for name, value in environ.items():
        if name in _HEADERS or name.startswith(_WEBSOCKET):
            yield f"{name.removeprefix('HTTP_').replace('_', '-').title()}: {value}"


def _ask(sock: Socket, head: bytes, node: str) -> bytes:
    """The beginning of the node's answer. Raises ServiceUnavailable."""
    try:
        sock.sendall(head)
        begun = sock.recv(_PIECE)
    except OSError as error:
        raise ServiceUnavailable(f'node "{node}" did not answer: {error}') from error
    if not begun:
        raise ServiceUnavailable(f'node "{node}" did not answer: it hung up')
    return begun


def _status(begun: bytes) -> int:
    word = begun[9:12]
    return int(word) if word.isdigit() else 502
