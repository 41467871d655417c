"""Programs that the store's tests run in processes of their own: `store_children.py CASE FOLDER`."""

from __future__ import annotations

import resource
import sys
import threading
from pathlib import Path

from mini8s.store.base import Durability, Unavailable
from mini8s.store.sqlite import open_store


def value(revision: int) -> bytes:
    return b"%020d" % revision + b"x" * 1_000


def writer(folder: str) -> None:
    """Write until killed; say each acknowledged change: its revision, its key, what it was. The lasting ones
    end first, so that only the ceiling on disk tells which revisions were given after."""

    def write(number: int) -> None:
        durability = Durability.EPHEMERAL if number % 4 == 3 else Durability.LASTING
        family = "leases" if durability is Durability.EPHEMERAL else "pods"
        for count in range(1_000_000 if durability is Durability.EPHEMERAL else 150):
            key = f"/{family}/{first}-{number}/{count // 3}"
            if count % 3 == 0:
                row = store.put(key, value, expected=0, durability=durability)
                verb = "put"
            elif count % 3 == 1:
                row = store.put(key, value, expected=row.revision, durability=durability)
                verb = "put"
            elif count % 2:
                row = store.delete(key, value, expected=row.revision, durability=durability)
                verb = "delete"
            else:
                continue
            sys.stdout.write(f"{row.revision} {key} {verb}\n")
            sys.stdout.flush()

    store = open_store(str(Path(folder) / "state.db"), ephemeral_flush_seconds=0.05, compact_minutes=10)
    first = store.revision
    for number in range(8):
        threading.Thread(target=write, args=(number,)).start()


def full_disk(folder: str) -> None:
    """The disk fills up (files may not grow), then has room again."""
    store = open_store(str(Path(folder) / "state.db"))
    seen: list[int] = []
    store.watch("/pods/", 1, lambda changes: seen.extend(change.revision for change in changes))
    written = [store.put("/pods/first", value, expected=0).revision]
    store.put("/leases/a", value, expected=0, durability=Durability.EPHEMERAL)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    refused = 0
    for number in range(300):
        try:
            written.append(store.put(f"/pods/{number}", value, expected=0).revision)
        except Unavailable:
            refused += 1
            assert store.get(f"/pods/{number}") is None
    assert refused > 100, refused
    assert "disk" in store.trouble
    heartbeat = store.get("/leases/a")
    assert heartbeat
    store.put("/leases/a", value, expected=heartbeat.revision, durability=Durability.EPHEMERAL)
    first = store.get("/pods/first")
    assert first
    _refused_update(store, first.revision)
    assert store.get("/pods/first") == first
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    written.append(store.put("/pods/first", value, expected=first.revision).revision)
    written.append(store.put("/pods/299", value, expected=0).revision)
    assert store.trouble == ""
    assert seen == written
    before = store.list("")
    store.close()
    store = open_store(str(Path(folder) / "state.db"))
    assert store.list("").rows == before.rows
    again: list[int] = []
    store.watch("/pods/", 1, lambda changes: again.extend(change.revision for change in changes))
    assert again == written
    store.close()


def _refused_update(store: object, revision: int) -> None:
    try:
        store.put("/pods/first", value, expected=revision)  # type: ignore[attr-defined]
    except Unavailable:
        return
    raise AssertionError("the disk should be full")


def under_gevent(folder: str) -> None:
    """One hub, native threads beside it, many greenlets that write and watch."""
    from mini8s.app import hub  # noqa: PLC0415 - before the patch nothing of gevent

    hub.patch()
    import gevent  # noqa: PLC0415

    loop = hub.GeventLoop()
    store = open_store(str(Path(folder) / "state.db"), loop=loop, ephemeral_flush_seconds=0.05)
    seen: list[int] = []
    store.watch("/", 1, lambda changes: seen.extend(change.revision for change in changes))
    turns = [0]

    def tick() -> None:
        while True:
            turns[0] += 1
            gevent.sleep(0.001)

    def write(number: int) -> None:
        durability = Durability.EPHEMERAL if number % 2 else Durability.LASTING
        for count in range(50):
            store.put(f"/{number % 2}/{number}-{count}", value, expected=0, durability=durability)

    ticking = gevent.spawn(tick)
    gevent.joinall([gevent.spawn(write, number) for number in range(16)], raise_error=True, timeout=30)
    ticking.kill()
    assert seen == list(range(2, 802)), len(seen)
    assert turns[0] > 5, turns
    store.compact(400)
    store.snapshot(str(Path(folder) / "copy"))
    store.close()


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2])
    if sys.argv[1] != "writer":
        print("ok")
