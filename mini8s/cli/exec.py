"""`mini8s exec`: a command in a container, with its ends here."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import ssl
import sys
import termios
import threading
import tty
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import click

from mini8s.cli.connect import connect, connection_options
from mini8s.cli.errors import CommandError
from mini8s.cli.logs import pod_of
from mini8s.cli.resources import namespace_option
from mini8s.client import websocket
from mini8s.client.websocket import WebSocket
from mini8s.config import VERSION
from mini8s.objects import kinds
from mini8s.objects.kinds import Obj

PROTOCOL = "v5.channel.k8s.io"
_STDIN, _STDOUT, _STDERR, _STATUS, _RESIZE, _CLOSE = 0, 1, 2, 3, 4, 255
_CHUNK = 32_768


@click.command("exec", context_settings={"allow_interspersed_args": False})
@click.option("-c", "--container", default="", help="Container, where the pod has several.")
@click.option("-i", "--stdin", is_flag=True, help="Pass on what comes on standard input.")
@click.option("-t", "--tty", "terminal", is_flag=True, help="Let it have a terminal.")
@namespace_option
@connection_options
@click.argument("word", metavar="POD|TYPE/NAME")
@click.argument("words", nargs=-1, required=True, metavar="[--] COMMAND [ARGS]...")
def command(
    *,
    container: str,
    stdin: bool,
    terminal: bool,
    namespace: str,
    kubeconfig: str,
    data_dir: str,
    word: str,
    words: tuple[str, ...],
) -> None:
    """Run a command in a container; its exit code is this one's."""
    rest = connect(kubeconfig, data_dir)
    path = kinds.PODS.path(namespace, pod_of(rest, word, namespace), "exec")
    terminal = terminal and os.isatty(0)
    words = words[1:] if words[0] == "--" else words  # what stands before it was POD
    query: list[tuple[str, str]] = [("command", one) for one in words]
    query += [("container", container)] if container else []
    query += [("stdout", "true"), ("stderr", str(not terminal).lower())]
    query += [("stdin", "true")] if stdin else []
    query += [("tty", "true")] if terminal else []
    target = f"{path}?{urlencode(query)}"
    session = websocket.connect(rest.endpoint, target, PROTOCOL, user_agent=f"mini8s/{VERSION}")
    try:
        with _raw() if terminal else contextlib.nullcontext():
            if terminal:
                _follow_size(session)
            if stdin:
                threading.Thread(target=_pass_on, args=(session,), daemon=True).start()
            status = pass_out(session)
    finally:
        session.close()
    sys.exit(exit_code(status))


def exit_code(status: Obj | None) -> int:
    """Of the Status at the end (KEP-3288's predecessor, the v4 protocol). Raises CommandError."""
    if status is None:
        raise CommandError("the connection ended before the command did")
    if status.get("status") == "Success":
        return 0
    causes = (status.get("details") or {}).get("causes") or ()
    codes = [cause["message"] for cause in causes if cause.get("reason") == "ExitCode"]
    if not codes:
        raise CommandError(str(status.get("message") or "the command could not be run"))
    return int(codes[0])


def pass_out(session: WebSocket) -> Obj | None:
    """Until the command's end; what was said of it, None when the server went away."""
    outputs = {_STDOUT: sys.stdout.buffer, _STDERR: sys.stderr.buffer}
    try:
        for message in session.messages():
            channel, payload = message[0], message[1:]
            if channel == _STATUS:
                said: Obj = json.loads(payload)
                return said
            if output := outputs.get(channel):
                output.write(payload)
                output.flush()
    except (ConnectionResetError, ssl.SSLError):
        return None
    return None


def _pass_on(session: WebSocket) -> None:
    """Until this side's end of input, which the other side is told (v5)."""
    with contextlib.suppress(OSError):  # the command has ended, and nobody reads any more
        while data := os.read(0, _CHUNK):
            session.send(bytes((_STDIN,)) + data)
        session.send(bytes((_CLOSE, _STDIN)))


def _follow_size(session: WebSocket) -> None:
    def tell(*_: Any) -> None:
        size = shutil.get_terminal_size()
        said = json.dumps({"Width": size.columns, "Height": size.lines}).encode()
        with contextlib.suppress(OSError):
            session.send(bytes((_RESIZE,)) + said)

    signal.signal(signal.SIGWINCH, tell)
    tell()


@contextlib.contextmanager
def _raw() -> Iterator[None]:
    """The terminal passes on each key as it is, and is as it was afterwards."""
    before = termios.tcgetattr(0)
    tty.setraw(0, termios.TCSADRAIN)  # what was typed already is not lost
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
