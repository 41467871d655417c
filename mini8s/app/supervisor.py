"""The parent process: starts children, starts again what dies, ends them all when told to.

The parent stays small and single-threaded, so that it can fork: children share its pages and need no
hand-over of settings. It reacts to signals only through a pipe, and a child can't outlive it: the kernel
kills the children of a parent that dies (prctl(2), PR_SET_PDEATHSIG), so that the next start finds no
leftovers. Everything a child does must stand such an end anyway.

A child that is ready beats through its pipe from a thread of its own (in the api a greenlet, so that a loop
that is held up is noticed). One that is silent for too long hangs: it is killed, and starts again. systemd's
watchdog (sd_notify(3)) is told only while nobody hangs. The same thread hears what the parent has to tell
after a reload.
"""

from __future__ import annotations

import ctypes
import importlib
import logging
import os
import select
import selectors
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from mini8s.app.news import News, tell
from mini8s.app.process import settle
from mini8s.util.backoff import Backoff
from mini8s.util.log import set_level
from mini8s.util.notify import notify

log = logging.getLogger(__name__)

FATAL = 78  # EX_CONFIG of sysexits(3): a child that ends so has said why, and another try is pointless
STOP_SECONDS = 4.5  # what each of two waves of children may take: operators are promised 10 s in all
BEAT_SECONDS = 10.0
HANGS_SECONDS = 60.0  # a board that swaps may not come round for half as long
STEADY_SECONDS = 60.0  # a child that lived as long starts again without a pause
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15

Ready = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Reloaded:
    """`told` goes to every child, who is named in `again` starts again, and whoever starts from now on does
    `runs`."""

    told: Mapping[str, Any]
    again: Sequence[str]
    runs: Mapping[str, Callable[[Ready], int]]


@dataclass(slots=True)
class Child:
    """One process. `run` gets a function to call when it is ready, and returns its exit code. What it needs
    of `module` is imported while the first child still starts."""

    name: str
    run: Callable[[Ready], int]
    module: str = ""
    news: News = field(default_factory=News)
    pid: int = 0
    ready_fd: int = -1
    news_fd: int = -1
    ready: bool = False
    beat: float = 0.0  # when it was last heard
    started: float = 0.0
    again_at: float = 0.0
    called_back: bool = False  # told to end, to start with other settings
    backoff: Backoff = field(default_factory=lambda: Backoff(first=0.5, most=30.0))


