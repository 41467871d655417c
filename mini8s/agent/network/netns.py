"""Doing something inside another network namespace, from a short-lived thread of its own: a namespace belongs
to a thread, and one that failed to come back would poison everything that runs on it later."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from typing import TypeVar

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)

T = TypeVar("T")


def inside(path: str, call: Callable[[], T]) -> T:
    """What `call()` returns or raises in the network namespace at `path` (such as /proc/PID/ns/net). Raises
    OSError when there is no such namespace."""
    return _in_thread(lambda: _enter(path), call)


def _enter(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.setns(descriptor, _CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, f"cannot enter {path}: {os.strerror(number)}")
    finally:
        os.close(descriptor)


def scratch(call: Callable[[], T]) -> T:
    """What `call()` returns or raises in a network namespace of its own, which ends with it. Raises
    OSError."""
    return _in_thread(_leave, call)


def _in_thread(go: Callable[[], None], call: Callable[[], T]) -> T:
    values: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            go()
            values.append(call())
        except BaseException as error:  # handed to the caller
            errors.append(error)

    thread = threading.Thread(target=run, name="netns")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return values[0]


def _leave() -> None:
    if _libc.unshare(_CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
