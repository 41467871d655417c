"""`kubectl logs`: which container is meant, and its output as it was asked for.

Refusals are worded as upstream words them, because scripts wait for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

from mini8s.agent.kubelet.view import View, Wanted
from mini8s.agent.runtime.base import EngineDown, EngineError, LogStream, NoSuchContainer, Runtime
from mini8s.agent.runtime.records import Container, RunningPod
from mini8s.objects import meta
from mini8s.objects.errors import BadRequest, InternalError, NotFound, ServiceUnavailable
from mini8s.objects.kinds import Obj
from mini8s.objects.time import parse_time

_OF_IMAGES = {
    "ErrImagePull": "image can't be pulled",
    "ImagePullBackOff": "trying and failing to pull image",
}


@dataclass(frozen=True, slots=True)
class LogOptions:
    """As the query says it; `since` is Unix time."""

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail: int | None = None
    since: float = 0.0
    limit_bytes: int | None = None
    stream: str = "All"  # or Stdout or Stderr

    @classmethod
    def parse(cls, query: Mapping[str, str], now: datetime) -> LogOptions:
        """Raises BadRequest."""
        try:
            return cls._parse(query, now)
        except ValueError as error:
            raise BadRequest(f"invalid log options: {error}") from error

    @classmethod
    def _parse(cls, query: Mapping[str, str], now: datetime) -> LogOptions:
        since = 0.0
        if query.get("sinceSeconds"):
            since = now.timestamp() - int(query["sinceSeconds"])
        elif query.get("sinceTime"):
            since = parse_time(query["sinceTime"]).timestamp()
        tail, most = query.get("tailLines", ""), query.get("limitBytes", "")
        return cls(
            follow=query.get("follow", "").lower() in {"true", "1"},
            previous=query.get("previous", "").lower() in {"true", "1"},
            timestamps=query.get("timestamps", "").lower() in {"true", "1"},
            tail=int(tail) if tail else None,
            since=since,
            limit_bytes=int(most) if most else None,
            stream=query.get("stream") or "All",
        )


@dataclass(frozen=True, slots=True)
class Logs:
    """`pod_of` finds a pod of this node by namespace and name."""

    runtime: Runtime
    pod_of: Callable[[str, str], Obj | None]

    def open(self, namespace: str, name: str, container: str, options: LogOptions) -> LogStream:
        """Raises ApiError."""
        pod = self.pod_of(namespace, name)
        if pod is None:
            raise NotFound(f'pods "{name}" not found', kind="pods", name=name)
        try:
            running = self.runtime.pod(meta.uid(pod)) or RunningPod(namespace, name, meta.uid(pod))
            chosen = choose(View(pod, running), container, previous=options.previous)
            return self.runtime.logs(
                chosen.id,
                follow=options.follow and chosen.running,
                tail=options.tail,
                since=options.since,
                timestamps=options.timestamps,
                stdout=options.stream != "Stderr",
                stderr=options.stream != "Stdout",
            )
        except EngineDown as error:
            raise ServiceUnavailable(str(error)) from error
        except NoSuchContainer as error:
            raise NotFound(str(error)) from error
        except EngineError as error:
            raise InternalError(str(error)) from error


def choose(view: View, name: str, *, previous: bool) -> Container:
    """The container whose output is meant. Raises ApiError."""
    wanted = _wanted(view, name)
    attempts = [one for one in view.running.containers if one.name == name]
    pod = meta.name(view.pod)
    if previous:
        ended = [one for one in attempts[1:] if one.ended] or [
            one for one in attempts[:1] if one.ended and view.restarts(wanted, one)
        ]
        if not ended:
            raise BadRequest(f'previous terminated container "{name}" in pod "{pod}" not found')
        return ended[0]
    begun = [one for one in attempts[:2] if one.running or one.ended]
    if not begun:
        raise BadRequest(f'container "{name}" in pod "{pod}" is waiting to start: {_waiting(view, name)}')
    return begun[0]


def limited(stream: LogStream, most: int | None) -> Iterator[bytes]:
    """At most so many bytes; the stream is closed at the end."""
    with closing(stream):
        left = most
        for piece in stream:
            if left is None:
                yield piece
                continue
            yield piece[:left]
            left -= min(left, len(piece))
            if not left:
                return


def _wanted(view: View, name: str) -> Wanted:
    found = next((one for one in view.everyone if one.name == name), None)
    if found is None:
        raise BadRequest(f"container {name} is not valid for pod {meta.name(view.pod)}")
    return found


def _waiting(view: View, name: str) -> str:
    status = view.pod.get("status") or {}
    words = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
    statuses = (one for word in words for one in status.get(word) or ())
    said: Obj = next((one for one in statuses if one["name"] == name), {})
    waiting = (said.get("state") or {}).get("waiting") or {}
    reason = str(waiting.get("reason") or "ContainerCreating")
    return _OF_IMAGES.get(reason, reason)
