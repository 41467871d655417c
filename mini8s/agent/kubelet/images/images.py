"""Images for containers: there already, or pulled one after the other by a thread of their own.

A worker never waits for a registry: while a pull goes on its pod waits in `ContainerCreating`, or with the
error of the try before, and when it ends the pod is looked at again. A failed pull is repeated after 10 s,
20 s … 5 min, whoever asks.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mini8s.agent.kubelet.container_status import Waiting
from mini8s.agent.kubelet.images.registries import Registries
from mini8s.agent.kubelet.lookup import Lookup, Missing, need
from mini8s.agent.kubelet.restart import FIRST_SECONDS, MOST_SECONDS
from mini8s.agent.runtime.base import EngineError, ImagePullFailed, Progress, RegistryAway, Runtime
from mini8s.agent.runtime.records import Image
from mini8s.client.base import EventSink
from mini8s.objects import meta
from mini8s.objects.kinds import SECRETS, Obj
from mini8s.util.backoff import Backoff
from mini8s.util.clock import Clock

Request = tuple[str, str, int]  # pod uid, container name, attempt


class ImageWait(Exception):
    """The image isn't there yet. `until`: when to ask again; None: a pull's end will say."""

    def __init__(self, waiting: Waiting, until: datetime | None) -> None:
        super().__init__(waiting.message)
        self.waiting = waiting
        self.until = until


@dataclass(slots=True)
class _Pull:
    """What is known of one image's pulls."""

    backoff: Backoff = field(default_factory=lambda: Backoff(FIRST_SECONDS, MOST_SECONDS))
    busy: bool = False
    away: bool = False  # the last one did not reach the registry
    until: datetime | None = None  # not again before
    error: str = ""
    wanted_by: dict[Request, Obj] = field(default_factory=dict)