class Supervisor:
    """Runs its children until SIGTERM or SIGINT, or until one of them says that it can't be.

    The others wait, with their imports done, until the first has been ready once, so that a start makes no
    vain tries. What they wait at is a pipe that ends when the parent closes it.
    """

    def __init__(
        self, children: Sequence[Child], reload: Callable[[], Reloaded | None] = lambda: None
    ) -> None:
        self._children = list(children)
        self._reload = reload
        self._selector = selectors.DefaultSelector()
        self._gate, self._gate_key = os.pipe2(os.O_CLOEXEC)
        self._wakeup = -1  # the pipe into which the interpreter writes each signal's number
        self._stopping = False
        self._exit_code = 0
        self._announced = False

    def run(self) -> int:
        """The exit code for the whole process."""
        self._catch_signals()
        settle()  # the collector shall not touch, and so copy, pages that children share
        while not self._stopping:
            self._start_due(time.monotonic())
            self._end_hanging(time.monotonic())
            self._announce()
            self._take(self._pause(time.monotonic()))
        self._end_all()
        return self._exit_code

    def _catch_signals(self) -> None:
        self._wakeup, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        by_hand = os.isatty(0)  # then a hang-up is the terminal's end, and ours
        hangup = () if by_hand else (signal.SIGHUP,)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, *hangup):
            signal.signal(number, lambda *_: None)
        self._selector.register(self._wakeup, selectors.EVENT_READ)

    def _take(self, seconds: float | None) -> None:
        """Wait for signals and children that say they are ready, and take what came."""
        for key, _ in self._selector.select(seconds):
            if key.data is None:
                self._take_signals(os.read(self._wakeup, 64))
            else:
                self._take_ready(key.data)

    def _start_due(self, now: float) -> None:
        for child in self._children:
            if not child.pid and now >= child.again_at:
                self._start(child, now)

    def _start(self, child: Child, now: float) -> None:
        read, write = os.pipe2(os.O_CLOEXEC)
        hear, child.news_fd = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(child.news_fd, False)
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            _become(child, parent, (write, hear), lambda: self._pass_gate(child))
        os.close(write)
        os.close(hear)
        child.pid, child.started, child.ready_fd, child.beat = pid, now, read, 0.0
        self._selector.register(read, selectors.EVENT_READ, child)
        log.debug("started %s, pid %d", child.name, pid)

    def _pass_gate(self, child: Child) -> None:
        """In the child: wait until the gate is open, unless it is the first."""
        if self._gate_key >= 0:
            os.close(self._gate_key)
        if child is not self._children[0]:
            os.read(self._gate, 1)
        os.close(self._gate)

    def _take_ready(self, child: Child) -> None:
        if child.ready_fd < 0:
            return  # its end came in the same moment, and was taken first
        if not os.read(child.ready_fd, 64):
            self._forget_pipe(child)  # it ends
            return
        if not child.beat:
            child.ready = True
            log.info("%s is ready after %.1f s", child.name, time.monotonic() - child.started)
            if child is self._children[0] and self._gate_key >= 0:
                os.close(self._gate_key)
                self._gate_key = -1
        child.beat = time.monotonic()

    def _forget_pipe(self, child: Child) -> None:
        if child.ready_fd >= 0:
            self._selector.unregister(child.ready_fd)
            os.close(child.ready_fd)
            os.close(child.news_fd)
            child.ready_fd = child.news_fd = -1

    def _end_hanging(self, now: float) -> None:
        """Kill who is silent. A parent that comes late to see it was held up itself, and so, maybe, were they
        (a paused machine, a frozen control group): they get their time again."""
        for child in self._children:
            if child.beat and now - child.beat > HANGS_SECONDS + BEAT_SECONDS:
                child.beat = now
            if child.pid and child.beat and now - child.beat > HANGS_SECONDS:
                log.error("%s was silent for %.0f s and is killed", child.name, now - child.beat)
                os.kill(child.pid, signal.SIGKILL)
                child.beat = 0.0

    def _announce(self) -> None:
        if not self._announced and all(child.ready for child in self._children):
            self._announced = True
            notify("READY=1\nSTATUS=running: " + ", ".join(child.name for child in self._children))
        elif self._announced:
            notify("WATCHDOG=1")

    def _take_signals(self, numbers: bytes) -> None:
        if signal.SIGTERM in numbers or signal.SIGINT in numbers:
            self._stopping = True
            notify("STOPPING=1")
        if signal.SIGCHLD in numbers:
            self._reap(time.monotonic())
        if signal.SIGHUP in numbers and not self._stopping:
            self._take_over()

    def _take_over(self) -> None:
        if self._announced:
            notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        if reloaded := self._reload():
            for child in self._children:
                self._hand_over(child, reloaded)
        if self._announced:
            notify("READY=1")

    def _hand_over(self, child: Child, reloaded: Reloaded) -> None:
        child.run = reloaded.runs[child.name]
        if child.pid and child.name in reloaded.again:
            child.called_back = True
            os.kill(child.pid, signal.SIGTERM)
        elif child.news_fd >= 0 and reloaded.told and not tell(child.news_fd, reloaded.told):
            log.warning("%s could not be told what was reloaded", child.name)

    def _reap(self, now: float) -> None:
        for child in self._children:
            if child.pid and (code := _exit_code(child.pid)) is not None:
                child.pid = 0
                self._forget_pipe(child)
                self._ended(child, code, now)

    def _ended(self, child: Child, code: int, now: float) -> None:
        if self._stopping:
            return
        if child.called_back:
            child.called_back = False
            return  # and starts again at once
        if code == FATAL:
            self._stopping, self._exit_code = True, 1
            return
        if now - child.started > STEADY_SECONDS:
            child.backoff.succeeded()
        wait = child.backoff.failed()
        child.again_at = now + wait
        log.error("%s ended with %s, starts again in %.1f s", child.name, _how(code), wait)

    def _pause(self, now: float) -> float | None:
        """Seconds until something is due; None: only a signal or a pipe can bring work."""
        due = [child.again_at - now for child in self._children if not child.pid]
        watchdog = int(os.environ.get("WATCHDOG_USEC", "0")) / 2e6
        due += [watchdog] if watchdog and self._announced else []
        due += [child.beat + HANGS_SECONDS - now for child in self._children if child.pid and child.beat]
        return max(0.0, min(due)) if due else None

    def _end_all(self) -> None:
        """The first goes last, as the others talk to it."""
        first, *others = self._children
        self._end(others)
        self._end([first])

    def _end(self, children: Sequence[Child]) -> None:
        """Ask these to end; kill who doesn't in time."""
        for child in children:
            if child.pid:
                os.kill(child.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while any(child.pid for child in children) and time.monotonic() < deadline:
            self._take(0.2)
        for child in children:
            if child.pid:
                log.warning("%s did not end in %.0f s and is killed", child.name, STOP_SECONDS)
                os.kill(child.pid, signal.SIGKILL)
                os.waitpid(child.pid, 0)
                child.pid = 0


def _become(child: Child, parent: int, pipes: tuple[int, int], wait: Callable[[], None]) -> None:
    """The forked child's whole life; never returns. `pipes`: where it says that it is ready, and where it
    hears news."""
    code = 1
    try:
        _die_with(parent)
        _name(f"mini8s-{child.name}")
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a terminal's end is for the parent alone
        os.environ.pop("NOTIFY_SOCKET", None)
        child.news.subscribe(_set_level)
        if child.module:
            importlib.import_module(child.module)
        wait()
        code = child.run(lambda: _say_ready(*pipes, child.news))
    except BaseException:
        log.exception("%s failed", child.name)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _die_with(parent: int) -> None:
    """Let the kernel kill this process when its parent ends (prctl(2), PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # it ended before prctl


def _name(name: str) -> None:
    """What ps and top call this process (prctl(2), PR_SET_NAME; 15 bytes)."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode()[:15])


def _set_level(said: Mapping[str, Any]) -> None:
    if "log_level" in said:
        set_level(said["log_level"])


def _say_ready(ready_fd: int, news_fd: int, news: News) -> None:
    os.write(ready_fd, b"r")
    threading.Thread(target=_beat, args=(ready_fd, news_fd, news), name="beat", daemon=True).start()


def _beat(ready_fd: int, news_fd: int, news: News) -> None:
    while True:
        due, _, _ = select.select([news_fd], [], [], BEAT_SECONDS)
        if due:
            news.hear(os.read(news_fd, 65_536))
        os.write(ready_fd, b"b")


def _exit_code(pid: int) -> int | None:
    """The exit code of a child that has ended (negative: the signal), None while it lives."""
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def _how(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


class ChildFailed(Exception):
    """A short-lived child ended with an error; its sentence is the message."""


@contextmanager
def in_child(work: Callable[[], object]) -> Iterator[None]:
    """Run work in a forked child beside the body and wait for it at the end, so that what it imports leaves
    with it. Raises ChildFailed."""
    read, write = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _die_with(parent)
        os.close(read)
        os._exit(_work(work, write))
    os.close(write)
    try:
        yield
    finally:
        with os.fdopen(read, "rb") as pipe:
            sentence = pipe.read().decode()
        _, status = os.waitpid(pid, 0)
    if status:
        raise ChildFailed(sentence or f"the child ended with {_how(os.waitstatus_to_exitcode(status))}")


def _work(work: Callable[[], object], pipe: int) -> int:
    try:
        work()
    except Exception as error:
        log.debug("the short-lived child failed", exc_info=True)
        os.write(pipe, str(error).encode()[:4000])
        return 1
    return 0
