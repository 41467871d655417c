"""How a host joins: check the server by the token's hash, send a signing request, keep what comes back.

Nothing secret is sent before the server has shown the authority that the token names. A host that has joined
needs no server to start: its certificate and the cluster's figures lie on its own disk.
"""

from __future__ import annotations

import http.client
import json
import logging
import ssl
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from mini8s.app.bootstrap import node_leaf
from mini8s.app.cluster import Cluster
from mini8s.app.layout import AgentFiles, write_private
from mini8s.app.token import Token, parse
from mini8s.wire import pem, tls

log = logging.getLogger(__name__)

TIMEOUT = 10.0  # seconds for one request; a join over a bad radio link still fits


class JoinRefused(Exception):
    """The server, or our own check of it, says no: trying again unchanged is pointless."""


class ServerAway(Exception):
    """The server can't be reached now: try again."""


@dataclass(frozen=True, slots=True)
class Server:
    host: str
    port: int


def parse_server(url: str) -> Server:
    """Raises JoinRefused for anything but https://HOST[:PORT]."""
    parts = urlsplit(url)
    try:
        port = parts.port or 6443
    except ValueError:
        port = 0
    if parts.scheme != "https" or not parts.hostname or not port or parts.path.strip("/"):
        raise JoinRefused(f"--server {url!r} is not of the form https://HOST:PORT")
    return Server(parts.hostname, port)


def joined(files: AgentFiles, now: datetime) -> bool:
    """Whether this host has all it needs to start alone."""
    present = all(path.exists() for path in (files.ca, files.certificate, files.key, files.cluster))
    return present and tls.expires(files.certificate.read_bytes()) > now


def due(files: AgentFiles, now: datetime) -> bool:
    """Whether to join: for the first time, or again because the certificate nears its end."""
    return not joined(files, now) or tls.life(files.certificate.read_bytes()).renews <= now


def seconds_left(files: AgentFiles, now: datetime) -> float:
    """Until the next renewal is due."""
    return (tls.life(files.certificate.read_bytes()).renews - now).total_seconds()


def renew(files: AgentFiles, server_url: str, node_name: str) -> None:
    """Get the next certificate for the one that there is. Raises JoinRefused, ServerAway."""
    server, ca, key = parse_server(server_url), files.ca.read_bytes(), files.key.read_bytes()
    request = tls.new_request(node_leaf(node_name), key)
    context = _trusting(ca)
    context.load_cert_chain(files.certificate, files.key)
    answer = _ask_certificate(server, context, node_name, request.certificate)
    _keep(files, answer)
    log.info("renewed the certificate of %s", node_name)


def join(files: AgentFiles, server_url: str, token_text: str, node_name: str) -> None:
    """Get this host's certificate and write it down. Raises JoinRefused, ServerAway, BadToken."""
    server, token = parse_server(server_url), parse(token_text)
    ca = believed(_fetch_ca(server), token, server_url)
    request = tls.new_request(node_leaf(node_name), files.key.read_bytes() if files.key.exists() else b"")
    write_private(files.key, request.key)  # before it is known to the server, which takes no other afterwards
    answer = _ask_certificate(server, _trusting(ca), node_name, request.certificate, token)
    _keep(files, answer)
    log.info("joined %s as %s", server_url, node_name)


def _keep(files: AgentFiles, answer: dict[str, Any]) -> None:
    write_private(files.ca, str(answer["ca"]).encode(), 0o644)
    write_private(files.cluster, json.dumps(Cluster.from_json(answer).to_json()).encode())
    write_private(files.certificate, str(answer["certificate"]).encode(), 0o644)


def _trusting(ca: bytes) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=ca.decode())


def _fetch_ca(server: Server) -> bytes:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    status, body = _request(server, context, "GET", "/cacerts")
    if status != http.client.OK:
        raise JoinRefused(f"{server.host}:{server.port} is not a mini8s server: /cacerts answered {status}")
    return body


def believed(bundle: bytes, token: Token, server_url: str) -> bytes:
    """Of what a server says that its authorities are, the one that the token names: by that one alone the
    server is checked next. (With one that stands beside it, anybody could pass himself off.) Raises
    JoinRefused."""
    if not token.ca:
        log.warning("the token carries no CA hash: trusting the server at %s unseen", server_url)
        return bundle
    for known in (bundle, *pem.certificates(bundle)):
        if pem.fingerprint(known) == token.ca:
            return known
    raise JoinRefused(
        f"{server_url} is not the server you think it is: its CA is not the one that the token names "
        "(nothing secret was sent to it)"
    )


def _ask_certificate(
    server: Server, context: ssl.SSLContext, node_name: str, request: bytes, token: Token | None = None
) -> dict[str, Any]:
    body = json.dumps({"node": node_name, "csr": request.decode()}).encode()
    headers = {"Content-Type": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    status, answer = _request(server, context, "POST", "/v1-mini8s/node-certificate", body, headers)
    try:
        said = json.loads(answer)
    except ValueError:
        said = {}
    if status == http.client.UNAUTHORIZED:
        raise JoinRefused(said.get("message", "the server does not accept this token"))
    if status >= 500:
        raise ServerAway(said.get("message", f"the server answered {status}"))
    if status != http.client.OK:
        raise JoinRefused(said.get("message", f"the server answered {status}"))
    return dict(said)


def _request(
    server: Server,
    context: ssl.SSLContext,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, bytes]:
    connection = http.client.HTTPSConnection(server.host, server.port, timeout=TIMEOUT, context=context)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except ssl.SSLCertVerificationError as error:
        raise JoinRefused(
            f"the server's certificate is not good for {server.host}: {error.verify_message}"
        ) from error
    except (OSError, http.client.HTTPException) as error:
        raise ServerAway(f"{server.host}:{server.port} can't be reached: {error}") from error
    finally:
        connection.close()
