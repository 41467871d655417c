"""Open watches: events framed once, sent to all who asked, and a cut for who does not keep up.

A `Feed` is one watch. The registry hands it events on the loop's thread; it writes what the socket takes
and keeps the rest, in order, up to a limit. Its request's own greenlet sleeps in `run` and wakes only for
bookmarks and the end. Invariant: bytes reach the socket in the order given, no chunk is torn by another.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

from mini8s.api.connection import Stream
from mini8s.registry.base import WatchEvent

log = logging.getLogger(__name__)

MAX_BACKLOG = 4 * 1024 * 1024  # bytes a watcher may lag behind: some thousand events
BOOKMARK_SECONDS = 50.0  # clients expect one a minute
_KEEP_FRAMES = 256
_MAX_WRITE = 256 * 1024  # a pending backlog goes out in pieces of about this
_END = b"0\r\n\r\n"
_HEAD = (
    "HTTP/1.1 200 OK\r\nContent-Type: {}\r\nTransfer-Encoding: chunked\r\n"
    "Cache-Control: no-cache, private\r\nConnection: close\r\n\r\n"
)


class Encoding(Protocol):
    """How events look to some watchers. Those with an equal `key` get the same bytes."""

    @property
    def key(self) -> Hashable: ...

    @property
    def content_type(self) -> str: ...

    def event(self, type: str, value: bytes, *, first: bool) -> bytes:
        """`first`: the watch's first event, which in a Table carries the columns."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a watch ends by itself, and how to make its bookmarks (None: not asked for)."""

    seconds: float
    bookmark: Callable[[], tuple[str, bytes]] | None = None


class Frames:
    """The lines of the newest events, made once per encoding."""

    def __init__(self) -> None:
        self._lines: OrderedDict[Hashable, tuple[bytes, bytes]] = OrderedDict()
        self._batch: tuple[Hashable, Sequence[WatchEvent], bytes] = (None, (), b"")

    def batch(self, encoding: Encoding, events: Sequence[WatchEvent]) -> bytes:
        """A batch as it goes out, one chunk: who reads it has work with each. Most who hear of it do so one
        after the other, and want the same."""
        key, batch, data = self._batch
        if events is batch and key == encoding.key:
            return data
        data = chunk(b"".join([self.line(encoding, event) for event in events]))
        self._batch = (encoding.key, events, data)
        return data

    def line(self, encoding: Encoding, event: WatchEvent) -> bytes:
        key = (encoding.key, event.type, event.revision)
        found = self._lines.get(key)
        if found is not None and found[0] is event.value:
            return found[1]
        made = encoding.event(event.type, event.value, first=False)
        self._lines[key] = (event.value, made)
        if len(self._lines) > _KEEP_FRAMES:
            self._lines.popitem(last=False)
        return made


def chunk(data: bytes) -> bytes:
    """One chunk of HTTP. None for nothing: an empty one would be the end."""
    return data and b"%X\r\n%b\r\n" % (len(data), data)


