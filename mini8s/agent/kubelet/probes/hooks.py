"""Runs postStart and preStop hooks, each in a thread of its own: a hook may take as long as a grace is, and
must hold up neither the pod's worker nor another pod.

A hook that was begun by an agent that is no more is begun again: delivery is at least once, as the API
promises. What a hook that sleeps needs is a time only, so it costs no thread. Words are upstream's
(`lifecycle/handlers.go`).
"""

from __future__ import annotations

import http.client
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from mini8s.agent.kubelet.actions import Hook, HookKey, HookState, RunHook
from mini8s.agent.kubelet.images.images import field_path
from mini8s.agent.kubelet.probes import handlers, http_get
from mini8s.agent.kubelet.view import identity
from mini8s.agent.runtime.base import EngineDown, EngineError, Runtime
from mini8s.client.base import EventSink
from mini8s.objects.kinds import Obj
from mini8s.util.clock import SteadyTime

log = logging.getLogger(__name__)

AGENT = "kube-lifecycle/1.33"
LONGEST_SECONDS = 86400.0  # of a postStart hook, which has no limit in the API: nobody waits for a day
# an event doesn't say more: what a hook printed may be nobody's business
TOLD = {
    Hook.POST_START: ("FailedPostStartHook", "PostStartHook failed"),
    Hook.PRE_STOP: ("FailedPreStopHook", "PreStopHook failed"),
}


@dataclass(slots=True)
class _Begun:
    """`failure` is None while it runs, then "" or what went wrong; `until` is the end of a sleep."""

    uid: str
    until: datetime | None = None
    failure: str | None = None


class Hooks:
    """`changed` is called with a pod's uid when one of its hooks is over."""

    def __init__(
        self, runtime: Runtime, events: EventSink, time: SteadyTime, changed: Callable[[str], None]
    ) -> None:
        self._runtime = runtime
        self._events = events
        self._time = time
        self._changed = changed
        self._lock = threading.Lock()  # guards the table
        self._begun: dict[HookKey, _Begun] = {}

    def begin(self, uid: str, pod: Obj | None, address: str, run: RunHook) -> None:
        """Return at once. `pod` is None for one that nobody wants any more: then there are no events."""
        key, sleep = (run.container.id, run.hook), run.handler.get("sleep")
        until = self._time.now() + timedelta(seconds=sleep.get("seconds") or 0) if sleep else None
        with self._lock:
            if key in self._begun:
                return
            self._begun[key] = _Begun(uid, until)
        if not sleep:
            name = f"hook-{run.container.name}"
            threading.Thread(target=self._run, args=(key, pod, address, run), name=name, daemon=True).start()

    def states(self, uid: str) -> Mapping[HookKey, HookState]:
        """Of one pod's hooks."""
        with self._lock:
            now = self._time.now()
            return {key: _state(begun, now) for key, begun in self._begun.items() if begun.uid == uid}

    def posted(self, uid: str) -> Mapping[str, str]:
        """How the postStart hooks of a pod's containers ended, those that did: "" when well."""
        with self._lock:
            now = self._time.now()
            return {
                key[0]: begun.failure or ""
                for key, begun in self._begun.items()
                if begun.uid == uid and key[1] is Hook.POST_START and _state(begun, now).over
            }

    def keep(self, uid: str, alive: set[str]) -> None:
        """Forget the hooks of a pod's containers that don't run any more."""
        with self._lock:
            gone = [key for key, begun in self._begun.items() if begun.uid == uid and key[0] not in alive]
            for key in gone:
                del self._begun[key]

    def _run(self, key: HookKey, pod: Obj | None, address: str, run: RunHook) -> None:
        try:
            failure = self._failure(pod, address, run)
        except EngineDown:
            with self._lock:
                self._begun.pop(key, None)  # nothing is known: it is begun again
            return
        if failure and pod is not None:
            where = field_path(pod, run.container.name)
            reason, message = TOLD[run.hook]
            self._events.event(pod, "Warning", reason, message, field_path=where)
        with self._lock:
            begun = self._begun.get(key)
            if begun is None:
                return
            begun.failure = failure
        self._changed(begun.uid)

    def _failure(self, pod: Obj | None, address: str, run: RunHook) -> str:
        whose = f'Container "{run.container.name}" in Pod "{identity(pod) if pod else ""}"'
        handler, seconds = run.handler, run.seconds or LONGEST_SECONDS
        if "exec" in handler:
            command = handler["exec"].get("command") or []
            failed, said = self._exec(run.container.id, command, seconds)
            shown = f"[{' '.join(command)}]"
            told = f'Exec lifecycle hook ({shown}) for {whose} failed - error: {failed}, message: "{said}"'
        elif "httpGet" in handler:
            failed = _http(handler["httpGet"], address, seconds)
            told = (
                f"HTTP lifecycle hook ({handler['httpGet'].get('path')}) for {whose} failed - error: {failed}"
            )
        else:
            failed, told = "no handler", f"Cannot run handler: invalid handler: {handler}"
        if failed:
            log.info("%s", told)
        return told if failed else ""

    def _exec(self, container_id: str, command: list[str], seconds: float) -> tuple[str, str]:
        """What went wrong, and what it printed."""
        try:
            result = self._runtime.exec(container_id, command, seconds)
        except TimeoutError:
            return f"command timed out after {seconds:g}s", ""
        except EngineDown:
            raise
        except EngineError as error:
            return str(error), ""
        failed = f"command '{' '.join(command)}' exited with {result.exit_code}" if result.exit_code else ""
        return failed, result.output.decode(errors="replace")


def _http(target: Obj, address: str, seconds: float) -> str:
    """Any answer will do."""
    get = handlers.http(target, address, {})
    if isinstance(get, handlers.Unknown):
        return get.reason
    try:
        http_get.get(get.url, get.headers, seconds, AGENT)
    except TimeoutError:
        return f'Get "{get.url}": context deadline exceeded'
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f'Get "{get.url}": {http_get.words(get.url, error)}'
    return ""


def _state(begun: _Begun, now: datetime) -> HookState:
    if begun.until is not None:
        return HookState(now >= begun.until, begun.until)
    return HookState(begun.failure is not None)
