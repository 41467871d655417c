"""One pod's round: read what runs, plan, perform, until nothing is left to do; then report.

The queue gives a pod to one worker at a time, so a round needs no lock on its pod's memory.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from mini8s.agent.kubelet import deadline, last_words, volumes
from mini8s.agent.kubelet.actions import CreateSandbox, Plan, StartContainer
from mini8s.agent.kubelet.allocation import allocate
from mini8s.agent.kubelet.executor import Executor, Task
from mini8s.agent.kubelet.images.images import Images, field_path
from mini8s.agent.kubelet.marks import Marks
from mini8s.agent.kubelet.memory import Memory
from mini8s.agent.kubelet.node.fence import LOST
from mini8s.agent.kubelet.plan import plan
from mini8s.agent.kubelet.pod_folder import PodFolder
from mini8s.agent.kubelet.probes.prober import Prober
from mini8s.agent.kubelet.references import References
from mini8s.agent.kubelet.status import Facts, pod_status, start_time
from mini8s.agent.kubelet.status_writer import StatusWriter
from mini8s.agent.kubelet.view import Doom, View, identity
from mini8s.agent.network.base import Ips
from mini8s.agent.runtime.base import EngineDown
from mini8s.agent.runtime.records import RunningPod
from mini8s.objects import meta
from mini8s.objects.kinds import Obj
from mini8s.objects.pods import is_terminal, phase
from mini8s.objects.time import parse_time

log = logging.getLogger(__name__)

RESIZE_SECONDS = 10.0  # how often it is looked whether others have gone, for a pod that waits for that
FENCED_SECONDS = 1.0  # how often it is looked whether a pod may begin on a host that was taken for lost
MOST_ROUNDS = 10  # a plan that never comes to rest is a defect; the next look is a second later


@dataclass(frozen=True, slots=True)
class PodWorker:
    """`wanted` is the pod that is to run under a uid, or None; `shown_by` is the object whose status tells of
    it, None while there is none. `told` is whether the server was heard: what is known from before may be
    older than what it was told last, and a status made of that would take pods out of service. `refusal`
    says why a pod is not even begun; `others` are all pods of the node. `lost` and `may_begin`: whether a pod
    ends, or is begun, on a host that may be taken for lost."""

    executor: Executor
    images: Images
    prober: Prober
    references: References
    tokens: volumes.Tokens
    statuses: StatusWriter
    wanted: Callable[[str], Obj | None]
    shown_by: Callable[[Obj], Obj | None] = lambda pod: pod
    told: Callable[[], bool] = lambda: True
    refusal: Callable[[Obj], Doom | None] = lambda _pod: None
    others: Callable[[], Iterable[Obj]] = tuple
    lost: Callable[[Obj], bool] = lambda _pod: False
    may_begin: Callable[[Obj], bool] = lambda _pod: True
    memories: dict[str, Memory] = field(default_factory=dict)

    def sync(self, uid: str) -> float | None:
        """Bring one pod to rest; seconds after which to look again. Raises EngineDown."""
        told = self.told()  # before the pod is read
        folder = PodFolder.of(self.executor.data_dir, uid)
        memory = self.memories.get(uid) or self._memory(uid, folder)
        pod = self._allocated(uid, memory)
        task = Task(uid, pod, folder, memory)
        if pod is not None:
            self.references.follow(pod)
        try:
            running, done = self._act(task)
        except EngineDown:
            self.report_unseen(uid)
            raise
        memory.backing_off = done.waiting
        if pod is None:
            if done.ended:
                self._forget(uid)
        elif told:
            self._report(task, pod, running, done)
        elif self.told():
            return 0.0
        renewal = self.tokens.renew_in(uid) if task.sandbox else None
        left = None if pod is None or memory.doom else self._time_left(pod, memory)
        again = RESIZE_SECONDS if memory.pending else None
        waits = (done.wake_seconds, renewal, left, again)
        return min((wait for wait in waits if wait is not None), default=None)

    def _allocated(self, uid: str, memory: Memory) -> Obj | None:
        """The pod that is wanted, with the amounts that this node can give it."""
        pod = self.wanted(uid)
        if pod is None:
            return None
        found = allocate(pod, self.others(), self.executor.allocatable)
        memory.pending = found.pending
        return found.pod

    def _time_left(self, pod: Obj, memory: Memory) -> float | None:
        return deadline.left(pod, memory.began, self.executor.time.now())

    def running(self) -> list[RunningPod]:
        """What the engine had of each pod at the last look."""
        seen = [memory.running for memory in list(self.memories.values())]
        return [one for one in seen if one is not None]

    def doom(self, uid: str, doom: Doom) -> None:
        """Have a pod ended at its next round, unless it is about to be already."""
        memory = self.memories.get(uid)
        if memory and not memory.doom:
            memory.doom = doom

    def retry(self, uid: str) -> None:
        """Something that the pod may have waited for has changed."""
        memory = self.memories.get(uid)
        if memory:
            memory.retry_now(self.executor.time.now())

    def _memory(self, uid: str, folder: PodFolder) -> Memory:
        """What is known of a pod at first sight."""
        marks = Marks.read(folder.marks, self.executor.time)
        return self.memories.setdefault(uid, Memory(self.executor.clock.now(), marks))

    def _act(self, task: Task) -> tuple[RunningPod, Plan]:
        for _ in range(MOST_ROUNDS):
            running = self._look(task)
            if self._must_not_begin(task, running):
                return running, Plan(wake_seconds=FENCED_SECONDS)
            remembered = task.memory.remembered(
                self.executor.hooks.states(task.uid), folders=task.folder.exists
            )
            done = plan(self._view(task, running), running, remembered, self.executor.time.now())
            if not done.actions:
                return running, done
            for action in done.actions:
                if isinstance(action, CreateSandbox | StartContainer) and self.wanted(task.uid) is None:
                    break  # deleted meanwhile: what is started now would be ended at once
                self.executor.perform(task, action)
        log.warning("%s does not come to rest: %s", task.uid, done.actions)
        return running, Plan(wake_seconds=1.0)

    def _must_not_begin(self, task: Task, running: RunningPod) -> bool:
        pod = task.pod
        if pod is None or running.sandbox or task.memory.doom or meta.deleting(pod) or is_terminal(pod):
            return False
        return not self.may_begin(pod)

    def _look(self, task: Task) -> RunningPod:
        running = self.executor.runtime.pod(task.uid) or _nothing(task)
        memory, hooks = task.memory, self.executor.hooks
        task.sandbox = running.sandbox
        memory.saw(running)
        hooks.keep(task.uid, {one.id for one in running.containers if one.running})
        memory.marks.hooks_over(hooks.posted(task.uid))
        memory.marks.write()
        if task.pod is not None:
            self._judge_pod(task.pod, memory, running)
            view = self._view(task, running)
            if view is not None:
                self.prober.follow(view, next(iter(self._addresses(task, task.pod)), ""))
        return running

    def _view(self, task: Task, running: RunningPod) -> View | None:
        if task.pod is None:
            return None
        memory = task.memory
        verdicts = self.prober.verdicts(running)
        return View(task.pod, running, verdicts, memory.marks.hooked, memory.doom)

    def _judge_pod(self, pod: Obj, memory: Memory, running: RunningPod) -> None:
        """Whether its time is up, or never comes. When it began is on record with its first sandbox at
        the latest."""
        time = self.executor.time
        memory.since = min([memory.since, *(parse_time(box.created_at) for box in running.sandboxes)])
        if memory.began is None:
            memory.began = time.of_wall(parse_time(start_time(pod, memory.since)))
            self._admit(pod, memory, running)
        if memory.doom or is_terminal(pod):
            return
        if deadline.left(pod, memory.began, time.now()) == 0:
            memory.doom = deadline.EXCEEDED
            self.executor.events.event(pod, "Normal", memory.doom.reason, memory.doom.message)
        elif running.sandbox and self.lost(pod):
            memory.doom = LOST
            self.executor.events.event(pod, "Warning", LOST.reason, LOST.message)
        elif not running.sandboxes and (refused := self.executor.isolation.rejects(pod)):
            self._reject(pod, memory, refused.reason, refused.message)

    def _reject(self, pod: Obj, memory: Memory, reason: str, message: str) -> None:
        memory.doom = Doom(reason, f"Pod was rejected: {message}")
        self.executor.events.event(pod, "Warning", reason, message)

    def _admit(self, pod: Obj, memory: Memory, running: RunningPod) -> None:
        """At first sight, of a pod that nothing was done about yet."""
        begun = running.sandboxes or running.containers or phase(pod) == "Running"
        refused = None if begun or is_terminal(pod) or meta.deleting(pod) else self.refusal(pod)
        if refused:
            self._reject(pod, memory, refused.reason, refused.message)

    def _addresses(self, task: Task, pod: Obj) -> Ips:
        """What it has, and unless it is on its way out, what it gets."""
        if not meta.deleting(pod):
            return self.executor.addresses(task, pod)
        host_network = pod["spec"].get("hostNetwork")
        return self.executor.host_ips if host_network else self.executor.network.addresses(task.uid)

    def report_unseen(self, uid: str) -> None:
        """The probes still tell who serves when the engine tells nothing: no Service shall wait for it. The
        pod's own worker may hang in the engine just now, so nothing is asked and nothing noted here."""
        told, memory = self.told(), self.memories.get(uid)
        seen = memory.running if memory else None
        pod = self._allocated(uid, memory) if memory else None
        if not told or pod is None or memory is None or seen is None or meta.deleting(pod):
            return
        task = Task(uid, pod, PodFolder.of(self.executor.data_dir, uid), memory, seen.sandbox)
        view = self._view(task, seen)
        if view is not None:
            known = memory.addresses.get(seen.sandbox.id, ()) if seen.sandbox else ()
            addresses = self.executor.host_ips if view.host_network else known
            self._put(task, view, Plan(waiting=memory.backing_off), addresses, dict(memory.last_words))

    def _report(self, task: Task, pod: Obj, running: RunningPod, done: Plan) -> None:
        view = self._view(task, running)
        if view is None:
            return
        if task.sandbox and volumes.has_files(pod) and not meta.deleting(pod):
            self.executor.refresh_files(task, pod)
        self._tell_back_off(task, pod, done)
        self._put(task, view, done, self._addresses(task, pod), self._last_words(task, view))

    def _put(self, task: Task, view: View, done: Plan, addresses: Ips, words: Mapping[str, str]) -> None:
        """Have the server told how the pod is."""
        pod = view.pod
        facts = Facts(
            now=self.executor.clock.now(),
            since=task.memory.since,
            host_ips=self.executor.host_ips,
            pod_ips=addresses,
            last_ips=task.memory.last_addresses,
            at_end=done.ended and (meta.deleting(pod) or view.doom is not None),
            pending=task.memory.pending,
            waiting=task.memory.waiting(done.waiting),
            last_words=words,
        )
        status = (pod.get("status") or {}) if view.said_terminal else pod_status(view, facts)
        shown = self.shown_by(pod)
        if shown is not None:
            self.statuses.put(shown, status, gone=done.ended and meta.deleting(pod))

    def _last_words(self, task: Task, view: View) -> dict[str, str]:
        """Read once for each container that ended."""
        known = task.memory.last_words
        for wanted in view.everyone:
            for ended in view.running.containers:
                if ended.name == wanted.name and ended.state == "exited" and ended.id not in known:
                    path = task.folder.last_words(ended.name, ended.attempt)
                    known[ended.id] = last_words.read(path, wanted.spec, ended, self.executor.runtime)
        return known

    def _tell_back_off(self, task: Task, pod: Obj, done: Plan) -> None:
        """The BackOff event, once for each back-off."""
        said = "".join(f"{name} {message}" for name, message in sorted(done.waiting.items()))
        if said and said != task.memory.said:
            for name in done.waiting:
                message = f"Back-off restarting failed container {name} in pod {identity(pod)}"
                where = field_path(pod, name)
                self.executor.events.event(pod, "Warning", "BackOff", message, field_path=where)
        task.memory.said = said

    def _forget(self, uid: str) -> None:
        self.memories.pop(uid, None)
        self.prober.forget(uid)
        self.images.forget(uid)
        self.references.forget(uid)
        self.tokens.forget(uid)
        self.statuses.forget(uid)


def _nothing(task: Task) -> RunningPod:
    pod = task.pod or {}
    return RunningPod(meta.namespace(pod), meta.name(pod), task.uid)
