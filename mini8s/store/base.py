"""The store's contract: etcd's in miniature, over bytes and revisions.

A store knows nothing of kinds. A revision is global, rises with every change and is never given twice; an
empty store is at revision 1. Where a write failed or a crash took ephemeral changes, numbers stay unused. A
value is final when it is stored: whoever writes hands in a function that makes the bytes from the revision
that the change gets, so that a value can carry its own revision and is never encoded again.

Reads of the present and the recent past answer from memory: they don't block and may be called from the
loop's thread; an older revision is read from disk. `put`, `delete`, `compact`, `snapshot` and `close` wait,
so the loop's thread must not call them. All callbacks run on the loop's thread, in order of revision. A
change is shown to readers first, then to watches, and then its writer goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

Encode = Callable[[int], bytes]  # revision -> the value's final bytes; quick, and no business of the store's


class Durability(Enum):
    """What a crash may take: nothing, or the newest few minutes. It is a put's, not a key's.

    The history of a family of keys (all that start with the same `/segment/`) that has ever seen an ephemeral
    put is kept in memory only: after a restart older lists and watches of it get Compacted, so that nobody
    misses what was lost."""

    LASTING = "lasting"
    EPHEMERAL = "ephemeral"


@dataclass(frozen=True, slots=True)
class Row:
    """A key's newest value. `revision` is that of its last change, `created_revision` that of its
    creation."""

    key: str
    value: bytes
    revision: int
    created_revision: int


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in order of key, as they all were at `revision`. `next_key` is empty when nothing is left."""

    rows: tuple[Row, ...]
    revision: int
    next_key: str = ""
    remaining: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """One revision. `value` is the new value, of a deletion the last one with the deletion's revision in it;
    `previous` is the value before, None for a creation."""

    revision: int
    key: str
    value: bytes
    previous: bytes | None
    deleted: bool


class StoreError(Exception):
    """The root of what a store raises."""


class Mismatch(StoreError):
    """Compare-and-swap lost: the key is not at the revision expected. `current` is what is there, None for
    nothing."""

    def __init__(self, key: str, current: Row | None) -> None:
        super().__init__(f"{key} is at revision {current.revision if current else 0}")
        self.current = current


class Compacted(StoreError):
    """The revision asked for is gone; `oldest` is the oldest that can still be read or watched from."""

    def __init__(self, revision: int, oldest: int) -> None:
        super().__init__(f"revision {revision} has been compacted, the oldest is {oldest}")
        self.oldest = oldest


class FutureRevision(StoreError):
    """The revision asked for has not been given yet; `newest` is the newest there is."""

    def __init__(self, revision: int, newest: int) -> None:
        super().__init__(f"revision {revision} is yet to come, the newest is {newest}")
        self.newest = newest


class Corrupt(StoreError):
    """The file can't be used: it is damaged, another program's, or of a newer mini8s."""


class Damaged(Corrupt):
    """The file failed its integrity check."""


class Locked(StoreError):
    """Another process has this store open."""


class Unavailable(StoreError):
    """The disk refused the write (full, read-only, I/O error); nothing of the change was kept. Reads go
    on."""


class Unreadable(StoreError):
    """What is stored is encrypted under a key that is not here, or is damaged. Nothing was changed."""


class Sealer(Protocol):
    """Encrypts values on their way to the disk: those whose keys begin with one of `prefixes`. Memory, and so
    whoever reads or watches, has them plain. Called by native threads too."""

    @property
    def prefixes(self) -> Sequence[str]: ...

    def seal(self, key: str, value: bytes) -> bytes:
        """What goes to the disk; a value of no such key as it is."""

    def open(self, key: str, stored: bytes) -> bytes:
        """The value, of what was never sealed too. Raises Unreadable."""

    def stale(self, stored: bytes) -> bool:
        """Whether what is stored should be sealed anew."""

    def ready(self) -> None:
        """Everything that is stored could be opened: from now on values are sealed."""

    def settled(self) -> None:
        """Everything that is stored is under the newest key."""


class Unsealed:
    """Everything as it is."""

    prefixes: Sequence[str] = ()

    def seal(self, key: str, value: bytes) -> bytes:  # noqa: ARG002
        return value

    def open(self, key: str, stored: bytes) -> bytes:  # noqa: ARG002
        return stored

    def stale(self, stored: bytes) -> bool:  # noqa: ARG002
        return False

    def ready(self) -> None:
        """Nothing to do."""

    def settled(self) -> None:
        """Nothing to do."""


class Subscription(Protocol):
    """A watch. After `close` its callback is not called again."""

    def close(self) -> None: ...


class Store(Protocol):
    @property
    def revision(self) -> int:
        """The newest revision that readers can see."""

    @property
    def compacted(self) -> int:
        """Revisions up to this one are gone; a watch may start from it, a list may not be older."""

    def get(self, key: str, *, revision: int = 0) -> Row | None:
        """The row at key, now or as of a revision. Raises Compacted, FutureRevision."""

    def list(self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Page:
        """Rows whose key starts with prefix and is greater than or equal to `after`, at most `limit` (0:
        all), now or as of a revision. Raises Compacted, FutureRevision."""

    def put(
        self, key: str, encode: Encode, *, expected: int, durability: Durability = Durability.LASTING
    ) -> Row:
        """Write the key if it is at revision `expected` (0: if it does not exist). Raises Mismatch,
        Unavailable."""

    def delete(
        self, key: str, encode: Encode, *, expected: int, durability: Durability = Durability.LASTING
    ) -> Row:
        """Delete the key if it is at revision `expected`; the row returned carries the deletion's revision.
        Raises Mismatch, Unavailable."""

    def watch(self, prefix: str, since: int, deliver: Callable[[Sequence[Change]], None]) -> Subscription:
        """Deliver every change under prefix with a revision greater than `since`, first what the log holds
        (before this returns), then each as it comes, without a gap. `deliver` must not block. Raises
        Compacted, FutureRevision."""

    def compact(self, revision: int) -> None:
        """Forget what happened up to revision; current rows stay."""

    def snapshot(self, path: str) -> None:
        """Write a consistent copy of the whole store to a file that does not exist yet, while others read and
        write."""

    @property
    def trouble(self) -> str:
        """Why the disk refused the last write; empty when it took it."""

    def stats(self) -> dict[str, float]:
        """Figures for /metrics: keys, revision, compacted, watches, file_bytes, wal_bytes, commits,
        written_bytes, queued."""

    def close(self) -> None:
        """Finish what is queued, write what was put off, let the file go."""


class Ticket(Protocol):
    """What a writer waits on. `wait` blocks only its own thread or greenlet; `done` is called on the loop's
    thread."""

    def wait(self) -> None: ...

    def done(self) -> None: ...


class Loop(Protocol):
    """How a store lives beside the program that uses it: native threads for its disk work, and a way back to
    the one thread that runs callbacks. Under gevent that is the hub's; `app/wsgi.py` gives it, plain threads
    are the default."""

    def start_thread(self, run: Callable[[], None], name: str) -> None: ...

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Run callback on the loop's thread; callable from any native thread."""

    def ticket(self) -> Ticket: ...

    def guard(self) -> AbstractContextManager[object]:
        """What keeps callers apart who don't wait meanwhile, and who may have it already: a lock, or nothing
        where only waiting lets another go on."""
