"""What every child process does at its start."""

from __future__ import annotations

import ctypes
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
