"""What every container engine must do: the fake in memory, and a real Docker on a test host."""

from __future__ import annotations

import gc
import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from fakes.runtime import FakeRuntime
from hosts import Host

from mini8s.agent.runtime.base import (
    Attached,
    EngineDown,
    EngineError,
    ImageNotPresent,
    ImagePullFailed,
    NoSuchContainer,
    RegistryAway,
    Runtime,
    StartFailed,
)
from mini8s.agent.runtime.docker import facts
from mini8s.agent.runtime.docker.engine import DockerEngine
from mini8s.agent.runtime.records import Sandbox
from mini8s.agent.runtime.specs import ContainerSpec, Resources, SandboxSpec

IMAGE = "mini8s-busybox:1"
ARCHIVE = "mini8s-busybox.tar"


@dataclass
class Place:
    runtime: Runtime
    archive: str
    real: bool
    sequence: int = 0

    def uid(self) -> str:
        self.sequence += 1
        return f"00000000-0000-4000-8000-{os.getpid():06d}{self.sequence:06d}"


def _fake(tmp_path: Path) -> Place:
    runtime = FakeRuntime(lambda: datetime.now(UTC))
    runtime.archives[ARCHIVE] = [IMAGE]
    return Place(runtime, ARCHIVE, real=False)


@pytest.fixture(scope="module")
def engine(engine_host: Host, image_archives: list[Path]) -> Iterator[Place]:
    archive = next(path for path in image_archives if "busybox" in path.name)
    runtime = DockerEngine(engine_host.docker_host)
    yield Place(runtime, str(archive), real=True)
    runtime.close()


