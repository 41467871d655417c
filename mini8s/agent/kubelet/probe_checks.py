"""Asking a container how it is: HTTP, TCP, or a command inside it. The words are upstream's."""

from __future__ import annotations

import http.client
import socket
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from mini8s.agent.kubelet.probes import Check, Exec, HttpGet, TcpSocket, Unknown
from mini8s.agent.runtime.base import EngineDown, EngineError, Runtime

MOST_BODY = 10 * 1024
AGENT = "kube-probe/1.33"


@dataclass(frozen=True, slots=True)
class Answer:
    ok: bool
    message: str = ""


def ask(check: Check, timeout_seconds: float, runtime: Runtime) -> Answer | None:
    """None: nothing can be concluded, because the engine doesn't answer."""
    match check:
        case HttpGet():
            return _http(check, timeout_seconds)
        case TcpSocket():
            return _tcp(check, timeout_seconds)
        case Exec():
            return _exec(check, timeout_seconds, runtime)
        case Unknown(reason):
            return Answer(False, reason)


def _http(check: HttpGet, timeout_seconds: float) -> Answer:
    try:
        code = _get(check, timeout_seconds)
    except TimeoutError:
        return Answer(False, f'Get "{check.url}": context deadline exceeded')
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Answer(False, f'Get "{check.url}": {_words(check.url, error)}')
    if 200 <= code < 400:
        return Answer(True)
    return Answer(False, f"HTTP probe failed with statuscode: {code}")


def _get(check: HttpGet, timeout_seconds: float) -> int:
    url = urlsplit(check.url)
    host, port = url.hostname or "", url.port or 0
    connection: http.client.HTTPConnection
    if url.scheme == "https":
        # a probe asks whether it answers, not who it is: the kubelet doesn't verify either
        context = ssl._create_unverified_context()  # noqa: S323, SLF001
        connection = http.client.HTTPSConnection(host, port, timeout=timeout_seconds, context=context)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=timeout_seconds)
    given = {name.lower(): value for name, value in check.headers}
    headers = {"user-agent": AGENT, "accept": "*/*", "connection": "close", **given}
    try:
        connection.request("GET", url.path + (f"?{url.query}" if url.query else ""), headers=headers)
        answer = connection.getresponse()
        answer.read(MOST_BODY)
        return answer.status
    finally:
        connection.close()


def _tcp(check: TcpSocket, timeout_seconds: float) -> Answer:
    try:
        socket.create_connection((check.host, check.port), timeout=timeout_seconds).close()
    except TimeoutError:
        return Answer(False, f"dial tcp {check.host}:{check.port}: i/o timeout")
    except OSError as error:
        return Answer(False, _words(f"//{check.host}:{check.port}", error))
    return Answer(True)


def _words(url: str, error: Exception) -> str:
    """As Go says it, for what people look for most."""
    where = urlsplit(url).netloc
    if isinstance(error, ConnectionRefusedError):
        return f"dial tcp {where}: connect: connection refused"
    if isinstance(error, OSError) and error.strerror:
        return f"dial tcp {where}: {error.strerror.lower()}"
    return str(error) or type(error).__name__


def _exec(check: Exec, timeout_seconds: float, runtime: Runtime) -> Answer | None:
    try:
        result = runtime.exec(check.container_id, check.command, timeout_seconds)
    except TimeoutError:
        command = " ".join(check.command)
        return Answer(False, f'command timed out: "{command}" timed out after {timeout_seconds:g}s')
    except EngineDown:
        return None
    except EngineError as error:
        return Answer(False, str(error))
    return Answer(result.exit_code == 0, result.output.decode(errors="replace"))
