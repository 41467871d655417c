"""The store on one SQLite file; the only home of apsw."""

from mini8s.store.sqlite.store import SqliteStore, open_store

__all__ = ["SqliteStore", "open_store"]
