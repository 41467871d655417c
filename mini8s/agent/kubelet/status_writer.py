"""Tells the server how pods are: only what changed, each pod's words in order, until they are taken.

A pod that is on its way out is deleted for good once its last status is written. What is said of a pod that
the server no longer has, or has again under another uid, is dropped.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

from mini8s.client.base import RETRY_SECONDS, Api
from mini8s.client.workqueue import WorkQueue
from mini8s.objects import meta
from mini8s.objects.errors import ApiError, Conflict, NotFound, ServiceUnavailable
from mini8s.objects.kinds import PODS, Obj
from mini8s.util.backoff import Backoff

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Said:
    """What is to be said of a pod, what the server was told last, and which revision that made."""

    pod: Obj
    status: Obj
    gone: bool
    written: Obj
    revision: int = 0


class StatusWriter:
    def __init__(self, api: Api, queue: WorkQueue) -> None:
        self._api = api
        self._queue = queue
        self._lock = threading.Lock()  # guards the table
        self._said: dict[str, _Said] = {}
        self._pause = Backoff(first=0.2, most=RETRY_SECONDS)

    def put(self, pod: Obj, status: Obj, *, gone: bool) -> None:
        """`gone`: nothing of the pod is left here, so the server may forget it."""
        uid = meta.uid(pod)
        with self._lock:
            known = self._said.get(uid) or _Said(pod, {}, gone, pod.get("status") or {})
            self._said[uid] = _Said(pod, status, gone, known.written, known.revision)
            if status == known.written and not gone:
                return
        self._queue.add(uid)

    def overwritten(self, pod: Obj) -> bool:
        """Whether somebody else has written into a pod's status since we did: a node that was not heard of
        has its pods called not ready, and nobody but us takes that back."""
        status = pod.get("status") or {}
        with self._lock:
            known = self._said.get(meta.uid(pod))
            if (
                known is None
                or meta.revision(pod) <= known.revision
                or status in (known.written, known.status)
            ):
                return False
            known.written = status
        return True

    def forget(self, uid: str) -> None:
        with self._lock:
            self._said.pop(uid, None)

    def step(self) -> float:
        """A round of the writer's thread: one pod's words; the pause before the next, because a server that
        is away is away for all of them."""
        uid = self._queue.get()
        if uid is None:
            return 0.0
        try:
            self.write(uid)
        except ServiceUnavailable:
            self._queue.add(uid)
            return self._pause.failed()
        except ApiError:
            self._queue.add_rate_limited(uid)
        else:
            self._pause.succeeded()
            self._queue.forget(uid)
        finally:
            self._queue.done(uid)
        return 0.0

    def write(self, uid: str) -> None:
        """Say what is to be said of one pod. Raises what may be tried again."""
        with self._lock:
            said = self._said.get(uid)
        if said is None:
            return
        try:
            self._write(uid, said)
        except NotFound:
            self.forget(uid)
        except Conflict as error:
            log.info("%s is another pod now: %s", meta.key(said.pod), error)
            self.forget(uid)
        except ApiError as error:
            if error.retry:
                raise
            log.warning("status of %s refused: %s", meta.key(said.pod), error)

    def _write(self, uid: str, said: _Said) -> None:
        namespace, name = meta.namespace(said.pod), meta.name(said.pod)
        change = difference(said.written, said.status)
        if change:
            patch = {"metadata": {"uid": uid}, "status": change}
            made = self._api.patch_status(PODS, namespace, name, patch)
            with self._lock:
                if uid in self._said:
                    self._said[uid].written, self._said[uid].revision = said.status, meta.revision(made)
        if said.gone:
            self._api.delete(PODS, namespace, name, uid=uid, grace_seconds=0)


def difference(old: Obj, new: Obj) -> Obj:
    """The merge patch from one status to another; lists are replaced whole."""
    changed = {key: value for key, value in new.items() if old.get(key) != value}
    return changed | {key: None for key in old if key not in new}
