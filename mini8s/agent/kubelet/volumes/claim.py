"""persistentVolumeClaim and ephemeral: the volume that a claim is bound to, if it lies on this host."""

from __future__ import annotations

from pathlib import Path

from mini8s.agent.kubelet.lookup import Missing, need
from mini8s.agent.kubelet.volumes import host_path, ownership
from mini8s.agent.kubelet.volumes.base import Setting, Source
from mini8s.objects import claims, meta
from mini8s.objects.kinds import PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES, Obj

_SERVED = ("local", "hostPath")


def prepare(setting: Setting, volume: Obj) -> Source:
    """Raises Missing while the claim isn't bound to a volume that this host has."""
    said = volume["persistentVolumeClaim"]
    claim = _claim(setting, said["claimName"])
    return _bound(setting, volume["name"], claim, read_only=bool(said.get("readOnly")))


def prepare_ephemeral(setting: Setting, volume: Obj) -> Source:
    """The claim that was made for this pod and no other."""
    claim = _claim(setting, claims.ephemeral_name(setting.pod, volume["name"]))
    if not claims.is_made_for(claim, setting.pod):
        raise Missing(
            f"PVC {meta.key(claim)} was not created for pod {meta.key(setting.pod)} (pod is not owner)"
        )
    return _bound(setting, volume["name"], claim, read_only=False)


def _claim(setting: Setting, name: str) -> Obj:
    claim = need(setting.lookup, PERSISTENTVOLUMECLAIMS, meta.namespace(setting.pod), name, optional=False)
    if not claim or not claim["spec"].get("volumeName") or claim.get("status", {}).get("phase") != "Bound":
        raise Missing(f"error processing PVC {meta.namespace(setting.pod)}/{name}: PVC is not bound")
    if claim["spec"].get("volumeMode") == "Block":
        raise Missing(f"error processing PVC {meta.key(claim)}: volumeMode Block is not served by this node")
    return claim


def _bound(setting: Setting, name: str, claim: Obj, *, read_only: bool) -> Source:
    volume = need(setting.lookup, PERSISTENTVOLUMES, "", claim["spec"]["volumeName"], optional=False) or {}
    if not claims.belongs(volume, claim):
        raise Missing(
            f"error processing PVC {meta.key(claim)}: volume {meta.name(volume)} is another claim's"
        )
    path = _place(setting, volume)
    read_only = read_only or claim["spec"].get("accessModes") == ["ReadOnlyMany"]
    if "local" in volume["spec"] and not read_only:
        _own(setting, name, path)
    return Source(str(path), read_only)


def _place(setting: Setting, volume: Obj) -> Path:
    spec = volume["spec"]
    if claims.is_ours(volume):
        return setting.disk(volume)
    if "hostPath" in spec:
        return Path(host_path.source(spec["hostPath"]))
    if "local" in spec:
        return _local(Path(spec["local"]["path"]))
    kind = next((word for word in spec if word not in claims.ABOUT_VOLUME), "without a source")
    raise Missing(f"no volume plugin matched: {kind} (this node serves PersistentVolumes of {_SERVED})")


def _local(path: Path) -> Path:
    if not path.exists():
        raise Missing(f'path "{path}" does not exist')
    if not path.is_dir():
        raise Missing(f"{path} is not a directory: this node serves local volumes of folders")
    return path


def _own(setting: Setting, name: str, path: Path) -> None:
    """Once a pod: a walk over all that a volume holds takes its time."""
    if setting.group is None:
        return
    done = setting.folder.volume(name)
    if done.exists():
        return
    security = setting.pod["spec"]["securityContext"]
    ownership.give(path, setting.group, policy=security.get("fsGroupChangePolicy") or "")
    done.parent.mkdir(parents=True, exist_ok=True)
    done.mkdir()
