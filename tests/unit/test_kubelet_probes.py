"""Probes: what their answers add up to, and how they are asked."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
from fakes.api import FakeEvents
from fakes.runtime import FakeRuntime

from mini8s.agent.kubelet.probes.checks import Answer, Outcome, ask
from mini8s.agent.kubelet.probes.handlers import Exec, Grpc, HttpGet, TcpSocket, Unknown
from mini8s.agent.kubelet.probes.prober import Prober
from mini8s.agent.kubelet.probes.verdicts import Probe, Tally, count, probes_of, settled
from mini8s.agent.kubelet.view import Verdict, View
from mini8s.agent.runtime.base import EngineDown
from mini8s.agent.runtime.records import Container, ExecResult, RunningPod
from mini8s.objects.kinds import Obj
from mini8s.util.clock import FakeClock

STARTED = "2026-01-01T00:00:00Z"


def probe(what: str = "liveness", successes: int = 1, failures: int = 3) -> Probe:
    return Probe("c1", "c", what, Unknown(""), 0.0, 10.0, 1.0, successes, failures)


@pytest.mark.parametrize(
    ("answers", "successes", "failures", "result"),
    [
        ("+", 1, 3, True),
        ("--", 1, 3, None),
        ("---", 1, 3, False),
        ("--+--", 1, 3, True),
        ("---+", 2, 3, False),
        ("---++", 2, 3, True),
    ],
)
def test_thresholds(answers: str, successes: int, failures: int, result: bool | None) -> None:
    tally = Tally()
    for answer in answers:
        tally = count(tally, probe(successes=successes, failures=failures), answer == "+")
    assert tally.result is result


def test_what_needs_no_more_asking() -> None:
    assert settled(probe("startup"), Tally(True))
    assert settled(probe("startup"), Tally(False))
    assert settled(probe("liveness"), Tally(False))
    assert not settled(probe("liveness"), Tally(True))
    assert not settled(probe("readiness"), Tally(False))


def running(state: str = "running") -> RunningPod:
    one = Container("c1", "c", 0, "i", "i", state, STARTED, started_at=STARTED)
    return RunningPod("default", "web", "u", (), [one])


def pod(**probes: Obj) -> Obj:
    container = {"name": "c", "ports": [{"name": "http", "containerPort": 8080}], **probes}
    return {
        "metadata": {"namespace": "default", "name": "web", "uid": "u"},
        "spec": {"containers": [container]},
    }


def test_a_startup_probe_comes_alone() -> None:
    made = pod(
        startupProbe={"tcpSocket": {"port": 1}}, livenessProbe={"httpGet": {"port": "http", "path": "x?y=1"}}
    )
    waiting = View(made, running(), {"c1": Verdict(started=False, ready=False)})
    assert [one.type for one in probes_of(waiting, "10.0.0.1", deleting=False)] == ["startup"]
    found = probes_of(View(made, running(), {"c1": Verdict()}), "10.0.0.1", deleting=False)
    assert [one.check for one in found] == [HttpGet("http://10.0.0.1:8080/x?y=1")]
    assert probes_of(View(made, running(), {}), "10.0.0.1", deleting=True) == []
    assert probes_of(View(made, running("exited"), {}), "10.0.0.1", deleting=False) == []


def test_a_port_name_that_is_not_there() -> None:
    made = pod(livenessProbe={"tcpSocket": {"port": "nope"}})
    (found,) = probes_of(View(made, running(), {}), "10.0.0.1", deleting=False)
    assert found.check == Unknown("couldn't find port: nope")


@pytest.fixture
def server() -> Iterator[int]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(int(self.path.rsplit("/", 1)[1]))
            self.send_header("X-Said", self.headers["x-ask"] or "")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made.server_port
        made.shutdown()
        thread.join()


@pytest.mark.parametrize(("code", "ok"), [(200, True), (302, True), (399, True), (404, False), (500, False)])
def test_http_codes(server: int, code: int, ok: bool) -> None:
    answer = ask(
        HttpGet(f"http://127.0.0.1:{server}/{code}", (("x-ask", "me"),)), 2, FakeRuntime(FakeClock().now)
    )
    assert answer is not None
    assert answer.ok is ok
    assert ok or answer.message == f"HTTP probe failed with statuscode: {code}"


def test_nobody_answers(server: int) -> None:
    runtime = FakeRuntime(FakeClock().now)
    assert ask(TcpSocket("127.0.0.1", server), 1, runtime).ok  # type: ignore[union-attr]
    refused = ask(TcpSocket("127.0.0.1", 1), 1, runtime)
    assert refused.message == "dial tcp 127.0.0.1:1: connect: connection refused"  # type: ignore[union-attr]
    refused = ask(HttpGet("http://127.0.0.1:1/x"), 1, runtime)
    assert refused.message == 'Get "http://127.0.0.1:1/x": dial tcp 127.0.0.1:1: connect: connection refused'  # type: ignore[union-attr]


def test_an_engine_that_is_down_is_no_answer() -> None:
    runtime = FakeRuntime(FakeClock().now, down=True)
    assert ask(Exec("c1", ("true",)), 1, runtime) is None


class Loop:
    """A prober whose pool runs in the caller's thread."""

    def __init__(self) -> None:
        self.clock, self.events, self.changed = FakeClock(), FakeEvents(), []
        self.runtime = FakeRuntime(self.clock.now)
        self.answer = 1
        self.runtime.exec = self._exec  # type: ignore[method-assign]
        self.prober = Prober(self.runtime, self.events, self.clock, self.changed.append)

    def _exec(self, container_id: str, command: Any, timeout: float) -> ExecResult:
        if self.answer < 0:
            raise EngineDown
        return ExecResult(self.answer, b"said")

    def ask(self) -> None:
        self.prober._ask("u", ("c1", "liveness"))

    def due(self) -> float:
        """When it is asked next."""
        return self.prober._heap[-1][0]


def test_answers_become_a_verdict_and_an_event() -> None:
    loop = Loop()
    made = pod(livenessProbe={"exec": {"command": ["x"]}, "failureThreshold": 2})
    loop.prober.follow(View(made, running()), "10.0.0.1")
    assert loop.prober.verdicts(running()) == {"c1": Verdict()}
    loop.ask()
    loop.answer = -1
    loop.ask()
    assert loop.changed == []
    loop.answer = 1
    loop.ask()
    assert loop.changed == ["u"]
    assert loop.prober.verdicts(running())["c1"].failed == "liveness"
    assert loop.events.said[0] == ("web", "Warning", "Unhealthy", "Liveness probe failed: said")
    loop.prober.forget("u")
    assert loop.prober.verdicts(running()) == {}
    loop.prober.close()


def test_an_agent_that_starts_again_keeps_what_the_status_says() -> None:
    probe = {"exec": {"command": ["x"]}}
    made = pod(startupProbe=probe, readinessProbe=probe, livenessProbe=probe)
    said = {"name": "c", "containerID": "docker://c1", "started": True, "ready": True}
    made["status"] = {"containerStatuses": [said]}
    loop = Loop()
    loop.prober.follow(View(made, running()), "10.0.0.1")
    assert loop.prober.verdicts(running()) == {"c1": Verdict()}
    assert {key[1] for key in loop.prober._pods["u"]} == {"startup", "readiness", "liveness"}
    said["containerID"] = "docker://another"
    fresh = Loop()
    fresh.prober.follow(View(made, running()), "10.0.0.1")
    assert fresh.prober.verdicts(running())["c1"] == Verdict(started=False, ready=False)
    for one in (loop, fresh):
        one.prober.close()


def test_what_the_server_says_later_counts_until_there_is_an_answer() -> None:
    """An agent that was killed begins with what lay on its disk, which may be older than the pod's start."""
    made = pod(readinessProbe={"exec": {"command": ["x"]}})
    loop = Loop()
    loop.prober.follow(View(made, running()), "10.0.0.1")
    assert not loop.prober.verdicts(running())["c1"].ready
    made["status"] = {"containerStatuses": [{"name": "c", "containerID": "docker://c1", "ready": True}]}
    loop.prober.follow(View(made, running()), "10.0.0.1")
    assert loop.prober.verdicts(running())["c1"].ready
    loop.prober.close()


def test_an_engine_that_hangs_keeps_no_other_probe_waiting() -> None:
    answer, told = threading.Event(), threading.Event()
    loop = Loop()
    loop.runtime.exec = lambda *_: answer.wait(60) and ExecResult(0, b"")  # type: ignore[method-assign, assignment, return-value]
    loop.events.event = lambda *_args, **_more: told.set()  # type: ignore[method-assign]
    for number in range(8):
        hanging = pod(livenessProbe={"exec": {"command": ["x"]}})
        hanging["metadata"]["uid"] = f"u{number}"
        loop.prober.follow(View(hanging, running()), "127.0.0.1")
    loop.prober.follow(View(pod(readinessProbe={"tcpSocket": {"port": 1}}), running()), "127.0.0.1")
    timekeeper = threading.Thread(target=loop.prober.step)
    timekeeper.start()
    asked = told.wait(60)
    answer.set()
    loop.prober.close()
    timekeeper.join()
    assert asked


class SteppedClock(FakeClock):
    """Its wall clock is set back or forth while time goes on."""

    wrong = timedelta()

    def now(self) -> datetime:
        return super().now() + self.wrong


@pytest.mark.parametrize("wrong", [timedelta(days=-1), timedelta(days=1)])
def test_probes_go_on_when_the_clock_is_set(wrong: timedelta) -> None:
    loop = Loop()
    loop.prober._clock = clock = SteppedClock()
    made = pod(livenessProbe={"exec": {"command": ["x"]}, "periodSeconds": 10, "initialDelaySeconds": 5})
    loop.prober.follow(View(made, running()), "10.0.0.1")
    assert loop.due() == 5
    clock.step(5)
    clock.wrong = wrong
    loop.ask()
    assert loop.due() == 15
    loop.prober.close()


class Redirects(http.server.BaseHTTPRequestHandler):
    """`/to/URL` leads there."""

    def do_GET(self) -> None:
        lead = self.path.partition("/to/")[2]
        self.send_response(302 if lead else 200)
        if lead:
            self.send_header("Location", lead)
        self.end_headers()
        self.wfile.write(b"elsewhere")

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.mark.parametrize(
    ("lead", "outcome", "message"),
    [
        ("/fine", Outcome.SUCCESS, ""),
        ("/to//fine", Outcome.SUCCESS, ""),
        (
            "http://elsewhere.invalid/",
            Outcome.WARNING,
            "Probe terminated redirects, Response body: elsewhere",
        ),
        ("/to/" * 20, Outcome.FAILURE, "stopped after 10 redirects"),
    ],
)
def test_redirects_are_followed_on_the_same_host(lead: str, outcome: Outcome, message: str) -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), Redirects) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/to/{lead}"
        answer = ask(HttpGet(url), 2, FakeRuntime(FakeClock().now))
        server.shutdown()
        thread.join()
    assert answer is not None
    assert answer.outcome is outcome
    assert message in answer.message


def test_a_server_that_drips_gets_no_longer_than_one_that_is_silent() -> None:
    """Each byte comes within the timeout, the answer doesn't."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                for byte in b"HTTP/1.1 200 OK\r\n\r\n" * 10:
                    connection.sendall(bytes((byte,)))
                    if gone.wait(0.02):
                        return

        gone = threading.Event()
        thread = threading.Thread(target=drip)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        answer = ask(HttpGet(url), 0.2, FakeRuntime(FakeClock().now))
        gone.set()
        thread.join()
    assert answer == Answer(Outcome.FAILURE, f'Get "{url}": context deadline exceeded')


def test_a_question_that_cannot_be_asked_is_told_and_not_counted() -> None:
    loop = Loop()
    made = pod(livenessProbe={"httpGet": {"port": "nope"}, "failureThreshold": 1})
    loop.prober.follow(View(made, running()), "10.0.0.1")
    loop.ask()
    assert loop.prober.verdicts(running()) == {"c1": Verdict()}
    message = "Liveness probe errored and resulted in unknown state: couldn't find port: nope"
    assert loop.events.said == [("web", "Warning", "Unhealthy", message)]
    loop.prober.close()


def test_nothing_is_asked_before_the_post_start_hook_is_over() -> None:
    made = pod(livenessProbe={"tcpSocket": {"port": 1}}, lifecycle={"postStart": {"sleep": {"seconds": 1}}})
    assert probes_of(View(made, running()), "10.0.0.1", deleting=False) == []
    assert len(probes_of(View(made, running(), hooked={"c1": ""}), "10.0.0.1", deleting=False)) == 1


def test_a_grpc_probe_asks_the_pods_address() -> None:
    made = pod(livenessProbe={"grpc": {"port": 9000, "service": "s"}})
    (found,) = probes_of(View(made, running()), "10.0.0.1", deleting=False)
    assert found.check == Grpc("10.0.0.1", 9000, "s")
