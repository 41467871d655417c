"""The images of a host, for `mini8s image`: through its engine, with its agent's registries and pins, whether
the agent runs or not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mini8s.agent.kubelet.images.folder import ImageFolder
from mini8s.agent.kubelet.images.images import pull
from mini8s.agent.kubelet.images.pins import Pins, tags
from mini8s.agent.kubelet.images.registries import BadRegistries
from mini8s.agent.runtime.base import EngineError, Progress, Runtime
from mini8s.agent.runtime.docker.engine import DockerEngine
from mini8s.agent.runtime.records import Image
from mini8s.app import registry_settings
from mini8s.app.host import HostError

FOLDER, ITSELF = "folder", "mini8s"  # why an image is kept, besides that somebody pinned it


@dataclass(frozen=True, slots=True)
class Listed:
    """`kept`: why it is never collected, "" when it may be; `used_by` are pods of mini8s."""

    image: Image
    kept: str
    used_by: Sequence[str]


def engine(docker_host: str) -> Runtime:
    return DockerEngine(docker_host)


class HostImages:
    """Every call raises HostError in place of what the engine says."""

    def __init__(self, runtime: Runtime, data_dir: str, private_registry: str) -> None:
        self._runtime = runtime
        self._pins = Pins(Path(data_dir))
        self._folder = ImageFolder(Path(data_dir), runtime, lambda _names: None)
        self._registries_file = Path(private_registry)

    def bring(self, path: str, *, pin: bool, progress: Progress | None = None) -> Sequence[str]:
        """The names that an archive brought."""
        try:
            names = self._runtime.load(path, progress)
        except (EngineError, OSError) as error:
            raise HostError(f"{path}: {_sentence(error)}") from error
        if pin:
            self._note(self._pins.add, tags(names))
        return names

    def pull(self, name: str, *, pin: bool, progress: Progress | None = None) -> Image:
        try:
            registries = registry_settings.read(self._registries_file)
            registry_settings.introduce(registries, self._runtime.trust)
            image = pull(self._runtime, registries, name, progress=progress)
        except (EngineError, BadRegistries) as error:
            raise HostError(f"{name}: {_sentence(error)}") from error
        if pin:
            self._note(self._pins.add, _named(name, image))
        return image

    def listed(self) -> list[Listed]:
        try:
            images, users = self._runtime.images(), self._users()
        except EngineError as error:
            raise HostError(_sentence(error)) from error
        pinned, folder = self._pins.names(), self._folder.noted()
        return [Listed(one, _kept(one, pinned, folder), sorted(users.get(one.id, ()))) for one in images]

    def pin(self, name: str) -> None:
        self._note(self._pins.add, _named(name, self._there(name)))

    def unpin(self, name: str) -> None:
        """Also one that is not there any more."""
        named = self._image(name)
        names = {name, f"{name}:latest", *(tags(named.names) if named else ())}
        if names.isdisjoint(self._pins.names()):
            raise HostError(f"{name} is not pinned")
        self._note(self._pins.remove, names)

    def remove(self, name: str) -> None:
        image = self._there(name)
        if kept := _kept(image, self._pins.names(), self._folder.noted()):
            what = {
                FOLDER: "it came from the image folder: take its file away first",
                ITSELF: "mini8s needs it",
            }
            raise HostError(f"{name} stays: {what.get(kept, 'it is pinned: unpin it first')}")
        try:
            self._runtime.remove_image(image)
        except EngineError as error:
            raise HostError(f"{name} stays: {_sentence(error)}") from error

    def _there(self, name: str) -> Image:
        image = self._image(name)
        if image is None:
            raise HostError(f"there is no image {name} on this host")
        return image

    def _image(self, name: str) -> Image | None:
        try:
            return self._runtime.image(name)
        except EngineError as error:
            raise HostError(_sentence(error)) from error

    def _users(self) -> dict[str, set[str]]:
        """Names of pods, by the images that their containers were made from."""
        found: dict[str, set[str]] = {}
        for uid in self._runtime.pods():
            pod = self._runtime.pod(uid)
            for container in pod.containers if pod else ():
                found.setdefault(container.image_id, set()).add(f"{pod.namespace}/{pod.name}" if pod else "")
        return found

    def _note(self, change: Callable[[Iterable[str]], None], names: Iterable[str]) -> None:
        try:
            change(names)
        except OSError as error:
            raise HostError(f"what is pinned can't be noted: {error.strerror}") from error


def _named(name: str, image: Image) -> list[str]:
    """What to pin of an image that somebody calls so: that name when the engine knows it by it."""
    known = [one for one in (name, f"{name}:latest") if one in image.names]
    return known or tags(image.names)


def _kept(image: Image, pinned: frozenset[str], folder: frozenset[str]) -> str:
    if image.pinned:
        return ITSELF
    if not folder.isdisjoint(image.names):
        return FOLDER
    return "" if pinned.isdisjoint(image.names) else "yes"


def _sentence(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else "") or str(error)
