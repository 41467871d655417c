"""Applies the folder of manifests, in the control process: looks at it every few seconds, remembers what it
did in a ConfigMap, and tells of what went wrong by events about that and in the log."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path

from mini8s.app.deploying import folder
from mini8s.app.deploying.plan import Applied, Plan, Ref, plan
from mini8s.client.base import Api, EventSink
from mini8s.objects import kinds, meta
from mini8s.objects.errors import ApiError, NotFound
from mini8s.objects.kinds import CONFIGMAPS, Kind, Obj

log = logging.getLogger(__name__)

EVERY_SECONDS = 5.0
AGAIN_SECONDS = 60.0  # after something could not be applied
MANAGER = "mini8s-manifests"
NAMESPACE, NAME, KEY = "kube-system", "mini8s-manifests", "applied.json"


class Deploying:
    def __init__(self, api: Api, place: Path, events: EventSink) -> None:
        self._api = api
        self._place = place
        self._events = events
        self._again = True  # a start applies everything
        self._told: dict[str, str] = {}
        self._tried: dict[str, tuple[str, float]] = {}  # by file: its hash then, and when

    def step(self) -> float:
        """A worker's round; seconds to the next. What the API is too busy for waits for that."""
        try:
            self.look()
        except ApiError as error:
            if not error.retry:
                raise
            log.debug("manifests are looked at again: %s", error)
        return EVERY_SECONDS

    def look(self) -> None:
        """Make the cluster what the folder says."""
        found = folder.read(self._place, time.time())
        if found is None:
            return
        memory = self._memory()
        before = _remembered(memory)
        wanted = plan(found, before, again=self._again)
        due = {name: said for name, said in wanted.apply.items() if self._due(name, found[name].digest)}
        told = dict(wanted.told)
        after = {name: Applied(one.digest, dict(one.uids)) for name, one in before.items()}
        for name, said in due.items():
            uids = dict(after.get(name, Applied()).uids)
            errors = [error for ref, obj in said if (error := self._apply(ref, obj, uids))]
            after[name] = Applied("" if errors else found[name].digest, uids)
            self._tried[name] = (found[name].digest, time.monotonic())
            if errors:
                told[name] = "; ".join(errors)
            elif before.get(name) != after[name]:
                self._say("Normal", "AppliedManifest", f"{name}: applied {len(said)} objects")
        self._prune(wanted, after, told)
        for name, ref in wanted.moved:
            _forget(after, name, ref)
        self._tell(told, wanted, due)
        self._again = False
        after = {name: one for name, one in after.items() if one.uids or name in found}
        if after != before:
            self._remember(memory, after)

    def _due(self, name: str, digest: str) -> bool:
        """What failed is tried again after a while, not at each look."""
        tried, when = self._tried.get(name, ("", 0.0))
        return self._again or tried != digest or time.monotonic() - when > AGAIN_SECONDS

    def _apply(self, ref: Ref, obj: Obj, uids: dict[Ref, str]) -> str:
        """What went wrong; empty for nothing. What others have said of an object is not overruled."""
        query = {"fieldManager": MANAGER}
        try:
            done = self._api.patch(_kind(ref), ref.namespace, ref.name, obj, type="apply", query=query)
        except ApiError as error:
            if error.retry:
                raise
            return f"{ref}: {error}"
        uids[ref] = meta.uid(done)
        return ""

    def _prune(self, wanted: Plan, after: dict[str, Applied], told: dict[str, str]) -> None:
        for name, ref, uid in wanted.prune:
            try:
                self._api.delete(_kind(ref), ref.namespace, ref.name, uid=uid)
            except NotFound:
                pass
            except ApiError as error:
                if error.retry:
                    raise
                if error.code != 409:  # another object of that name by now: not ours to remove
                    told[name] = f"{ref} is not in it any more and stays: {error}"
                    continue
            else:
                self._say("Normal", "PrunedManifest", f"{name}: removed {ref}")
            _forget(after, name, ref)

    def _tell(self, told: dict[str, str], wanted: Plan, due: Mapping[str, object]) -> None:
        """Each trouble once, until it changes. That of a file whose turn has not come again stays."""
        stays = {name: why for name, why in self._told.items() if name in wanted.apply and name not in due}
        told = stays | told
        for name, why in told.items():
            if self._told.get(name) != why:
                self._say("Warning", "ApplyManifestFailed", f"{name}: {why}")
        self._told = told

    def _say(self, type: str, reason: str, message: str) -> None:
        log.log(logging.WARNING if type == "Warning" else logging.INFO, "%s", message)
        about = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": NAME, "namespace": NAMESPACE, "uid": ""},
        }
        self._events.event(about, type, reason, message)

    def _memory(self) -> Obj | None:
        try:
            return self._api.get(CONFIGMAPS, NAMESPACE, NAME)
        except NotFound:
            return None

    def _remember(self, memory: Obj | None, after: Mapping[str, Applied]) -> None:
        said = {
            name: {
                "sha256": one.digest,
                "objects": [
                    [ref.version, ref.kind, ref.namespace, ref.name, uid] for ref, uid in one.uids.items()
                ],
            }
            for name, one in after.items()
        }
        data = {KEY: json.dumps(said, indent=1, sort_keys=True)}
        if memory is None:
            self._api.create(
                CONFIGMAPS,
                {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "metadata": {"name": NAME, "namespace": NAMESPACE},
                    "data": data,
                },
            )
        else:
            self._api.update(CONFIGMAPS, memory | {"data": data})


def _forget(after: dict[str, Applied], name: str, ref: Ref) -> None:
    kept = {other: uid for other, uid in after[name].uids.items() if other != ref}
    after[name] = Applied(after[name].digest, kept)


def _remembered(memory: Obj | None) -> dict[str, Applied]:
    """What somebody has broken counts as nothing: then nothing is removed, and everything is applied."""
    try:
        said = json.loads((memory or {}).get("data", {}).get(KEY, "{}"))
        return {
            name: Applied(one["sha256"], {Ref(*ref): uid for *ref, uid in one["objects"]})
            for name, one in said.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        log.warning("the ConfigMap %s/%s can't be read: nothing is removed for now", NAMESPACE, NAME)
        return {}


def _kind(ref: Ref) -> Kind:
    kind = kinds.by_kind(ref.version, ref.kind)
    if kind is None:
        raise NotFound(f"no matches for kind {ref.kind} in version {ref.version}")
    return kind
