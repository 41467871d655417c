"""A pod's volumes on the host, brought up to date whenever they are asked for.

Memory-backed where the kernel lets us: Secrets always, emptyDir on demand. The folder of all pods is for root
alone; what a container sees of it is what is mounted into it.
"""

from __future__ import annotations

from mini8s.agent.kubelet.volumes.base import MountFailed, Setting, Source, Tokens, Volumes
from mini8s.agent.kubelet.volumes.mounts import mounts
from mini8s.agent.kubelet.volumes.prepare import has_files, prepare, said

__all__ = ["MountFailed", "Setting", "Source", "Tokens", "Volumes", "has_files", "mounts", "prepare", "said"]
