"""systemd's login manager in a few lines, on a message bus of its own: enough of org.freedesktop.login1 for
systemd's own programs to talk to."""

from __future__ import annotations

import os
import select
import subprocess
import threading
import time
from pathlib import Path

from jeepney import (
    DBusAddress,
    HeaderFields,
    Message,
    MessageType,
    message_bus,
    new_error,
    new_method_return,
    new_signal,
)
from jeepney.io.blocking import DBusConnection, open_dbus_connection

CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><listen>unix:path={}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
<allow own="*"/></policy></busconfig>
"""


class FakeLogind:
    """`inhibitors` are those that hold a shutdown up: what, who, why, mode."""

    def __init__(self, folder: Path) -> None:
        self.address, self.delay_usec = f"unix:path={folder}/bus", 5_000_000
        self._held: dict[int, tuple[str, ...]] = {}
        (folder / "bus.conf").write_text(CONFIG.format(folder / "bus"))
        command = ["dbus-daemon", f"--config-file={folder}/bus.conf", "--nofork", "--print-address"]
        self._daemon = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self._daemon.stdout
        self._daemon.stdout.readline()
        self._bus: DBusConnection = open_dbus_connection(self.address, enable_fds=True)
        self._bus.send_and_get_reply(message_bus.RequestName("org.freedesktop.login1"))
        self._sending = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="login-manager")
        self._thread.start()

    @property
    def inhibitors(self) -> list[tuple[str, ...]]:
        """One is over when nobody has its other end open any more."""
        for end in list(self._held):
            if select.select([end], [], [], 0)[0]:
                os.close(end)
                del self._held[end]
        return list(self._held.values())

    def wait(self, count: int) -> list[tuple[str, ...]]:
        """The inhibitors once there are so many."""
        until = time.monotonic() + 60
        while len(self.inhibitors) != count and time.monotonic() < until:
            time.sleep(0.02)
        return self.inhibitors

    def announce(self, *, begins: bool) -> None:
        emitter = DBusAddress("/org/freedesktop/login1", interface="org.freedesktop.login1.Manager")
        with self._sending:
            self._bus.send(new_signal(emitter, "PrepareForShutdown", "b", (begins,)))

    def close(self) -> None:
        self._stop.set()
        self._thread.join(60)
        self._bus.close()
        self._daemon.kill()
        self._daemon.communicate()
        for end in self._held:
            os.close(end)

    def _serve(self) -> None:
        while not self._stop.is_set():
            try:
                asked = self._bus.receive(timeout=0.1)
            except TimeoutError:
                continue
            if asked.header.message_type is MessageType.method_call:
                with self._sending:
                    self._answer(asked)

    def _answer(self, asked: Message) -> None:
        match asked.header.fields.get(HeaderFields.member):
            case "Inhibit":
                ours, theirs = os.pipe()
                self._held[ours] = tuple(asked.body)
                self._bus.send(new_method_return(asked, "h", (theirs,)))
                os.close(theirs)
            case "Get" if asked.body[1] == "InhibitDelayMaxUSec":
                self._bus.send(new_method_return(asked, "v", (("t", self.delay_usec),)))
            case _:
                self._bus.send(new_error(asked, "org.freedesktop.DBus.Error.UnknownMethod"))
