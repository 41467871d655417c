"""The store against a dictionary: any order of writes, reads of the past, watches, compactions, restarts and
power cuts, with a recent log so short that the disk must answer too."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from mini8s.store.base import Change, Compacted, Durability, Mismatch, Row
from mini8s.store.sqlite import SqliteStore, open_store

KEYS = st.sampled_from([f"/{family}/{name}" for family in ("pods", "podsets", "leases") for name in "abc"])
PREFIXES = st.sampled_from(["", "/", "/pods/", "/podsets/", "/pods", "/leases/", "/pods/a"])
State = dict[str, Row]


@dataclass
class Watching:
    prefix: str
    since: int
    seen: list[Change] = field(default_factory=list)


class Model(RuleBasedStateMachine):
    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="store-model-"))
        self.starts = 0
        self.changes: list[Change] = []
        self.states: dict[int, State] = {1: {}}  # every revision that a reader could have seen
        self.watching: list[Watching] = []
        self.given = 1
        self.start(self.folder / "state.db")

    def start(self, path: Path) -> None:
        self.path = path
        self.starts += 1
        self.store: SqliteStore = open_store(str(path))
        self.store._feed.recent._most_changes = 4
        for watching in self.watching:
            watching.seen = []  # of a connection that broke
        self.watching = []

    @property
    def rows(self) -> State:
        return self.states[max(self.states)]

    @rule(key=KEYS, text=st.binary(max_size=4), ephemeral=st.booleans(), stale=st.booleans())
    def put(self, key: str, text: bytes, ephemeral: bool, stale: bool) -> None:
        self.put_now(key, text, ephemeral=ephemeral, stale=stale)

    def put_now(self, key: str, text: bytes, *, ephemeral: bool, stale: bool) -> None:
        current = self.rows.get(key)
        expected = (current.revision if current else 0) + stale
        try:
            row = self.store.put(
                key, lambda rev: text + b"@%d" % rev, expected=expected, durability=durability(key, ephemeral)
            )
        except Mismatch as mismatch:
            assert (stale, mismatch.current) == (True, current)  # noqa: PT017
            return
        assert not stale
        created = current.created_revision if current else row.revision
        assert row == Row(key, text + b"@%d" % row.revision, row.revision, created)
        self.happened(row, deleted=False)

    @rule(key=KEYS, ephemeral=st.booleans())
    def delete(self, key: str, ephemeral: bool) -> None:
        self.delete_now(key, ephemeral)

    def delete_now(self, key: str, ephemeral: bool) -> None:
        current = self.rows.get(key)
        try:
            row = self.store.delete(
                key,
                lambda rev: b"gone@%d" % rev,
                expected=current.revision if current else 0,
                durability=durability(key, ephemeral),
            )
        except Mismatch:
            assert current is None
            return
        self.happened(row, deleted=True)

    @rule(steps=st.lists(st.tuples(KEYS, st.booleans(), st.booleans()), min_size=3, max_size=20))
    def burst(self, steps: list[tuple[str, bool, bool]]) -> None:
        for key, deletes, ephemeral in steps:
            if deletes:
                self.delete_now(key, ephemeral)
            else:
                self.put_now(key, b"burst", ephemeral=ephemeral, stale=False)

    def happened(self, row: Row, *, deleted: bool) -> None:
        assert row.revision > self.given
        self.given = row.revision
        before = self.rows.get(row.key)
        after = dict(self.rows)
        if deleted:
            del after[row.key]
        else:
            after[row.key] = row
        self.states[row.revision] = after
        self.changes.append(
            Change(row.revision, row.key, row.value, before.value if before else None, deleted)
        )

    @rule(prefix=PREFIXES, limit=st.integers(0, 4), back=st.integers(0, 12))
    def list_in_pages(self, prefix: str, limit: int, back: int) -> None:
        revision = self.some_revision(back)
        expected = [row for key, row in sorted(self.states[revision].items()) if key.startswith(prefix)]
        found: list[Row] = []
        after = ""
        try:
            while True:
                page = self.store.list(prefix, after=after, limit=limit, revision=revision)
                found += page.rows
                assert page.revision == revision
                assert page.remaining == len(expected) - len(found)
                if not page.next_key:
                    break
                after = page.next_key
        except Compacted as compacted:
            self.may_be_gone(prefix, revision, compacted)
            return
        assert found == expected

    @rule(key=KEYS, back=st.integers(0, 12))
    def get(self, key: str, back: int) -> None:
        revision = self.some_revision(back)
        try:
            assert self.store.get(key, revision=revision) == self.states[revision].get(key)
        except Compacted as compacted:
            self.may_be_gone(key, revision, compacted)
        assert self.store.get(key) == self.rows.get(key)

    @rule(prefix=PREFIXES, back=st.integers(0, 12))
    def watch(self, prefix: str, back: int) -> None:
        watching = Watching(prefix, self.some_revision(back))
        try:
            self.store.watch(prefix, watching.since, watching.seen.extend)
        except Compacted as compacted:
            self.may_be_gone(prefix, watching.since, compacted)
            return
        self.watching.append(watching)

    def may_be_gone(self, prefix: str, revision: int, compacted: Compacted) -> None:
        assert revision < compacted.oldest
        ephemeral = prefix.startswith("/leases/") or "/leases/".startswith(prefix)
        assert revision < self.store.compacted or ephemeral

    def some_revision(self, back: int) -> int:
        known = sorted(self.states)
        return known[max(0, len(known) - 1 - back)]

    @rule(back=st.integers(0, 8))
    def compact(self, back: int) -> None:
        self.store.compact(self.some_revision(back))

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.start(self.path)
        assert self.store.revision == max(self.states)

    @rule()
    def power_cut(self) -> None:
        """Go on from a copy of the files as they are, which no close has touched."""
        folder = self.folder / f"cut-{self.starts}"
        folder.mkdir()
        for suffix in ("", "-wal"):
            shutil.copy(f"{self.path}{suffix}", folder / f"state.db{suffix}")
        self.store.close()
        self.start(folder / "state.db")
        assert self.store.revision >= self.given
        self.given = self.store.revision
        found = {row.key: row for row in self.store.list("").rows}
        for key in self.rows.keys() | found.keys():
            if key.startswith("/leases/"):  # an earlier state of it, or none
                assert found.get(key) in [None, *(state.get(key) for state in self.states.values())]
            else:
                assert found.get(key) == self.rows.get(key)
        self.states[self.store.revision] = found

    @invariant()
    def watches_have_all(self) -> None:
        for watching in self.watching:
            expected = [
                change
                for change in self.changes
                if change.revision > watching.since and change.key.startswith(watching.prefix)
            ]
            assert watching.seen == expected

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)


def durability(key: str, ephemeral: bool) -> Durability:
    """Only leases are ever ephemeral, and not always."""
    return Durability.EPHEMERAL if ephemeral and key.startswith("/leases/") else Durability.LASTING


@pytest.mark.parametrize("steps", [20, 60])
def test_the_store_is_a_dictionary_with_a_past(steps: int) -> None:
    run_state_machine_as_test(
        Model,
        settings=settings(
            max_examples=60,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
