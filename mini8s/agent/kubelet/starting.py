"""Starting a container: image, volumes, environment, files, and only then the engine.

Each step that fails says so in the pod's status and in an event, with upstream's reason and words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mini8s.agent.kubelet import etc_files, last_words, volumes
from mini8s.agent.kubelet.actions import StartContainer
from mini8s.agent.kubelet.container_spec import container_spec
from mini8s.agent.kubelet.container_status import Waiting
from mini8s.agent.kubelet.downward import Placed
from mini8s.agent.kubelet.env import environment
from mini8s.agent.kubelet.images.images import Images, ImageWait, field_path
from mini8s.agent.kubelet.isolation.isolation import Isolation
from mini8s.agent.kubelet.isolation.security import Refused
from mini8s.agent.kubelet.lookup import Lookup, Missing, need
from mini8s.agent.kubelet.pod_folder import PodFolder
from mini8s.agent.runtime.base import CreateFailed, ImageNotPresent, Runtime, StartFailed
from mini8s.agent.runtime.specs import ContainerSpec, Mount
from mini8s.client.base import EventSink
from mini8s.objects.kinds import RUNTIMECLASSES, Obj

HOST_RESOLVERS = (Path("/run/systemd/resolve/resolv.conf"), Path("/etc/resolv.conf"))


class CannotStart(Exception):
    """Try again later; `waiting` is what the status says meanwhile."""

    def __init__(self, waiting: Waiting, until: datetime | None = None) -> None:
        super().__init__(waiting.message)
        self.waiting = waiting
        self.until = until


@dataclass(frozen=True, slots=True)
class Starter:
    """What is the same for all containers of a node."""

    runtime: Runtime
    images: Images
    lookup: Lookup
    tokens: volumes.Tokens
    disk: Callable[[Obj], Path]
    isolation: Isolation
    services: Callable[[], Sequence[Obj]]
    events: EventSink
    cluster_dns: str
    cluster_domain: str

    def make(self, placed: Placed, folder: PodFolder, sandbox_id: str, start: StartContainer) -> str:
        """All but the start itself, which is all that needs a sandbox that runs; the container's id. Raises
        CannotStart, EngineDown."""
        pod, container = placed.pod, start.wanted.spec
        if container.get("targetContainerName") and not start.target:
            message = f"unable to find target container {container['targetContainerName']}"
            raise self._refused(pod, container, "CreateContainerConfigError", message)
        prepared = self.prepare_volumes(placed, folder)
        try:
            self.images.ensure(pod, container, start.attempt)
        except ImageWait as wait:
            raise CannotStart(wait.waiting, wait.until) from wait
        try:
            env = environment(placed, container, self.lookup, self.services())
            mounts = volumes.mounts(prepared, container, dict(env), folder)
            mounts += self._own_mounts(placed, folder, container, start.attempt, mounts)
            spec = self._spec(pod, start, env, mounts)
        except (Missing, Refused, OSError) as error:
            message = volumes.said(error)
            raise self._refused(pod, container, "CreateContainerConfigError", message) from error
        self.isolation.hold(pod)
        try:
            made = self.runtime.create_container(sandbox_id, spec)
        except (CreateFailed, ImageNotPresent) as error:
            raise self._refused(pod, container, error.reason, str(error)) from error
        where = field_path(pod, container["name"])
        self.events.event(pod, "Normal", "Created", f"Created container: {spec.name}", field_path=where)
        return made

    def start(self, pod: Obj, name: str, container_id: str) -> None:
        """Raises StartFailed, EngineDown."""
        where = field_path(pod, name)
        try:
            self.runtime.start_container(container_id)
        except StartFailed as error:
            message = f'Error: failed to start container "{name}": {error}'
            self.events.event(pod, "Warning", "Failed", message, field_path=where)
            raise
        self.events.event(pod, "Normal", "Started", f"Started container {name}", field_path=where)

    def _spec(
        self, pod: Obj, start: StartContainer, env: Sequence[tuple[str, str]], mounts: Sequence[Mount]
    ) -> ContainerSpec:
        runtime = pod["spec"].get("runtimeClassName")
        handler = need(self.lookup, RUNTIMECLASSES, "", runtime, optional=False) if runtime else None
        return container_spec(
            pod,
            start,
            env,
            mounts,
            image_user=lambda: self._image_user(start.wanted.spec["image"]),
            runtime=handler["handler"] if handler else "",
            policy=self.isolation.policy,
        )

    def _image_user(self, name: str) -> str:
        image = self.runtime.image(name)
        return image.user if image else ""

    def prepare_volumes(self, placed: Placed, folder: PodFolder) -> volumes.Volumes:
        """Make the pod's volumes and bring their files up to date."""
        try:
            folder.make()
        except OSError as error:
            message = f"error making pod data directories: {volumes.said(error)}"
            self.events.event(placed.pod, "Warning", "FailedToMakePodDataDirectories", message)
            raise CannotStart(Waiting("ContainerCreating")) from error
        try:
            prepared = volumes.prepare(volumes.Setting(placed, folder, self.lookup, self.tokens, self.disk))
        except volumes.MountFailed as failed:
            self.events.event(placed.pod, "Warning", "FailedMount", str(failed))
            raise CannotStart(Waiting("ContainerCreating")) from failed
        for message in prepared.stale:
            self.events.event(placed.pod, "Warning", "FailedMount", message)
        return prepared

    def _refused(self, pod: Obj, container: Obj, reason: str, message: str) -> CannotStart:
        where = field_path(pod, container["name"])
        self.events.event(pod, "Warning", "Failed", f"Error: {message}", field_path=where)
        return CannotStart(Waiting(reason, message))

    def _own_mounts(
        self, placed: Placed, folder: PodFolder, container: Obj, attempt: int, theirs: Sequence[Mount]
    ) -> list[Mount]:
        """The files that the kubelet gives to every container, unless it brings its own."""
        words = folder.last_words(container["name"], attempt)
        files = {
            "/etc/hosts": (folder.etc("hosts"), self._hosts(placed)),
            "/etc/resolv.conf": (folder.etc("resolv.conf"), self._resolver(placed.pod)),
            container.get("terminationMessagePath") or last_words.DEFAULT_PATH: (words, ""),
        }
        taken = {mount.target for mount in theirs}
        return [
            Mount(str(_written(path, text)), target)
            for target, (path, text) in files.items()
            if target not in taken
        ]

    def _hosts(self, placed: Placed) -> str:
        if placed.pod["spec"].get("hostNetwork"):
            return etc_files.hosts_of_host(placed.pod, Path("/etc/hosts").read_text())
        return etc_files.hosts(placed.pod, placed.pod_ips, self.cluster_domain)

    def _resolver(self, pod: Obj) -> str:
        found = next((path.read_text() for path in HOST_RESOLVERS if path.exists()), "")
        host = etc_files.parse_resolver(found)
        return etc_files.resolver(pod, host, self.cluster_dns, self.cluster_domain).text()


def _written(path: Path, text: str) -> Path:
    """A container holds the file itself, so it is rewritten in place and only when it differs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
        path.chmod(0o644 if text else 0o666)
    return path
