"""exec, attach and port-forward: which container or pod is meant, and the session for what was agreed.

What can't be is said before the upgrade, in the kubelet's words.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from mini8s.agent.kubelet.view import View
from mini8s.agent.network.netns import inside
from mini8s.agent.runtime.base import EngineDown, Runtime
from mini8s.agent.runtime.records import Container, RunningPod
from mini8s.agent.streams import upgrade
from mini8s.agent.streams.channels import Channels, SpdyChannels, WebSocketChannels, Wishes
from mini8s.agent.streams.command import Command
from mini8s.agent.streams.duct import Duct
from mini8s.agent.streams.forward import Forward
from mini8s.agent.streams.forwarding import (
    ChannelForwarding,
    Forwarding,
    SpdyForwarding,
    TunnelledForwarding,
)
from mini8s.agent.streams.upgrade import Upgrade
from mini8s.objects import meta
from mini8s.objects.errors import ApiError, BadRequest, NotFound, ServiceUnavailable
from mini8s.objects.kinds import Obj

CONNECT_SECONDS = 5.0
_LOOPBACK = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))


@dataclass(frozen=True, slots=True)
class Request:
    """A client's request as the server passed it on; header names in lower case."""

    headers: Mapping[str, str]
    query: Sequence[tuple[str, str]]

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.query if key == name]

    def flag(self, name: str) -> bool:
        return self.all(name)[-1:] in (["true"], ["1"])

    @property
    def wishes(self) -> Wishes:
        """Raises BadRequest."""
        tty = self.flag("tty")
        stdin, stdout, stderr = (self.flag(name) for name in ("stdin", "stdout", "stderr"))
        if not (stdin or stdout or stderr):
            raise BadRequest("you must specify at least 1 of stdin, stdout, stderr")
        return Wishes(stdin, stdout, stderr and not tty, tty)


@dataclass(frozen=True, slots=True)
class Agreed:
    """The head that agrees to an upgrade, and what to run on the socket then."""

    head: bytes
    run: Callable[[Duct], None]


class NoContainer(ApiError):
    """What is asked for doesn't run. kubectl shows the sentence as it is."""


class Sessions:
    """All that can be asked for. Raises ApiError."""

    def __init__(self, runtime: Runtime, pod_of: Callable[[str, str], Obj | None]) -> None:
        self._runtime = runtime
        self._pod_of = pod_of

    def exec(self, namespace: str, name: str, container: str, request: Request) -> Agreed:
        command, wishes = request.all("command"), request.wishes
        if not command:
            raise BadRequest("you must specify at least one command for the container")
        found = self._container(self._view(namespace, name), container)
        start = partial(self._runtime.open_exec, found.id, command, stdin=wishes.stdin, tty=wishes.tty)
        return self._command(
            request, wishes, lambda client, channels: Command(client, channels, start, coded=True)
        )

    def attach(self, namespace: str, name: str, container: str, request: Request) -> Agreed:
        wishes = request.wishes
        found = self._container(self._view(namespace, name), container)
        start = partial(self._runtime.attach, found.id, stdin=wishes.stdin)
        return self._command(
            request, wishes, lambda client, channels: Command(client, channels, start, coded=False)
        )

    def forward(self, namespace: str, name: str, request: Request) -> Agreed:
        view = self._view(namespace, name)
        if view.sandbox is None or not view.sandbox.pid:
            raise NoContainer(f"unable to do port forwarding: pod {name} is not running")
        agreed = Upgrade(request.headers, upgrade.FORWARD)
        ports = [port for said in request.all("ports") for port in said.split(",")]
        if agreed.transport == upgrade.WEBSOCKET and agreed.protocol != upgrade.SPDY_INSIDE and not ports:
            raise BadRequest('query parameter "ports" is required')
        dial = partial(_dial, f"/proc/{view.sandbox.pid}/ns/net")
        whose = f"{name}_{namespace}, uid {meta.uid(view.pod)}"

        def run(client: Duct) -> None:
            Forward(client, _forwarding(agreed, client, ports), dial, whose).run()

        return Agreed(agreed.head, run)

    def _command(self, request: Request, wishes: Wishes, make: Callable[[Duct, Channels], Command]) -> Agreed:
        agreed = Upgrade(request.headers, upgrade.COMMAND)
        channels = WebSocketChannels if agreed.transport == upgrade.WEBSOCKET else SpdyChannels
        return Agreed(agreed.head, lambda client: make(client, channels(client.put, wishes)).run())

    def _view(self, namespace: str, name: str) -> View:
        pod = self._pod_of(namespace, name)
        if pod is None:
            raise NotFound(f'pods "{name}" not found', kind="pods", name=name)
        try:
            return View(pod, self._runtime.pod(meta.uid(pod)) or RunningPod(namespace, name, meta.uid(pod)))
        except EngineDown as error:
            raise ServiceUnavailable(str(error)) from error

    def _container(self, view: View, name: str) -> Container:
        found = view.running.newest(name)
        if found is None or not found.running:
            raise NoContainer(f'container not found ("{name}")')
        return found


def _forwarding(agreed: Upgrade, client: Duct, ports: Sequence[str]) -> Forwarding:
    if agreed.transport == upgrade.SPDY:
        return SpdyForwarding(client.put)
    if agreed.protocol == upgrade.SPDY_INSIDE:
        return TunnelledForwarding(client.put)
    return ChannelForwarding(client.put, ports)


def _dial(namespace: str, port: int) -> socket.socket:
    """To the pod's own loopback, as it may listen nowhere else. Raises OSError."""
    refused = None
    for family, address in _LOOPBACK:
        sock = inside(namespace, partial(socket.socket, family))
        sock.settimeout(CONNECT_SECONDS)
        try:
            sock.connect((address, port))
        except OSError as error:
            sock.close()
            refused = refused or error
        else:
            return sock
    raise refused or OSError
