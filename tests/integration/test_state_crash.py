"""The agent's memory under `kill -9`: what was written stays, and no half of a write is taken for damage.

python test_state_crash.py FOLDER       writes until it is killed; prints each write's number when it is done
"""

from __future__ import annotations

import subprocess
import sys
import time
from itertools import count
from pathlib import Path

import pytest

from mini8s.agent.state.journal import Entry, Journal


def main(folder: Path) -> None:
    journal = Journal(folder)
    kept = {entry.key: entry for entry in journal.read()}
    for number in count(len(kept)):
        entry = Entry("put", "pods", str(number), "x" * 3000)
        kept[entry.key] = entry
        if journal.doubtful or number % 50 == 0:
            journal.replace(one.line() for one in kept.values())
        else:
            journal.append([entry.line()])
        print(number, flush=True)


def test_what_was_written_is_there_after_a_crash(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    done = -1
    for seconds in (0.4, 0.5, 0.6, 0.7):
        writer = subprocess.Popen(
            [sys.executable, __file__, str(tmp_path)], stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert writer.stdout
        done = int(writer.stdout.readline())
        time.sleep(seconds)
        writer.kill()
        said, _ = writer.communicate()
        done = int(([str(done), *said.split()])[-1])
        found = [entry.key for entry in Journal(tmp_path).read()]
        assert found[: done + 1] == [str(number) for number in range(done + 1)]
        assert len(found) <= done + 2
    assert done > 20
    assert caplog.text == ""
    assert not (tmp_path / "journal.damaged").exists()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
