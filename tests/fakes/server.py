"""A tiny HTTP front for `FakeApi`, on loopback or a unix socket: what `client.rest` is tested against when
there is no need for a real server. It breaks connections when told to."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from mini8s.objects import errors, kinds
from mini8s.objects.kinds import Kind, Obj
from tests.fakes.api import FakeApi


@dataclass
class Seen:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]


@dataclass
class Script:
    """How the server misbehaves, and what it saw."""

    page: int = 0  # answer lists in pages of this many
    forget_pages: int = 0  # refuse this many continue tokens with 410
    drop_idle: bool = False  # end the connection after each answer without saying so
    cut_mid_event: bool = False  # a watch breaks in the middle of its next event
    raw: bytes = b""  # answer everything with 502 and this body
    warning: str = ""
    seen: list[Seen] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    api: FakeApi
    script: Script

    def log_message(self, *args: Any) -> None:
        pass

    def address_string(self) -> str:
        return "unix"

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def do(self) -> None:
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query))
        self.script.seen.append(Seen(self.command, url.path, query, dict(self.headers)))
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        if self.script.raw:
            self.answer(502, self.script.raw)
            return
        try:
            self.serve(url.path, query, body)
        except errors.ApiError as error:
            self.answer(error.code, json.dumps(error.status()).encode())

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do  # noqa: N815

    def serve(self, path: str, query: dict[str, str], body: Any) -> None:
        if not path.startswith(("/api/", "/apis/")):
            raise errors.NotFound("the server could not find the requested resource")
        kind, namespace, name, subresource = parse(path)
        if query.get("watch") == "true":
            self.watch(kind, namespace, query)
            return
        if self.command == "GET" and not name:
            self.answer(200, json.dumps(self.listing(kind, namespace, query)).encode())
            return
        done = self.one(kind, namespace, name, subresource, body)
        self.answer(201 if self.command == "POST" else 200, json.dumps(done).encode())

    def one(self, kind: Kind, namespace: str, name: str, subresource: str, body: Any) -> Obj:
        match self.command, subresource:
            case "GET", _:
                return self.api.get(kind, namespace, name)
            case "POST", "token":
                return self.api.request_token(namespace, name, body)
            case "POST", "binding":
                self.api.bind(namespace, name, body["target"]["name"])
                return {"kind": "Status", "status": "Success"}
            case "POST", _:
                return self.api.create(kind, body)
            case "PUT", _:
                return self.api.update(kind, body, subresource=subresource)
            case "PATCH", _:
                return self.api.patch(kind, namespace, name, body, subresource=subresource)
        conditions = body.get("preconditions", {})
        return self.api.delete(
            kind,
            namespace,
            name,
            uid=conditions.get("uid", ""),
            resource_version=conditions.get("resourceVersion", ""),
            grace_seconds=body.get("gracePeriodSeconds"),
            propagation=body["propagationPolicy"],
        )

    def listing(self, kind: Kind, namespace: str, query: dict[str, str]) -> Obj:
        listed = self.api.list(
            kind, namespace, labels=query.get("labelSelector", ""), fields=query.get("fieldSelector", "")
        )
        start = int(query.get("continue", "0"))
        if start and self.script.forget_pages:
            self.script.forget_pages -= 1
            raise errors.Expired("the provided continue parameter is too old")
        limit = self.script.page if "limit" in query and self.script.page else len(listed.items)
        items = [{key: obj[key] for key in obj if key not in {"kind", "apiVersion"}} for obj in listed.items]
        metadata = {"resourceVersion": listed.resource_version}
        if start + limit < len(items):
            metadata["continue"] = str(start + limit)
        return {"kind": f"{kind.kind}List", "metadata": metadata, "items": items[start : start + limit]}

    def watch(self, kind: Kind, namespace: str, query: dict[str, str]) -> None:
        watch = self.api.watch(
            kind,
            namespace,
            resource_version=query.get("resourceVersion", ""),
            labels=query.get("labelSelector", ""),
            fields=query.get("fieldSelector", ""),
        )
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for change, obj in watch:
                line = json.dumps({"type": change, "object": obj}).encode() + b"\n"
                half = len(line) // 2  # an event may come in two chunks
                self.chunk(line[:half])
                if self.script.cut_mid_event:
                    self.script.cut_mid_event = False
                    self.close_connection = True
                    return
                self.chunk(line[half:])
        except errors.Expired as error:
            self.chunk(json.dumps({"type": "ERROR", "object": error.status()}).encode() + b"\n")
        except errors.ServiceUnavailable:
            self.close_connection = True
            return
        self.wfile.write(b"0\r\n\r\n")

    def chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def answer(self, code: int, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        if self.script.warning:
            self.send_header("Warning", self.script.warning)
        self.end_headers()
        self.wfile.write(body)
        if self.script.drop_idle:
            self.close_connection = True


def parse(path: str) -> tuple[Kind, str, str, str]:
    parts = path.strip("/").split("/")
    group, version, rest = ("", parts[1], parts[2:]) if parts[0] == "api" else (parts[1], parts[2], parts[3:])
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in {"status", "finalize"}:
        namespace, rest = rest[1], rest[2:]
    kind = kinds.by_path(group, version, rest[0])
    assert kind is not None, path
    rest += ["", ""]
    return kind, namespace, rest[1], rest[2]


class _Tcp(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True


class _Unix(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False


@contextmanager
def serving(api: FakeApi, script: Script | None = None, *, unix_socket: str = "") -> Iterator[str]:
    """Serve until the block ends; the URL, or the socket's path."""
    handler = type("Bound", (Handler,), {"api": api, "script": script or Script()})
    server = _Unix(unix_socket, handler) if unix_socket else _Tcp(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield unix_socket or f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
