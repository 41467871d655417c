"""The container engine over Docker's API, through the SDK's low-level client.

Whatever the engine can say is asked of it anew; nothing is remembered here but open streams. The version of
the API is negotiated at the first call, so a Docker that comes up after the agent is no error.
"""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from docker.api.client import APIClient
from docker.utils import parse_repository_tag

from mini8s.agent.runtime.base import (
    CreateFailed,
    EngineError,
    ImageNotPresent,
    ImagePullFailed,
    LogStream,
    NoSuchContainer,
    Progress,
    StartFailed,
)
from mini8s.agent.runtime.docker import bodies, certs, execs, facts, names, sandbox_image
from mini8s.agent.runtime.docker.attached import AttachedProcess
from mini8s.agent.runtime.docker.errors import NameTaken, pull_failed, translated
from mini8s.agent.runtime.docker.layers import Layers
from mini8s.agent.runtime.docker.logs.entries import Choice
from mini8s.agent.runtime.docker.logs.stream import FileLog
from mini8s.agent.runtime.docker.streams import Stream, in_pieces, once_a_line
from mini8s.agent.runtime.records import EngineInfo, ExecResult, Image, RunningPod, Sandbox, Trace
from mini8s.agent.runtime.specs import ContainerSpec, RegistryAuth, Resources, SandboxSpec

CALL_SECONDS = 120.0  # the kubelet's --runtime-request-timeout: an SD card may take long over a create
LIST_SECONDS = 20.0  # a list needs no disk and no container's lock: an engine that owes one so long hangs
POOL = 16  # connections kept: workers, probes, log readers
OURS = {"label": names.UID}
# What the engine does by itself; creations and starts are the agent's own, which looks when it has made them.
TELLING = ["die", "destroy", "oom"]

Opened = TypeVar("Opened", Stream[Any], FileLog)