@pytest.fixture(params=["fake", "docker"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "fake":
        made = _fake(tmp_path)
        made.runtime.load(made.archive)
        return made
    return request.getfixturevalue("engine")


def sandbox(uid: str, attempt: int = 0) -> SandboxSpec:
    return SandboxSpec("default", "p", uid, attempt, "p-host", labels={"mini8s.io/grace-seconds": "7"})


def started(place: Place, uid: str, attempt: int = 0) -> Sandbox:
    return place.runtime.start_sandbox(place.runtime.create_sandbox(sandbox(uid, attempt)))


def container(uid: str, *command: str, name: str = "c", attempt: int = 0, **more: Any) -> ContainerSpec:
    return ContainerSpec("default", "p", uid, name, attempt, IMAGE, command=command, **more)


def until(true: Any, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.02)


def test_a_pod_is_read_back_from_the_engine_alone(place: Place) -> None:
    uid = place.uid()
    box = started(place, uid)
    made = place.runtime.create_container(box.id, container(uid, "sleep", "600", labels={"note": "x"}))
    place.runtime.start_container(made)
    found = place.runtime.pod(uid)
    assert found is not None
    assert (found.namespace, found.name, found.uid) == ("default", "p", uid)
    assert found.sandbox is not None
    assert found.sandbox.pid > 0
    assert found.sandbox.labels["mini8s.io/grace-seconds"] == "7"
    one = found.newest("c")
    assert one is not None
    assert (one.id, one.running, one.ended, one.sandbox_id) == (made, True, False, box.id)
    assert one.labels["note"] == "x"
    assert one.started_at
    assert not one.finished_at
    _remove(place, uid)


def test_a_container_that_nobody_started_neither_runs_nor_ended(place: Place) -> None:
    uid = place.uid()
    box = started(place, uid)
    place.runtime.create_container(box.id, container(uid, "sleep", "600"))
    one = place.runtime.pod(uid).newest("c")  # type: ignore[union-attr]
    assert (one.state, one.running, one.ended) == ("created", False, False)
    _remove(place, uid)


def test_a_container_is_made_before_its_sandbox_runs_and_started_after(place: Place) -> None:
    uid = place.uid()
    box = place.runtime.create_sandbox(sandbox(uid))
    assert not place.runtime.pod(uid).sandboxes[0].running  # type: ignore[union-attr]
    made = place.runtime.create_container(box, container(uid, "sleep", "600"))
    assert place.runtime.start_sandbox(box).pid > 0
    place.runtime.start_container(made)
    assert place.runtime.pod(uid).newest("c").running  # type: ignore[union-attr]
    other = place.uid()
    idle = place.runtime.create_sandbox(sandbox(other))
    late = place.runtime.create_container(idle, container(other, "true"))
    with pytest.raises(StartFailed):
        place.runtime.start_container(late)
    _remove(place, uid)
    _remove(place, other)


def test_a_leftover_of_the_same_attempt_gives_way_unless_it_runs(place: Place) -> None:
    uid = place.uid()
    box = started(place, uid)
    first = place.runtime.create_container(box.id, container(uid, "sleep", "600"))
    second = place.runtime.create_container(box.id, container(uid, "sleep", "600"))
    assert first != second
    place.runtime.start_container(second)
    with pytest.raises(EngineError):
        place.runtime.create_container(box.id, container(uid, "sleep", "600"))
    assert [one.id for one in place.runtime.pod(uid).containers] == [second]  # type: ignore[union-attr]
    _remove(place, uid)


def test_other_amounts_for_a_container_that_runs(place: Place) -> None:
    uid, had = place.uid(), Resources(cpu_shares=100, cpu_quota_us=10_000, memory_bytes=16 << 20)
    box = started(place, uid)
    made = place.runtime.create_container(box.id, container(uid, "sleep", "600", resources=had))
    place.runtime.start_container(made)
    wanted = Resources(cpu_shares=200, cpu_quota_us=20_000, memory_bytes=32 << 20)
    for amounts in (had, wanted):
        place.runtime.resize_container(made, amounts)
        one = place.runtime.pod(uid).newest("c")  # type: ignore[union-attr]
        assert (one.resources, one.running) == (amounts, True)
    _remove(place, uid)


def test_newest_attempts_come_first(place: Place) -> None:
    uid = place.uid()
    box = started(place, uid)
    for attempt in (0, 1, 2):
        place.runtime.create_container(box.id, container(uid, "true", attempt=attempt))
    assert [one.attempt for one in place.runtime.pod(uid).containers] == [2, 1, 0]  # type: ignore[union-attr]
    _remove(place, uid)


def test_sigterm_then_sigkill_end_a_container_and_neither_waits(place: Place) -> None:
    uid = place.uid()
    box = started(place, uid)
    made = place.runtime.create_container(
        box.id, container(uid, "sh", "-c", "trap '' TERM; echo deaf; sleep 600 & wait; sleep 600")
    )
    if not place.real:
        place.runtime.stubborn = True  # type: ignore[attr-defined]
    place.runtime.start_container(made)
    if place.real:
        until(lambda: b"".join(place.runtime.logs(made)) == b"deaf\n")
    place.runtime.terminate_container(made)
    assert place.runtime.pod(uid).newest("c").running  # type: ignore[union-attr]
    place.runtime.kill_container(made)
    until(lambda: place.runtime.pod(uid).newest("c").ended)  # type: ignore[union-attr]
    one = place.runtime.pod(uid).newest("c")  # type: ignore[union-attr]
    assert (one.state, one.exit_code, bool(one.finished_at)) == ("exited", 137, True)
    place.runtime.kill_container(made)
    place.runtime.terminate_container(made)
    _remove(place, uid)


def test_a_command_that_is_not_there_leaves_a_record(place: Place) -> None:
    uid = place.uid()
    if not place.real:
        place.runtime.refuse_start["c"] = "no such file"  # type: ignore[attr-defined]
    box = started(place, uid)
    made = place.runtime.create_container(box.id, container(uid, "/no/such/command"))
    with pytest.raises(StartFailed, match="no such file"):
        place.runtime.start_container(made)
    one = place.runtime.pod(uid).newest("c")  # type: ignore[union-attr]
    assert one.ended
    assert "no such file" in one.error
    assert one.exit_code == 127
    _remove(place, uid)


def test_an_image_that_is_not_there(place: Place) -> None:
    uid = place.uid()
    box = started(place, uid)
    missing = ContainerSpec("default", "p", uid, "c", 0, "no-such-image:1")
    with pytest.raises(ImageNotPresent):
        place.runtime.create_container(box.id, missing)
    assert place.runtime.image("no-such-image:1") is None
    with pytest.raises(ImagePullFailed):
        place.runtime.pull("no-such-image:1")
    with pytest.raises(RegistryAway):
        place.runtime.pull("192.0.2.1:5000/image:1")
    _remove(place, uid)


def test_an_image_goes_when_no_container_has_it(place: Place) -> None:
    uid = place.uid()
    box = started(place, uid)
    place.runtime.create_container(box.id, container(uid, "true"))
    image = place.runtime.image(IMAGE)
    assert image
    with pytest.raises(EngineError):
        place.runtime.remove_image(image)
    assert place.runtime.image(IMAGE) is not None
    _remove(place, uid)
    for _ in range(2):
        place.runtime.remove_image(image)
    assert place.runtime.image(IMAGE) is None
    assert place.runtime.load(place.archive)
    if place.real:
        assert [
            any("pause" in name for name in one.names) for one in place.runtime.images() if one.pinned
        ] == [True]


def test_what_is_gone_already_is_no_error_to_remove(place: Place) -> None:
    uid = place.uid()
    box = started(place, uid)
    made = place.runtime.create_container(box.id, container(uid, "true"))
    for _ in range(2):
        place.runtime.remove_container(made)
        place.runtime.remove_sandbox(box.id)
    assert place.runtime.pod(uid) is None
    assert uid not in place.runtime.pods()
    with pytest.raises(NoSuchContainer):
        place.runtime.logs(made)


def test_a_trace_differs_when_something_happened(place: Place) -> None:
    uid = place.uid()
    box = started(place, uid)
    before = place.runtime.pods()[uid]
    assert place.runtime.pods()[uid] == before
    made = place.runtime.create_container(box.id, container(uid, "sleep", "600"))
    created = place.runtime.pods()[uid]
    place.runtime.start_container(made)
    assert len({before, created, place.runtime.pods()[uid]}) == 3
    _remove(place, uid)


def test_changes_tell_the_uid_and_end_with_close(place: Place) -> None:
    uid, heard = place.uid(), []
    runtime = DockerEngine(place.runtime._host) if place.real else place.runtime  # type: ignore[attr-defined]
    listener = threading.Thread(target=lambda: heard.extend(runtime.changes()), daemon=True)
    listener.start()
    attempts = count()

    def told() -> bool:
        """A change that comes before the listener does is heard by nobody."""
        place.runtime.remove_sandbox(started(place, uid, next(attempts)).id)
        listener.join(0.2 if place.real else 0)
        return uid in heard or not place.real

    until(told)
    runtime.close()
    listener.join(60)
    assert not listener.is_alive()
    assert uid in heard
    _remove(place, uid)


def test_a_command_inside_a_container(place: Place) -> None:
    uid = place.uid()
    box = started(place, uid)
    made = place.runtime.create_container(box.id, container(uid, "sleep", "600"))
    with pytest.raises(EngineError):
        place.runtime.exec(made, ["true"], 5)
    place.runtime.start_container(made)
    assert place.runtime.exec(made, ["true"], 5).exit_code == 0
    if place.real:
        failed = place.runtime.exec(made, ["sh", "-c", "hostname; echo bad >&2; exit 3"], 5)
        assert (failed.exit_code, sorted(failed.output.split())) == (3, [b"bad", b"p-host"])
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            place.runtime.exec(made, ["sleep", "30"], 0.5)
        assert time.monotonic() - began < 25
        assert b"sleep 30" not in place.runtime.exec(made, ["ps"], 5).output
    _remove(place, uid)


def everything(attached: Attached) -> dict[int, bytes]:
    """What a process says until its output ends, by channel."""
    found = {1: b"", 2: b""}
    data = attached.begun or attached.sock.recv(1000)
    while data:
        for channel, piece in attached.pieces(data):
            found[channel] += piece
        data = attached.sock.recv(1000)
    return found


def test_a_process_whose_ends_are_ours(place: Place) -> None:
    uid = place.uid()
    box = started(place, uid)
    made = place.runtime.create_container(box.id, container(uid, "cat", stdin=True))
    with pytest.raises(EngineError):
        place.runtime.open_exec(made, ["true"], stdin=False, tty=False)
    with pytest.raises(NoSuchContainer):
        place.runtime.attach("nowhere", stdin=False)
    place.runtime.start_container(made)
    for attached in (
        place.runtime.open_exec(made, ["sleep", "77"], stdin=True, tty=False),
        place.runtime.attach(made, stdin=True),
    ):
        attached.abandon()
        attached.close()
        attached.close()
    for one in [] if place.real else place.runtime.attached:  # type: ignore[attr-defined]
        one.process.close()
    _remove(place, uid)


def test_a_process_in_a_container_on_docker(engine: Place) -> None:
    uid = engine.uid()
    box = started(engine, uid)
    made = engine.runtime.create_container(box.id, container(uid, "cat", stdin=True))
    engine.runtime.start_container(made)
    open_exec = partial(engine.runtime.open_exec, made)

    said = open_exec(["sh", "-c", "echo out; echo bad >&2; cat; exit 3"], stdin=True, tty=False)
    said.sock.sendall(b"in")
    said.sock.shutdown(socket.SHUT_WR)
    assert everything(said) == {1: b"out\nin", 2: b"bad\n"}
    assert said.exit_code() == 3

    absent = open_exec(["/no/such"], stdin=False, tty=False)
    assert b"no such file or directory" in everything(absent)[1]
    assert absent.exit_code() in {126, 127}

    terminal = open_exec(["sh", "-c", "sleep 0.3; stty size; tty"], stdin=True, tty=True)
    terminal.resize(101, 33)
    assert everything(terminal)[1].startswith(b"33 101\r\n/dev/pts/")

    left = open_exec(["sleep", "77"], stdin=False, tty=False)
    until(lambda: b"sleep 77" in engine.runtime.exec(made, ["ps"], 5).output)
    left.abandon()
    until(lambda: b"sleep 77" not in engine.runtime.exec(made, ["ps"], 5).output)

    joined = engine.runtime.attach(made, stdin=True)
    joined.sock.sendall(b"hello")
    assert list(joined.pieces(joined.begun or joined.sock.recv(100))) == [(1, b"hello")]
    for one in (said, absent, terminal, left, joined):
        one.close()
    assert engine.runtime.pod(uid).newest("c").running  # type: ignore[union-attr]
    _remove(engine, uid)


def test_images_from_a_file(place: Place) -> None:
    assert IMAGE in place.runtime.load(place.archive)
    assert place.runtime.image(IMAGE) is not None
    assert any(IMAGE in image.names for image in place.runtime.images())
    with pytest.raises(EngineError):
        place.runtime.load(__file__)


def test_a_long_line_on_docker(engine: Place) -> None:
    """The engine keeps it in many pieces; it comes out whole and stamped once."""
    uid = engine.uid()
    box = started(engine, uid)
    script = "head -c 3000000 /dev/zero | tr '\\0' x; echo; echo end"
    made = engine.runtime.create_container(box.id, container(uid, "sh", "-c", script))
    engine.runtime.start_container(made)
    said = b"".join(engine.runtime.logs(made, follow=True, timestamps=True))
    stamp, _, line = said.partition(b"\n")[0].partition(b" ")
    assert (stamp[:2], line == b"x" * 3_000_000) == (b"20", True)
    assert said.endswith(b" end\n")
    _remove(engine, uid)


def test_a_log_begins_new_files_on_docker(engine: Place) -> None:
    """Old lines go, the newest stay; who follows hears each of them once."""
    uid = engine.uid()
    box = started(engine, uid)
    script = (
        "i=0; while [ $i -lt 6000 ]; do [ $((i % 500)) = 0 ] && sleep 0.1; echo line $i; i=$((i+1)); done"
    )
    wanted = replace(container(uid, "sh", "-c", script), log_bytes=50_000, log_files=4)
    made = engine.runtime.create_container(box.id, wanted)
    engine.runtime.start_container(made)
    lines = [b"line %d" % number for number in range(6000)]
    assert b"".join(engine.runtime.logs(made, follow=True)).splitlines() == lines
    kept = b"".join(engine.runtime.logs(made)).splitlines()
    assert 0 < len(kept) < 4000
    assert kept == lines[-len(kept) :]
    assert b"".join(engine.runtime.logs(made, tail=2000)).splitlines() == lines[-2000:]
    _remove(engine, uid)


def test_a_terminals_log_and_what_is_no_text_on_docker(engine: Place) -> None:
    uid = engine.uid()
    box = started(engine, uid)
    script = r"printf 'a\000\001\033[1m\303\251\n'; printf end"
    made = engine.runtime.create_container(box.id, container(uid, "sh", "-c", script, tty=True))
    engine.runtime.start_container(made)
    assert b"".join(engine.runtime.logs(made, follow=True)) == b"a\0\1\x1b[1m\xc3\xa9\r\nend"
    _remove(engine, uid)


def test_a_log_that_is_kept_elsewhere_on_docker(engine: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked of the engine then."""
    uid = engine.uid()
    box = started(engine, uid)
    made = engine.runtime.create_container(box.id, container(uid, "echo", "told", tty=True))
    engine.runtime.start_container(made)
    monkeypatch.setattr(facts, "log_path", lambda _: None)
    assert b"".join(engine.runtime.logs(made, follow=True)) == b"told\r\n"
    _remove(engine, uid)


def test_output_on_docker(engine: Place) -> None:
    uid = engine.uid()
    box = started(engine, uid)
    made = engine.runtime.create_container(
        box.id,
        container(uid, "sh", "-c", "echo one; sleep 0.2; echo two >&2; sleep 0.3; echo three; sleep 30"),
    )
    engine.runtime.start_container(made)
    until(lambda: b"".join(engine.runtime.logs(made)) == b"one\ntwo\nthree\n")
    assert b"".join(engine.runtime.logs(made, tail=1)) == b"three\n"
    stamped = b"".join(engine.runtime.logs(made, tail=1, timestamps=True))
    assert stamped.startswith(b"20")
    assert stamped.endswith(b" three\n")
    assert b"".join(engine.runtime.logs(made, stderr=False)) == b"one\nthree\n"
    assert b"".join(engine.runtime.logs(made, stdout=False)) == b"two\n"
    follower = engine.runtime.logs(made, follow=True)
    heard: list[bytes] = []
    reader = threading.Thread(target=lambda: heard.extend(follower), daemon=True)
    reader.start()
    until(lambda: b"".join(heard) == b"one\ntwo\nthree\n")
    follower.close()
    reader.join(60)
    assert not reader.is_alive()
    assert b"".join(heard) == b"one\ntwo\nthree\n"
    _remove(engine, uid)


def test_limits_reach_the_kernel(engine: Place) -> None:
    uid = engine.uid()
    box = started(engine, uid)
    limits = Resources(cpu_shares=512, cpu_quota_us=50_000, memory_bytes=32 << 20)
    made = engine.runtime.create_container(
        box.id, container(uid, "sh", "-c", "x=a; while true; do x=$x$x; done", resources=limits)
    )
    engine.runtime.start_container(made)
    until(lambda: engine.runtime.pod(uid).newest("c").ended, 30)  # type: ignore[union-attr]
    one = engine.runtime.pod(uid).newest("c")  # type: ignore[union-attr]
    assert (one.exit_code, one.oom_killed) == (137, True)
    _remove(engine, uid)


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # the SDK leaves the socket that could not connect
def test_an_engine_that_is_not_there(tmp_path: Path) -> None:
    nowhere = DockerEngine(f"unix://{tmp_path}/no.sock")
    for call in (nowhere.info, nowhere.pods, nowhere.images, lambda: next(nowhere.changes())):
        with pytest.raises(EngineDown):
            call()
    gc.collect()


def _remove(place: Place, uid: str) -> None:
    found = place.runtime.pod(uid)
    if found:
        for one in found.containers:
            place.runtime.remove_container(one.id)
        for box in found.sandboxes:
            place.runtime.remove_sandbox(box.id)
    assert uid not in place.runtime.pods()
