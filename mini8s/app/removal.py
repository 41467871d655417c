"""Taking away all that mini8s made on a host: its pods, the proxy of Ingresses, what is in the kernel, and
its folders. For `mini8s reset`, never at a mere stop.

Every step is safe to repeat, and one that fails does not keep the others from being done.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mini8s.agent.ingress.process import HaProxy
from mini8s.agent.kubelet import mounting
from mini8s.agent.kubelet.isolation.pod_cgroup import FOLDER
from mini8s.agent.network import cleanup
from mini8s.agent.runtime.base import EngineError
from mini8s.agent.runtime.docker.engine import DockerEngine
from mini8s.agent.runtime.docker.sandbox_image import REPOSITORY
from mini8s.app import host
from mini8s.app.layout import agent_files, server_files

CGROUPS = Path("/sys/fs/cgroup")
PROGRAM = "program"  # where the single executable unpacks itself (packaging/binary-head.sh)


@dataclass(frozen=True, slots=True)
class Removal:
    """Where what is to go lies."""

    data_dir: Path
    docker_host: str
    kubeconfig: Path
    cgroup_root: str = ""
    keep_data: bool = False

    def run(self) -> Iterator[str]:
        """One sentence for each thing that could not be removed. Raises HostError while mini8s runs here."""
        host.require_root("mini8s reset")
        for lock in (server_files(str(self.data_dir)).lock, agent_files(str(self.data_dir)).root / "lock"):
            if lock.exists():
                host.lock(lock).close()  # somebody who runs holds it
        for step in (self._proxy, self._pods):
            yield from _problem(step)
        yield from cleanup.remove_all()
        yield from _problem(self._groups)
        yield from _problem(self._mounts)
        if not self.keep_data:
            yield from _problem(self._folders)

    def _proxy(self) -> None:
        folder = agent_files(str(self.data_dir)).ingress
        if folder.exists():
            HaProxy(folder).stop()

    def _pods(self) -> None:
        engine = DockerEngine(self.docker_host)
        try:
            for uid in engine.pods():
                pod = engine.pod(uid)
                for one in pod.containers if pod else ():
                    engine.remove_container(one.id)
                for sandbox in pod.sandboxes if pod else ():
                    engine.remove_sandbox(sandbox.id)
            for image in engine.images():
                if any(name.partition(":")[0] == REPOSITORY for name in image.names):
                    engine.remove_image(image)
        finally:
            engine.close()

    def _groups(self) -> None:
        """Of both versions; the kernel refuses to remove a group that has processes."""
        below = f"{self.cgroup_root.strip('/')}/{FOLDER}".lstrip("/")
        for top in (CGROUPS / below, *CGROUPS.glob(f"*/{below}")):
            for folder in sorted((path for path in top.rglob("*") if path.is_dir()), reverse=True):
                folder.rmdir()
            if top.is_dir():
                top.rmdir()

    def _mounts(self) -> None:
        """Below the data folder, which may itself be a disk of its own."""
        mounting.unmount_below(self.data_dir)

    def _folders(self) -> None:
        """But for the unpacked program, which may be what runs now. What is still mounted is somebody's."""
        if left := mounting.below(self.data_dir):
            raise OSError(f"{self.data_dir}: {left[0]} is still mounted")
        for path in self.data_dir.iterdir() if self.data_dir.exists() else ():
            if path.is_dir() and not path.is_symlink() and path.name != PROGRAM:
                shutil.rmtree(path)
            elif path.name != PROGRAM:
                path.unlink()
        self.kubeconfig.unlink(missing_ok=True)
        for folder in (self.data_dir, self.kubeconfig.parent):
            with suppress(OSError):  # it has a user's own files, or the program
                folder.rmdir()


def _problem(step: Callable[[], None]) -> Iterator[str]:
    try:
        step()
    except EngineError as error:
        yield f"pods: {error}"
    except OSError as error:
        yield str(error)
