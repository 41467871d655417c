"""The two sockets that the API listens on, and clear words when one can't be had."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path

BACKLOG = 1024


class CannotListen(Exception):
    """The address or the socket's path can't be had; the message is for the operator."""


def listen_tcp(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind((address, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise CannotListen(_why_not(f"{address}:{port}", error)) from error
    listener.listen(BACKLOG)
    return listener


def _why_not(where: str, error: Exception) -> str:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return f"cannot listen on {where}: another program does"
    return f"cannot listen on {where}: {getattr(error, 'strerror', None) or error}"


def listen_unix(path: str) -> socket.socket:
    """Nobody but this user may connect, from the first moment on: the mode comes with the bind."""
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        listener.bind(path)
    except OSError as error:
        listener.close()
        raise CannotListen(_why_not(path, error)) from error
    finally:
        os.umask(mask)
    listener.listen(BACKLOG)
    return listener


def _remove_stale(path: str) -> None:
    """A socket that nobody accepts on is left from a server that was killed."""
    try:
        if not stat.S_ISSOCK(Path(path).stat().st_mode):
            raise CannotListen(f"cannot listen on {path}: something that is not a socket is there")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink(missing_ok=True)
            return
    raise CannotListen(f"cannot listen on {path}: another server does")