class Feed:
    """One watch, from before its first event to its last byte."""

    __slots__ = (
        "_allowed",
        "_blocked",
        "_encoding",
        "_ended",
        "_ending",
        "_frames",
        "_fresh",
        "_pending",
        "_size",
        "_stream",
        "cut_off",
        "resource",
        "sent",
    )

    def __init__(self, encoding: Encoding, frames: Frames, resource: str) -> None:
        self.resource = resource
        self.sent = 0
        self.cut_off = False
        self._encoding = encoding
        self._frames = frames
        self._fresh = True
        self._stream: Stream | None = None
        self._pending: deque[bytes] = deque([_HEAD.format(encoding.content_type).encode()])
        self._size = 0
        self._allowed = MAX_BACKLOG
        self._blocked = self._ending = self._ended = False

    def deliver(self, events: Sequence[WatchEvent]) -> None:
        """What the registry calls. Before the socket is there, which is the initial state, all is kept."""
        if self._ended:
            return
        self.sent += len(events)
        try:
            data = self._framed(events)
        except Exception:  # a column that trips over an object must not reach the store's loop
            log.exception("a watch of %s ended: its events could not be shown", self.resource)
            self._close()
            return
        self._send(data)

    def say(self, type: str, value: bytes) -> None:
        """An event of this watch's own: BOOKMARK, ERROR."""
        self._send(chunk(self._line(type, value)))

    def finish(self) -> None:
        """End in good order: what is pending still goes out."""
        if not self._ending:
            self._ending = True
            self._send(_END)

    def attach(self, stream: Stream) -> None:
        """Begin to write: the headers, and what was delivered so far, which is no backlog."""
        self._stream = stream
        if self._ended:  # before it began
            stream.close()
            return
        self._allowed += self._size
        stream.when_gone(self._close)
        self._flush()

    def run(self, stream: Stream, schedule: Schedule) -> None:
        """Serve the watch on a socket until its time is over or the client is gone."""
        self.attach(stream)
        end = time.monotonic() + schedule.seconds
        pause = BOOKMARK_SECONDS if schedule.bookmark is not None else schedule.seconds
        while not stream.wait(max(0.0, min(pause, end - time.monotonic()))):
            if time.monotonic() >= end:
                break
            if schedule.bookmark is not None:
                self.say(*schedule.bookmark())
        self.finish()
        if not stream.wait(BOOKMARK_SECONDS):  # a reader that does not take even the end
            self._close()

    def _framed(self, events: Sequence[WatchEvent]) -> bytes:
        if self._fresh or self._stream is None:
            return chunk(b"".join([self._line(event.type, event.value) for event in events]))
        return self._frames.batch(self._encoding, events)

    def _line(self, type: str, value: bytes) -> bytes:
        line = self._encoding.event(type, value, first=self._fresh)
        self._fresh = False
        return line

    def _send(self, data: bytes) -> None:
        if self._ended or (self._ending and data is not _END):
            return
        idle = not self._pending
        if idle and not self._ending:
            data = self._left_by_socket(data)
        if not data:
            return
        self._pending.append(data)
        self._size += len(data)
        if self._stream is None:
            return
        if idle:
            self._flush()
        elif self._size > self._allowed:
            self.cut_off = True
            self._close()

    def _left_by_socket(self, data: bytes) -> bytes:
        """What the socket has not taken at once; nearly always nothing."""
        if self._stream is None or len(data) > _MAX_WRITE:
            return data
        try:
            return data[self._stream.write(data) :]
        except OSError:
            self._close()
            return b""

    def _flush(self) -> None:
        """Write until the socket is full. What it refused comes first again, unchanged: TLS insists."""
        stream = self._stream
        if stream is None or self._ended:
            return
        try:
            while self._pending:
                if not self._write_some(stream):
                    self._block(stream, True)
                    return
        except OSError:
            self._close()
            return
        self._block(stream, False)
        if self._ending:
            self._close()

    def _write_some(self, stream: Stream) -> int:
        data = self._pending[0]
        taken = stream.write(data if len(data) <= _MAX_WRITE else data[:_MAX_WRITE])
        self._size -= taken
        if taken == len(data):
            self._pending.popleft()
        elif taken:
            self._pending[0] = data[taken:]
        return taken

    def _block(self, stream: Stream, blocked: bool) -> None:
        if blocked != self._blocked:
            self._blocked = blocked
            stream.when_writable(self._flush if blocked else None)

    def _close(self) -> None:
        if not self._ended:
            self._ended = True
            self._pending.clear()
            if self._stream is not None:
                self._stream.close()


class Pump:
    """All open watches."""

    def __init__(self) -> None:
        self.frames = Frames()
        self.cut_off = 0
        self.events = 0
        self._feeds: set[Feed] = set()
        self._closing = False

    def open(self, encoding: Encoding, resource: str) -> Feed:
        return Feed(encoding, self.frames, resource)

    def run(self, feed: Feed, stream: Stream, schedule: Schedule) -> None:
        """Blocks for as long as the watch lasts."""
        self._feeds.add(feed)
        try:
            feed.run(stream, Schedule(0.0) if self._closing else schedule)
        finally:
            self._feeds.discard(feed)
            self.events += feed.sent
            self.cut_off += feed.cut_off

    def close(self) -> None:
        """End every watch: clients connect again, to whoever serves next."""
        self._closing = True
        for feed in list(self._feeds):
            feed.finish()