class Images:
    """`changed` is called with a pod's uid when an image that it waits for came or can't come."""

    def __init__(
        self,
        runtime: Runtime,
        events: EventSink,
        clock: Clock,
        changed: Callable[[str], None],
        *,
        registries: Registries | None = None,
        lookup: Lookup = lambda _kind, _namespace, _name: None,
    ) -> None:
        self._registries = registries or Registries()
        self._lookup = lookup
        self._runtime = runtime
        self._events = events
        self._clock = clock
        self._changed = changed
        self._lock = threading.Lock()  # guards the three below
        self._pulls: dict[str, _Pull] = {}
        self._fresh: set[Request] = set()  # pulled for this very start
        self._todo: queue.SimpleQueue[str] = queue.SimpleQueue()

    def use(self, registries: Registries) -> None:
        """From the next pull on."""
        self._registries = registries

    def ensure(self, pod: Obj, container: Obj, attempt: int) -> None:
        """Return when the image is there. Raises ImageWait, EngineDown."""
        name, policy = container["image"], pull_policy(container)
        request = (meta.uid(pod), container["name"], attempt)
        with self._lock:
            if request in self._fresh:
                self._fresh.discard(request)
                return
        present = policy != "Always" and self._runtime.image(name) is not None
        if present:
            self._say(
                pod, container, "Normal", "Pulled", f'Container image "{name}" already present on machine'
            )
            return
        if policy == "Never":
            message = f'Container image "{name}" is not present with pull policy of Never'
            self._say(pod, container, "Warning", "ErrImageNeverPull", message)
            raise ImageWait(Waiting("ErrImageNeverPull", message), self._in(FIRST_SECONDS))
        if attempt and self._does_without_registry(name):
            message = (
                f'Container image "{name}" already present on machine, and its registry cannot be reached'
            )
            self._say(pod, container, "Normal", "Pulled", message)
            return
        raise self._ask(name, request, pod, container)

    def _does_without_registry(self, name: str) -> bool:
        """A container that ran here before goes on with what it ran, whatever its policy, while nobody can
        be asked for newer: a host that is cut off brings its pods back."""
        with self._lock:
            pull = self._pulls.get(name)
            away = bool(pull and pull.away and pull.until and pull.until > self._clock.now())
        return away and self._runtime.image(name) is not None

    def close(self) -> None:
        """Let the puller's thread end."""
        self._todo.put("")

    def pull_next(self) -> None:
        """One round of the puller's thread."""
        name = self._todo.get()
        if not name:
            return
        began, error, away = self._clock.monotonic(), "", False
        try:
            size = self._pull(name).size_bytes
        except EngineError as refused:
            size, error = 0, f'failed to pull image "{name}": {refused}'
            away = isinstance(refused, RegistryAway)
        took = self._clock.monotonic() - began
        figures = f"in {took:.3f}s. Image size: {size} bytes."
        for uid in self._pulled(name, error, figures, away=away):
            self._changed(uid)

    def _pull(self, name: str) -> Image:
        with self._lock:
            waiting = list(self._pulls.get(name, _Pull()).wanted_by.values())
        secrets = [secret for pod in waiting for secret in self._secrets(pod)]
        return pull(self._runtime, self._registries, name, secrets)

    def _secrets(self, pod: Obj) -> Iterator[Obj]:
        """A pod's pull secrets, as far as they are there."""
        missing = []
        for reference in pod["spec"].get("imagePullSecrets") or ():
            name = reference.get("name") or ""
            try:
                found = need(self._lookup, SECRETS, meta.namespace(pod), name, optional=False)
            except Missing:
                missing.append(name)
            else:
                if found is not None:
                    yield found
        if missing:
            message = (
                f"Unable to retrieve some image pull secrets ({', '.join(missing)}); "
                "attempting to pull the image may not succeed."
            )
            self._events.event(pod, "Warning", "FailedToRetrieveImagePullSecret", message)

    def arrived(self, names: Iterable[str]) -> None:
        """Images that were loaded from files: nobody waits for their registry any more."""
        with self._lock:
            pulls = [self._pulls.pop(name) for name in names if name in self._pulls]
        for uid in {request[0] for pull in pulls for request in pull.wanted_by}:
            self._changed(uid)

    def forget(self, uid: str) -> None:
        with self._lock:
            self._fresh = {request for request in self._fresh if request[0] != uid}
            for pull in self._pulls.values():
                pull.wanted_by = {key: obj for key, obj in pull.wanted_by.items() if key[0] != uid}

    def _ask(self, name: str, request: Request, pod: Obj, container: Obj) -> ImageWait:
        """Have it pulled, unless the last try is too young."""
        with self._lock:
            pull = self._pulls.setdefault(name, _Pull())
            pull.wanted_by[request] = pod
            if pull.until and pull.until > self._clock.now():
                error, until = pull.error, pull.until
            else:
                begins, pull.busy = not pull.busy, True
                if begins:
                    self._todo.put(name)
                error, until = pull.error, None
        if until:
            message = f'Back-off pulling image "{name}"'
            self._say(pod, container, "Normal", "BackOff", message)
            return ImageWait(Waiting("ImagePullBackOff", f"{message}: ErrImagePull: {error}"), until)
        if begins:
            self._say(pod, container, "Normal", "Pulling", f'Pulling image "{name}"')
        return ImageWait(Waiting("ErrImagePull", error) if error else Waiting("ContainerCreating"), None)

    def _pulled(self, name: str, error: str, figures: str, *, away: bool) -> set[str]:
        """Note how a pull ended and tell the pods' events; the uids of those that waited for it."""
        with self._lock:
            pull = self._pulls.pop(name, _Pull())
            requests = dict(pull.wanted_by)
            if error:
                pull.until = self._in(pull.backoff.failed())
                pull.busy, pull.error, pull.away = False, error, away
                self._pulls[name] = pull
            else:
                self._fresh |= set(requests)
        for request, pod in requests.items():
            container = {"name": request[1]}
            if error:
                self._say(pod, container, "Warning", "Failed", error[:1].upper() + error[1:])
                self._say(pod, container, "Warning", "Failed", "Error: ErrImagePull")
            else:
                self._say(pod, container, "Normal", "Pulled", f'Successfully pulled image "{name}" {figures}')
        return {request[0] for request in requests}

    def _in(self, seconds: float) -> datetime:
        return self._clock.now() + timedelta(seconds=seconds)

    def _say(self, pod: Obj, container: Obj, type: str, reason: str, message: str) -> None:
        self._events.event(pod, type, reason, message, field_path=field_path(pod, container["name"]))


def pull(
    runtime: Runtime,
    registries: Registries,
    name: str,
    secrets: Iterable[Obj] = (),
    progress: Progress | None = None,
) -> Image:
    """From the first place that gives it to the first who may have it. Raises what the last one said."""
    failed: ImagePullFailed | None = None
    for source, auth in registries.attempts(name, secrets):
        try:
            return runtime.pull(name, source=source, auth=auth, progress=progress)
        except ImagePullFailed as error:
            failed = error
    raise failed or ImagePullFailed(f"there is no place to pull {name} from")


def pull_policy(container: Obj) -> str:
    """The stated one; else Always for what may move (`latest`, no tag), IfNotPresent for what shouldn't."""
    stated = container.get("imagePullPolicy")
    if stated:
        return str(stated)
    name, _, digest = str(container["image"]).partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    return "IfNotPresent" if digest or tag not in {"", "latest"} else "Always"


def field_path(pod: Obj, name: str) -> str:
    """`spec.containers{web}`: where an event about a container says it belongs."""
    others = ("initContainers", "ephemeralContainers")
    found = (word for word in others for one in pod["spec"].get(word) or () if one["name"] == name)
    word = next(found, "containers")
    return f"spec.{word}{{{name}}}"
