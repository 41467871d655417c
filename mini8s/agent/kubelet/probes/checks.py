"""Asking a container how it is: HTTP, TCP, gRPC, or a command inside it. The words are upstream's
(`pkg/probe`, `prober.go`)."""

from __future__ import annotations

import http.client
import socket
import time
from dataclasses import dataclass
from enum import Enum
from urllib.parse import urljoin, urlsplit

from mini8s.agent.kubelet.probes import http_get
from mini8s.agent.kubelet.probes.handlers import Exec, Grpc, HttpGet, TcpSocket, Unknown
from mini8s.agent.kubelet.probes.verdicts import Check
from mini8s.agent.runtime.base import EngineDown, EngineError, Runtime

AGENT = "kube-probe/1.33"


class Outcome(Enum):
    SUCCESS = "success"
    WARNING = "warning"  # it counts as success, and an event tells
    FAILURE = "failure"
    UNKNOWN = "unknown"  # the question could not be asked: it doesn't count, and an event tells


@dataclass(frozen=True, slots=True)
class Answer:
    outcome: Outcome
    message: str = ""

    @property
    def ok(self) -> bool:
        return self.outcome in {Outcome.SUCCESS, Outcome.WARNING}


WELL = Answer(Outcome.SUCCESS)


def ask(check: Check, timeout_seconds: float, runtime: Runtime) -> Answer | None:
    """None: nothing can be concluded, because the engine doesn't answer."""
    match check:
        case HttpGet():
            return _http(check, timeout_seconds)
        case TcpSocket():
            return _tcp(check, timeout_seconds)
        case Grpc():
            return _grpc(check, timeout_seconds)
        case Exec():
            return _exec(check, timeout_seconds, runtime)
        case Unknown(reason):
            return Answer(Outcome.UNKNOWN, reason)


def _ill(message: str) -> Answer:
    return Answer(Outcome.FAILURE, message)


def _http(check: HttpGet, timeout_seconds: float) -> Answer:
    """Redirects are followed on the same host, and are a warning when they lead to another."""
    url, end = check.url, time.monotonic() + timeout_seconds
    try:
        for _ in range(http_get.MOST_REDIRECTS):
            answer = http_get.get(url, check.headers, max(0.001, end - time.monotonic()), AGENT)
            further = urljoin(url, answer.location)
            if not answer.location or urlsplit(further).hostname != urlsplit(url).hostname:
                return _judged(answer)
            url = further
    except TimeoutError:
        return _ill(f'Get "{url}": context deadline exceeded')
    except (OSError, http.client.HTTPException, ValueError) as error:
        return _ill(f'Get "{url}": {http_get.words(url, error)}')
    return _ill(f'Get "{url}": stopped after {http_get.MOST_REDIRECTS} redirects')


def _judged(answer: http_get.Response) -> Answer:
    if 200 <= answer.code < 300:
        return WELL
    if 300 <= answer.code < 400:
        body = answer.body.decode(errors="replace")
        return Answer(Outcome.WARNING, f"Probe terminated redirects, Response body: {body}")
    return _ill(f"HTTP probe failed with statuscode: {answer.code}")


def _tcp(check: TcpSocket, timeout_seconds: float) -> Answer:
    try:
        socket.create_connection((check.host, check.port), timeout=timeout_seconds).close()
    except TimeoutError:
        return _ill(f"dial tcp {check.host}:{check.port}: i/o timeout")
    except OSError as error:
        return _ill(http_get.words(f"//{check.host}:{check.port}", error))
    return WELL


def _grpc(check: Grpc, timeout_seconds: float) -> Answer:
    from mini8s.agent.kubelet.probes import grpc_health

    failed = grpc_health.check(check.host, check.port, check.service, timeout_seconds)
    return _ill(failed) if failed else WELL


def _exec(check: Exec, timeout_seconds: float, runtime: Runtime) -> Answer | None:
    try:
        result = runtime.exec(check.container_id, check.command, timeout_seconds)
    except TimeoutError:
        command = " ".join(check.command)
        return _ill(f'command timed out: "{command}" timed out after {timeout_seconds:g}s')
    except EngineDown:
        return None
    except EngineError as error:
        return Answer(Outcome.UNKNOWN, str(error))
    return _ill(result.output.decode(errors="replace")) if result.exit_code else WELL