class DockerEngine:
    """Fulfils Runtime."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._lock = threading.Lock()  # guards the client's creation and the open streams
        self._importing = threading.Lock()  # pods that start together need one sandbox image, not one each
        self._made: tuple[Any, Any] | None = None
        self._streams: set[Stream[Any] | FileLog] = set()
        self._closed = False

    def info(self) -> EngineInfo:
        with translated():
            return facts.info(self._client.info())

    def pods(self) -> Mapping[str, Trace]:
        with translated():
            return facts.traces(self._lister.containers(all=True, filters=OURS))

    def pod(self, uid: str) -> RunningPod | None:
        label = {"label": f"{names.UID}={uid}"}
        with translated():
            ids = [one["Id"] for one in self._lister.containers(all=True, filters=label)]
        return facts.pod(uid, [said for said in map(self._inspect, ids) if said is not None])

    def changes(self) -> Iterator[str]:
        filters = {**OURS, "type": "container", "event": TELLING}
        with translated():
            stream = self._client.events(decode=True, filters=filters)
        for event in self._open(stream):
            yield event["Actor"]["Attributes"][names.UID]

    def create_sandbox(self, spec: SandboxSpec) -> str:
        image = sandbox_image.name(platform.machine())
        body, name = bodies.sandbox(spec, image), names.name_of_sandbox(spec)
        try:
            return self._create(body, name)
        except ImageNotPresent:  # the first one here, or somebody cleaned up
            self._import_sandbox_image(image)
            return self._create(body, name)

    def start_sandbox(self, sandbox_id: str) -> Sandbox:
        with translated(CreateFailed):
            self._client.start(sandbox_id)
            return facts.sandbox(self._client.inspect_container(sandbox_id))

    def remove_sandbox(self, sandbox_id: str) -> None:
        self._remove(sandbox_id)

    def create_container(self, sandbox_id: str, spec: ContainerSpec) -> str:
        return self._create(bodies.container(sandbox_id, spec), names.name_of_container(spec))

    def start_container(self, container_id: str) -> None:
        with translated(StartFailed):
            self._client.start(container_id)

    def resize_container(self, container_id: str, resources: Resources) -> None:
        with translated():
            self._client.update_container(container_id, **bodies.update(resources))

    def terminate_container(self, container_id: str) -> None:
        said = self._inspect(container_id)
        if said is not None:
            self._signal(container_id, said["Config"].get("StopSignal") or "SIGTERM")

    def kill_container(self, container_id: str) -> None:
        self._signal(container_id, "SIGKILL")

    def remove_container(self, container_id: str) -> None:
        self._remove(container_id)

    def exec(self, container_id: str, command: Sequence[str], timeout_seconds: float) -> ExecResult:
        return execs.run(self._client, container_id, command, timeout_seconds)

    def open_exec(
        self, container_id: str, command: Sequence[str], *, stdin: bool, tty: bool
    ) -> AttachedProcess:
        return AttachedProcess.of_exec(self._client, self._host, container_id, command, stdin=stdin, tty=tty)

    def attach(self, container_id: str, *, stdin: bool) -> AttachedProcess:
        return AttachedProcess.of_container(self._client, self._host, container_id, stdin=stdin)

    def logs(
        self,
        container_id: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: float = 0.0,
        timestamps: bool = False,
        stdout: bool = True,
        stderr: bool = True,
    ) -> LogStream:
        with translated():
            said = self._client.inspect_container(container_id)
        streams = {name for name, wanted in (("stdout", stdout), ("stderr", stderr)) if wanted}
        path = facts.log_path(said)
        if path is not None and os.access(path.parent, os.R_OK | os.X_OK):
            runs = partial(self._runs, container_id) if follow else None
            choice = Choice(since, timestamps, frozenset(streams))
            return self._keep(FileLog(path, choice, tail, runs, self._streams.discard))
        return self._told_log(said, streams, follow=follow, tail=tail, since=since, timestamps=timestamps)

    def _told_log(
        self,
        said: facts.Json,
        streams: Container[str],
        *,
        follow: bool,
        tail: int | None,
        since: float,
        timestamps: bool,
    ) -> LogStream:
        """As the engine tells it: it keeps its logs elsewhere, or in another form."""
        with translated():
            stream = self._client.logs(
                said["Id"],
                stream=True,
                follow=follow,
                timestamps=timestamps,
                tail="all" if tail is None else tail,
                since=since or None,
                stdout="stdout" in streams,
                stderr="stderr" in streams,
            )
        if said["Config"].get("Tty"):  # it comes without frames, so where a line begins can't be told
            return self._open(stream, in_pieces)
        return self._open(stream, once_a_line if timestamps else iter)

    def _runs(self, container_id: str) -> bool:
        said = self._inspect(container_id)
        return said is not None and bool(said["State"].get("Running"))

    def images(self) -> Sequence[Image]:
        with translated():
            return [facts.image(said) for said in self._client.images()]

    def image(self, name: str) -> Image | None:
        try:
            with translated():
                return facts.image(self._client.inspect_image(name))
        except ImageNotPresent:
            return None

    def pull(
        self,
        name: str,
        *,
        source: str = "",
        auth: RegistryAuth | None = None,
        progress: Progress | None = None,
    ) -> Image:
        """As with `load`, the engine is heard to the end."""
        layers = Layers(progress)
        asked, refused, who = source or name, "", certs.auth_config(auth)
        repository, tag = parse_repository_tag(asked)
        try:
            with translated(ImagePullFailed):
                for said in self._client.pull(
                    repository, tag or "latest", stream=True, decode=True, auth_config=who
                ):
                    refused = said.get("error") or refused
                    layers.hear(said)
        except ImagePullFailed as error:
            raise pull_failed(str(error)) from error
        if refused:
            raise pull_failed(refused)
        if asked != name:
            self._rename(asked, name)
        image = self.image(name)
        if image is None:
            raise ImagePullFailed(f"{name} was pulled, but the engine doesn't have it")
        return image

    def remove_image(self, image: Image) -> None:
        for name in image.names or [image.id]:
            with suppress(ImageNotPresent), translated():
                self._client.remove_image(name)

    def trust(self, registry: str, files: Mapping[str, str]) -> None:
        certs.trust(registry, files)

    def _rename(self, mirrored: str, name: str) -> None:
        """What a mirror calls it is nobody's name for it."""
        repository, tag = parse_repository_tag(name)
        with translated(ImagePullFailed):
            self._client.tag(mirrored, repository, tag or "latest")
            self._client.remove_image(mirrored)

    def load(self, path: str, progress: Progress | None = None) -> Sequence[str]:
        """It tells how it gets on: a big archive may take longer than a call may be silent. Hearing it to the
        end gives the connection back."""
        loaded, error, layers = [], "", Layers(progress)
        with Path(path).open("rb") as archive, translated():
            for said in self._client.load_image(archive, quiet=False):
                error = said.get("error") or error
                layers.hear(said)
                _, found, image = said.get("stream", "").strip().partition("Loaded image: ")
                loaded += [image] if found else []
        if error:
            raise EngineError(error)
        return loaded

    def close(self) -> None:
        with self._lock:
            self._closed = True
            streams, clients = list(self._streams), self._made
        for stream in streams:
            stream.close()
        for client in clients or ():
            client.close()

    @property
    def _client(self) -> Any:
        """The SDK's client, once the engine has answered."""
        return self._clients[0]

    @property
    def _lister(self) -> Any:
        """The one that notices soon that the engine hangs."""
        return self._clients[1]

    @property
    def _clients(self) -> tuple[Any, Any]:
        with self._lock:
            if self._made is None:
                with translated():
                    lister = self._connect("auto", LIST_SECONDS)
                    self._made = self._connect(lister.api_version, CALL_SECONDS), lister
            return self._made

    def _connect(self, version: str, seconds: float) -> Any:
        client = APIClient(
            self._host, version=version, timeout=seconds, max_pool_size=POOL, user_agent="mini8s"
        )
        # to look for proxies and passwords in the environment takes a quarter of each call
        client.trust_env = not self._host.startswith("unix:")
        return client

    def _open(self, stream: Any, read: Callable[[Any], Iterator[Any]] = iter) -> Stream[Any]:
        return self._keep(Stream(stream, self._streams.discard, read))

    def _keep(self, opened: Opened) -> Opened:
        """It ends with the runtime."""
        with self._lock:
            self._streams.add(opened)
            closed = self._closed
        if closed:
            opened.close()
        return opened

    def _inspect(self, container_id: str) -> dict[str, Any] | None:
        try:
            with translated():
                said: dict[str, Any] = self._client.inspect_container(container_id)
                return said
        except NoSuchContainer:
            return None

    def _create(self, body: bodies.Body, name: str) -> str:
        """Create; a leftover of an agent that was killed in mid-start holds the name and is cleared away."""
        try:
            with translated(CreateFailed):
                return self._create_once(body, name)
        except NameTaken:
            holder = self._inspect(name)
        if holder is not None and holder["State"].get("Running"):
            raise CreateFailed(f"the name {name} is taken by a container that runs")
        self._remove(name)
        with translated(CreateFailed):
            return self._create_once(body, name)

    def _create_once(self, body: bodies.Body, name: str) -> str:
        return str(self._client.create_container_from_config(body, name)["Id"])

    def _import_sandbox_image(self, image: str) -> None:
        repository, _, tag = image.rpartition(":")
        with self._importing, translated(CreateFailed):
            if self.image(image) is None:
                archive = sandbox_image.archive(platform.machine())
                self._client.import_image_from_data(
                    archive, repository, tag, changes=['ENTRYPOINT ["/pause"]']
                )

    def _signal(self, container_id: str, signal: str) -> None:
        said = self._inspect(container_id)
        if said is None or not said["State"].get("Running"):
            return
        with translated():
            self._client.kill(container_id, signal)

    def _remove(self, container_id: str) -> None:
        try:
            with translated():
                self._client.remove_container(container_id, force=True, v=True)
        except NoSuchContainer:
            return
