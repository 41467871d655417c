"""What the disk has, entry by entry, so that only what differs is written: the journal with its books.

Entries come and go with plain values; those of the verb `sealed` are sealed on their way to the file.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from mini8s.agent.state.base import Vault, VaultError
from mini8s.agent.state.essence import digest
from mini8s.agent.state.journal import Entry, Journal
from mini8s.objects.kinds import Obj
from mini8s.wire.codec import decode_json, encode_json

log = logging.getLogger(__name__)

SLACK_BYTES = 64 * 1024  # so many bytes of outdated lines are never worth writing all anew

Place = tuple[str, str]  # shelf, key


@dataclass(slots=True)
class Shelf:
    """All of one shelf. Unless it was `listed`, what isn't here may exist all the same."""

    listed: bool = False
    sealed: bool = False
    objects: dict[str, Obj] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Written:
    """What the disk has of an object, by its digest, and how many bytes its line takes."""

    digest: bytes
    size: int


class Ledger:
    """One thread at a time."""

    def __init__(self, journal: Journal, vault: Vault) -> None:
        self._journal = journal
        self._vault = vault
        self._written: dict[Place, _Written] = {}
        self._listed: set[str] = set()
        self._closed: dict[Place, str] = {}  # sealed, and could not be opened: kept as it is

    def read(self) -> dict[str, Shelf]:
        """What an earlier run wrote. What can't be read is said, and is as if it had never been."""
        shelves: dict[str, Shelf] = {}
        try:
            for entry in self._journal.read():
                self._replay(entry, shelves)
        except OSError as error:
            log.warning("the agent's memory can't be read: %s", error)
        self._unseal(shelves)
        return shelves

    def commit(self, entries: Iterable[Entry], everything: Callable[[], Iterable[Entry]]) -> None:
        """Write what of the entries is news. `everything` is asked when too much of the file is outdated.
        Raises OSError, VaultError; then nothing was taken over."""
        news = [entry for entry in entries if self._is_news(entry)]
        if not news and not self._journal.doubtful:
            return
        if self._journal.doubtful or self._journal.size > 2 * self._live() + SLACK_BYTES:
            self._rewrite(list(everything()))
            return
        lines = self._lines(news)
        self._journal.append(lines)
        for entry, line in zip(news, lines, strict=True):
            self._book(entry, len(line))

    def _rewrite(self, entries: Sequence[Entry]) -> None:
        lines = self._lines(entries)
        present = {(entry.shelf, entry.key) for entry in entries}
        closed = {place: text for place, text in self._closed.items() if place not in present}
        self._journal.replace(
            [*lines, *(Entry("sealed", *place, text).line() for place, text in closed.items())]
        )
        self._written, self._listed, self._closed = {}, set(), closed
        for entry, line in zip(entries, lines, strict=True):
            self._book(entry, len(line))
        for place, text in closed.items():
            self._written[place] = _Written(b"", len(text))

    def _is_news(self, entry: Entry) -> bool:
        known = self._written.get((entry.shelf, entry.key))
        match entry.verb:
            case "gone":
                return known is not None
            case "listed":
                return entry.shelf not in self._listed
            case "dropped":
                return entry.shelf in self._listed or any(self._places(entry.shelf))
        return known is None or known.digest != digest(entry.value)

    def _book(self, entry: Entry, size: int) -> None:
        """An entry is on the disk."""
        place = (entry.shelf, entry.key)
        self._closed.pop(place, None)
        match entry.verb:
            case "gone":
                self._written.pop(place, None)
            case "listed":
                self._listed.add(entry.shelf)
            case "dropped":
                self._listed.discard(entry.shelf)
                for gone in self._places(entry.shelf):
                    del self._written[gone]
                    self._closed.pop(gone, None)
            case _:
                self._written[place] = _Written(digest(entry.value), size)

    def _places(self, shelf: str) -> list[Place]:
        return [place for place in self._written if place[0] == shelf]

    def keys(self, shelf: str) -> list[str]:
        """What the disk has on a shelf."""
        return [key for _, key in self._places(shelf)]

    def _live(self) -> int:
        return sum(written.size for written in self._written.values())

    def _lines(self, entries: Sequence[Entry]) -> list[bytes]:
        secret = [entry for entry in entries if entry.verb == "sealed"]
        pieces = [(_name(entry), encode_json(entry.value).decode()) for entry in secret]
        sealed = iter(self._vault.seal(pieces) if pieces else ())
        return [
            (replace(entry, value=next(sealed)) if entry.verb == "sealed" else entry).line()
            for entry in entries
        ]

    def _replay(self, entry: Entry, shelves: dict[str, Shelf]) -> None:
        """A line that was read."""
        shelf = shelves.setdefault(entry.shelf, Shelf())
        if entry.verb == "sealed":
            place = (entry.shelf, entry.key)
            self._written[place] = _Written(b"", len(entry.value))
            self._closed[place] = entry.value
            return
        self._book(entry, len(entry.line()))
        match entry.verb:
            case "dropped":
                del shelves[entry.shelf]
            case "listed":
                shelf.listed = True
            case "gone":
                shelf.objects.pop(entry.key, None)
            case _:
                shelf.objects[entry.key] = entry.value

    def _unseal(self, shelves: dict[str, Shelf]) -> None:
        closed = list(self._closed.items())
        if not closed:
            return
        try:
            opened = self._vault.open([("/".join(place), text) for place, text in closed])
        except VaultError as error:
            log.warning("what is sealed in the agent's memory can't be opened: %s", error)
            opened = [None] * len(closed)
        for (place, _), text in zip(closed, opened, strict=True):
            if text is None:
                shelves[place[0]].listed = False  # what is only unreadable must not pass for what isn't there
                continue
            obj = decode_json(text.encode())
            shelves[place[0]].objects[place[1]], shelves[place[0]].sealed = obj, True
            self._book(Entry("sealed", *place, obj), self._written[place].size)


def _name(entry: Entry) -> str:
    return f"{entry.shelf}/{entry.key}"
