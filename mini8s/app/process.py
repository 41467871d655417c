"""What every child process does at its start."""

from __future__ import annotations

import ctypes
import gc
import resource
import signal

from mini8s.util.workers import Stop

_M_ARENA_MAX = -8  # mallopt(3)


def stop_on_sigterm() -> Stop:
    """The process's stop, set by SIGTERM and SIGINT."""
    stop = Stop()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def limit_arenas() -> None:
    """Keep glibc from giving each thread a heap of its own: with a dozen mostly idle threads that is memory
    that nobody uses. Other C libraries don't know mallopt, and need no limit."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 2)


def settle() -> None:
    """To be called when a process has started: what is there now stays, so the collector need not look at it
    again (a round over all that was imported holds everything up for 50 ms), and what only the start needed
    goes back to the system, which glibc does not do by itself in the midst of its heap."""
    gc.collect()
    gc.freeze()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def raise_file_limit(most: int) -> int:
    """Let this process have up to `most` open files, if its hard limit does; how many it may have. Shells and
    service managers give 1,024 to start with, for the sake of programs that use select(2)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed
