"""Watchers that hang up at random and come back see each change exactly once and in order, whatever the door
and the selector. MINI8S_TEST_DEPTH=50 makes it 100,000 changes."""

from __future__ import annotations

import http.client
import json
import random
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from depth import examples
from integration import api_process
from integration.api_process import ApiProcess

CHANGES = examples(2000)
OBJECTS = 40
AT_ONCE = 40  # requests that are sent before an answer is read
URL = "/api/v1/namespaces/default/configmaps"
Event = tuple[str, str, str]  # type, name, which change


def changes() -> Iterator[tuple[Event, bytes]]:
    """Each change as a watch tells of it and as it is asked for. Objects have a label now and then."""
    alive: dict[str, str] = {}
    for number in range(CHANGES):
        name, said = f"c{number % OBJECTS}", str(number)
        turn = number // OBJECTS % 9
        if name not in alive:
            body: Any = {"metadata": {"name": name}, "data": {"n": said}}
            event, request = ("ADDED", name, said), _request("POST", URL, body, "application/json")
            alive[name] = said
        elif turn == 8:
            event, request = ("DELETED", name, alive.pop(name)), _request("DELETE", f"{URL}/{name}", None)
        else:
            labels = {"chosen": "yes" if turn % 3 else None}
            body = {"metadata": {"labels": labels}, "data": {"n": said}}
            event, request = ("MODIFIED", name, said), _request("PATCH", f"{URL}/{name}", body)
            alive[name] = said
        yield event, request


def _request(method: str, path: str, body: Any, media: str = "application/merge-patch+json") -> bytes:
    data = b"" if body is None else json.dumps(body).encode()
    said = f"{method} {path}?fieldValidation=Ignore HTTP/1.1\r\nHost: api\r\nContent-Type: {media}\r\n"
    return f"{said}Content-Length: {len(data)}\r\n\r\n".encode() + data


def write(api: ApiProcess) -> None:
    """All changes in order, over one connection."""
    sock = api.unix()
    answers = sock.makefile("rb")
    waiting = 0
    for _, request in changes():
        sock.sendall(request)
        waiting += 1
        if waiting == AT_ONCE:
            for _ in range(waiting):
                _skip_answer(answers)
            waiting = 0
    for _ in range(waiting):
        _skip_answer(answers)
    answers.close()
    sock.close()


def _skip_answer(answers: Any) -> None:
    status = answers.readline()
    assert status.split()[1] in {b"200", b"201"}, status
    length = 0
    while (line := answers.readline()) != b"\r\n":
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    answers.read(length)


@dataclass
class Watcher:
    """`selector` is what it watches; it ends when it has seen the mark that is set when all is written."""

    dial: Callable[[], socket.socket]
    selector: str
    version: str
    chance: random.Random
    seen: list[Event] = field(default_factory=list)
    reconnects: int = 0
    done: bool = False

    def run(self) -> None:
        while not self.done:
            self._watch_for_a_while()
            self.reconnects += 1

    def _watch_for_a_while(self) -> None:
        """Some events, and then it is gone: in the middle of a line, or between two."""
        sock = self.dial()
        query = f"watch=1&resourceVersion={self.version}{self.selector}"
        sock.sendall(f"GET {URL}?{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        response = http.client.HTTPResponse(sock)
        response.begin()
        assert response.status == 200
        for _ in range(self.chance.randrange(1, 200)):
            line = response.readline()
            if not line.endswith(b"\n"):
                break  # the server had enough of a slow reader
            self._take(json.loads(line))
            if self.done:
                break
        response.close()
        sock.close()

    def _take(self, event: dict[str, Any]) -> None:
        obj = event["object"]
        assert event["type"] != "ERROR", obj
        assert int(obj["metadata"]["resourceVersion"]) > int(self.version)
        self.version = obj["metadata"]["resourceVersion"]
        self.done = obj["metadata"]["name"] == "done"
        if not self.done:
            self.seen.append((event["type"], obj["metadata"]["name"], obj["data"]["n"]))


def chosen(events: list[Event]) -> list[Event]:
    """What a watcher of chosen=yes is told: an object comes and goes with its label."""
    told: list[Event] = []
    had: dict[str, str] = {}  # of those with the label, what was last said
    for number, (change, name, said) in enumerate(events):
        has = change == "MODIFIED" and bool(number // OBJECTS % 9 % 3)
        if has:
            told.append(("MODIFIED" if name in had else "ADDED", name, said))
            had[name] = said
        elif name in had:
            told.append(("DELETED", name, had.pop(name)))
    return told


def test_each_change_is_seen_once_and_in_order(tmp_path: Path) -> None:
    with api_process.running(tmp_path) as api:
        version = api.ask("GET", f"{URL}?limit=1")[1]["metadata"]["resourceVersion"]
        kinds = [(api.unix, ""), (api.secure, ""), (api.unix, "&labelSelector=chosen%3Dyes")]
        watchers = [
            Watcher(dial, selector, version, random.Random(number))
            for number, (dial, selector) in enumerate(kinds)
        ]
        threads = [threading.Thread(target=watcher.run, daemon=True) for watcher in watchers]
        for thread in threads:
            thread.start()
        write(api)
        api.ask("POST", URL, {"metadata": {"name": "done", "labels": {"chosen": "yes"}}})
        for thread in threads:
            thread.join(60)
    wanted = [event for event, _ in changes()]
    print(f"{len(wanted)} changes, reconnects: {[watcher.reconnects for watcher in watchers]}")
    assert watchers[0].seen == wanted
    assert watchers[1].seen == wanted
    assert watchers[2].seen == chosen(wanted)
