"""An engine of a few lines that is slow where a real one on a small host is."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from mini8s.agent.runtime.docker import engine

SILENCE = 1.0  # how long a call may be silent here


class SlowEngine(http.server.BaseHTTPRequestHandler):
    """Loads an archive in four steps of half a silence each, and tells of them if it is asked to."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._head()
        self._say({"ApiVersion": "1.41", "MinAPIVersion": "1.12"})
        self._end()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        quiet = parse_qs(urlsplit(self.path).query).get("quiet", ["1"])[0].lower() not in {"0", "false"}
        if not quiet:
            self._head()
        for step in range(4):
            time.sleep(SILENCE / 2)
            if not quiet:
                self._say({"status": "Loading layer", "progressDetail": {"current": step}})
        if quiet:
            self._head()
        self._say({"stream": "Loaded image: app:1\n"})
        self._end()

    def _head(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _say(self, said: Any) -> None:
        line = json.dumps(said).encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))

    def _end(self) -> None:
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[engine.DockerEngine]:
    monkeypatch.setattr(engine, "CALL_SECONDS", SILENCE)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), SlowEngine) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        made = engine.DockerEngine(f"tcp://127.0.0.1:{server.server_port}")
        yield made
        made.close()
        server.shutdown()
        thread.join()


def test_an_archive_may_take_longer_than_a_call(slow: engine.DockerEngine, tmp_path: Path) -> None:
    archive = tmp_path / "big.tar"
    archive.write_bytes(b"layers")
    assert slow.load(str(archive)) == ["app:1"]
