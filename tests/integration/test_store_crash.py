"""kill -9 at any moment, again and again on one file: what was acknowledged stays, no revision returns."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from mini8s.store.base import Change, Store
from mini8s.store.sqlite import open_store

CHILDREN = Path(__file__).with_name("store_children.py")
ROUNDS = 8


@dataclass
class Heard:
    """What the writers were told, over all rounds."""

    lasting: dict[int, str] = field(default_factory=dict)  # revision -> key
    newest: dict[str, tuple[int, str]] = field(default_factory=dict)  # key -> revision, verb
    given: set[int] = field(default_factory=set)

    def listen(self, line: str) -> None:
        revision, key, verb = line.split()
        assert int(revision) not in self.given, f"revision {revision} was given twice"
        self.given.add(int(revision))
        if key.startswith("/pods/"):
            self.lasting[int(revision)] = key
            self.newest[key] = (int(revision), verb)


def run_and_kill(folder: Path, seconds: float) -> list[str]:
    """The lines that a writing process had said before it was killed."""
    said = folder / "said"
    with said.open("w") as out:
        child = subprocess.Popen([sys.executable, str(CHILDREN), "writer", str(folder)], stdout=out)
        try:
            deadline = time.monotonic() + 60
            while not said.stat().st_size and time.monotonic() < deadline:
                time.sleep(0.005)
            time.sleep(seconds)
        finally:
            child.kill()
            child.wait()
    return [line for line in said.read_text().split("\n")[:-1] if len(line.split()) == 3]


def check(folder: Path, heard: Heard, since: int) -> None:
    store = open_store(str(folder / "state.db"))
    try:
        assert store.revision >= max(heard.given)
        assert_newest(store, heard)
        seen: list[Change] = []
        store.watch("/pods/", since, seen.extend)
        revisions = [change.revision for change in seen]
        assert revisions == sorted(set(revisions))
        keys = {change.revision: change.key for change in seen}
        missed = {rev: key for rev, key in heard.lasting.items() if rev > since and keys.get(rev) != key}
        assert not missed
        assert_succession(seen)
    finally:
        store.close()


def assert_newest(store: Store, heard: Heard) -> None:
    """Each key is where its writer heard that it was, or where a last write took it that nobody heard of."""
    changes: list[Change] = []
    store.watch("/pods/", 1, changes.extend)
    newest = {change.key: change for change in changes}
    for key, (revision, verb) in heard.newest.items():
        change = newest[key]
        assert change.revision >= revision
        assert change.revision > revision or change.deleted == (verb == "delete")
        row = store.get(key)
        assert (row.value if row else None) == (None if change.deleted else change.value)


def assert_succession(seen: list[Change]) -> None:
    """Each change's `previous` is the value that the change before it left."""
    values: dict[str, bytes | None] = {}
    for change in seen:
        if change.key in values:
            assert change.previous == values[change.key]
        values[change.key] = None if change.deleted else change.value


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    chance = random.Random(20_26)
    heard = Heard()
    for _ in range(ROUNDS):
        for line in run_and_kill(tmp_path, chance.uniform(0.05, 0.4)):
            heard.listen(line)
        check(tmp_path, heard, since=chance.choice([1, *sorted(heard.lasting)]))
    assert len(heard.given) > 1_000
    assert len(heard.lasting) < len(heard.given)  # ephemeral ones were among them
