"""PURE: what the json-file driver writes, and the bytes that somebody who asks for a log gets of it.

A line of output is one entry, or, beyond 16 KiB, several of which only the last ends with a newline. Nothing
is joined here: pieces go out as they come, and so a line may be of any length. Bytes that are no UTF-8 have
been replaced by the driver before they are in a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from mini8s.wire.lines import decoder

STREAMS = frozenset({"stdout", "stderr"})


@dataclass(slots=True)
class Entry:
    """`time` is RFC 3339 in UTC, with as many decimals as it needs."""

    log: str = ""
    stream: str = ""
    time: str = ""

    @property
    def ends(self) -> bool:
        return self.log.endswith("\n")


decode = decoder(Entry)


@dataclass(frozen=True, slots=True)
class Choice:
    """What of a log is wanted; `since` is Unix time, 0 is all."""

    since: float = 0.0
    timestamps: bool = False
    streams: frozenset[str] = STREAMS

    @property
    def plain(self) -> bool:
        return not self.since and not self.timestamps and self.streams == STREAMS


class Output:
    """Entries in their order become bytes. `last` is the time of the newest entry seen."""

    def __init__(self, choice: Choice) -> None:
        self._choice = choice
        self._since = _bound(choice.since) if choice.since else ""
        self._begins = True  # the next byte is the first of a line
        self._past = ""  # entries up to this time were given out already
        self.last = ""

    def resume(self) -> None:
        """The file that was read is gone: of what comes now, only what is newer is new."""
        self._past = stamp(self.last) if self.last else ""

    def of(self, entries: Sequence[Entry]) -> bytes:
        if not entries:
            return b""
        self.last = entries[-1].time
        if self._choice.plain and not self._past:
            return _encoded(one.log for one in entries)
        return _encoded(self._dressed(one) for one in entries if self._wanted(one))

    def _wanted(self, one: Entry) -> bool:
        if one.stream not in self._choice.streams:
            return False
        if not self._since and not self._past:
            return True
        when = stamp(one.time)
        return when >= self._since and when > self._past

    def _dressed(self, one: Entry) -> str:
        """A line has one time, however many entries it is in, as the kubelet has it."""
        begins, self._begins = self._begins, one.ends
        return f"{stamp(one.time)} {one.log}" if begins and self._choice.timestamps else one.log


class Tail:
    """Counts lines from the end of a log backwards. One that is still being written counts, too."""

    def __init__(self, lines: int) -> None:
        self._left = lines
        self._first = True

    def before(self, one: Entry) -> bool:
        """Whether this entry, the next one backwards, is before the lines that are wanted."""
        if self._first and not one.ends:
            self._left -= 1
        self._first = False
        if not one.ends:
            return self._left < 0
        self._left -= 1
        return self._left < 0


def stamp(time: str) -> str:
    """With nine decimals: as it is shown, and so that texts compare as times do."""
    whole, _, decimals = time.removesuffix("Z").partition(".")
    return f"{whole}.{decimals:0<9}Z"


def _bound(since: float) -> str:
    return stamp(datetime.fromtimestamp(since, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"))


def _encoded(texts: Iterable[str]) -> bytes:
    return "".join(texts).encode(errors="surrogatepass")
