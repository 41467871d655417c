"""A steady stream of requests during a test, each on a connection of its own, run on a host as a process.

python traffic.py URL SECONDS-BETWEEN       until SIGTERM; then one JSON line: answers by text, failures
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from hosts import Host


@dataclass
class Traffic:
    """What came of the requests; filled in when the stream has ended."""

    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


@contextmanager
def traffic(host: Host, url: str, *, pause: float = 0.01) -> Iterator[Traffic]:
    """Ask from that host while the block runs."""
    seen = Traffic()
    environment = {"PYTHONPATH": ":".join(sys.path)}
    process = host.popen(
        sys.executable, __file__, url, str(pause), stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        yield seen
    finally:
        process.terminate()
        said: dict[str, Any] = json.loads(process.communicate(timeout=60)[0])
        seen.answers.update(said["answers"])
        seen.failures.extend(said["failures"])


def main(url: str, pause: float) -> None:
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: ended.append(number))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    answers: Counter[str] = Counter()
    failures: list[str] = []
    while not ended:
        began = time.monotonic()
        try:
            with opener.open(url, timeout=20) as answer:
                answers[answer.read().decode().strip()] += 1
        except OSError as error:
            failures.append(f"{error!r} after {time.monotonic() - began:.3f} s")
        time.sleep(pause)
    print(json.dumps({"answers": answers, "failures": failures}))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
