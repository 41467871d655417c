"""The statements that the writer needs: insert, load, and the few numbers that outlive a start."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import apsw

from mini8s.store.base import Row, Sealer, StoreError, Ticket
from mini8s.store.sqlite.file import select

# apsw lets the interpreter lock go at each statement, and a busy program takes milliseconds to give it back:
# so one statement carries a whole batch, and is its own transaction where nothing else has to go with it. Few
# sizes, so that each stays prepared; what a batch lacks is filled with nulls, which are skipped.
SIZES = (1, 8, 64, 512)
MOST = SIZES[-1]


def _insert_of(size: int) -> str:
    values = ",".join(["(?,?,?,?,?,?)"] * size)
    return f"insert into log select * from (values {values}) where column1 not null"  # noqa: S608


_INSERTS = {size: _insert_of(size) for size in SIZES}


@dataclass(slots=True, eq=False)
class Write:
    """One change on its way from its caller to the disk and to readers. `error` is set where it failed;
    `tickets` are those who wait for the outcome."""

    row: Row
    previous_revision: int
    deleted: bool
    lasting: bool
    tickets: list[Ticket]
    error: StoreError | None = field(default=None)

    @property
    def revision(self) -> int:
        return self.row.revision


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a file held when it was opened. `revision` is above every revision that was ever given."""

    rows: Sequence[Row]
    tombstones: dict[str, int]
    ephemeral: frozenset[str]
    revision: int
    ceiling: int
    compacted: int
    swept: int


@contextmanager
def transaction(db: apsw.Connection) -> Iterator[None]:
    """All or nothing. The lock is taken first: there is one writer, who must not fail half-way for it."""
    db.execute("begin immediate")
    try:
        yield
        db.execute("commit")
    except BaseException:
        if db.in_transaction:  # some errors have rolled back already
            db.execute("rollback")
        raise


def insert(db: apsw.Connection, writes: Sequence[Write], sealer: Sealer) -> None:
    """At most MOST of them, all or none."""
    if not writes:
        return
    size = next(size for size in SIZES if size >= len(writes))
    values: list[int | str | bytes | None] = []
    for write in writes:
        row = write.row
        values += (row.revision, row.key, int(write.deleted))
        values += (row.created_revision, write.previous_revision, sealer.seal(row.key, row.value))
    values += [None] * (6 * (size - len(writes)))
    db.execute(_INSERTS[size], values)


def set_meta(db: apsw.Connection, name: str, value: int) -> None:
    db.execute("insert or replace into meta values (?,?)", (name, value))


def get_meta(db: apsw.Connection, name: str, default: int = 0) -> int:
    found = select(db, "select value from meta where name = ?", (name,))
    return int(found[0][0]) if found else default


def add_ephemeral(db: apsw.Connection, prefixes: Iterable[str]) -> None:
    db.executemany("insert or ignore into ephemeral values (?)", [(prefix,) for prefix in prefixes])


def load(db: apsw.Connection, sealer: Sealer) -> Loaded:
    """Everything that is current. Raises Unreadable."""
    rows: list[Row] = []
    tombstones: dict[str, int] = {}
    for key, revision, created, deleted, value in select(db, _NEWEST):
        if deleted:
            tombstones[key] = revision
        else:
            rows.append(Row(key, sealer.open(key, value), revision, created))
    ceiling = get_meta(db, "ceiling", 1)
    ((newest,),) = select(db, "select max(revision) from log")
    return Loaded(
        rows=rows,
        tombstones=tombstones,
        ephemeral=frozenset(prefix for (prefix,) in select(db, "select prefix from ephemeral")),
        revision=max(ceiling, newest or 0),
        ceiling=ceiling,
        compacted=get_meta(db, "compacted"),
        swept=get_meta(db, "swept"),
    )


_NEWEST = """
    select log.key, log.revision, log.created_revision, log.deleted, iif(log.deleted, x'', log.value)
    from (select max(revision) as revision from log group by key) join log using (revision)
"""
