"""What the API needs of the connection that a request came on, beyond WSGI.

Two things WSGI has no words for: whom the transport vouches for, and taking the socket over (a watch hangs on
a pump instead of a greenlet's stack; a tunnel speaks another protocol). `app/wsgi.py` has the real one,
`tests/fakes/connection.py` the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

ENVIRON_KEY = "mini8s.connection"


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end: a verified client certificate's subject, or a local process's user."""

    common_name: str = ""
    organizations: tuple[str, ...] = ()
    uid: int | None = None  # None: not the unix socket


class Stream(Protocol):
    """A socket in non-blocking hands. All callbacks run on the loop's thread."""

    def write(self, data: bytes) -> int:
        """How many bytes were taken, 0 when the socket is full. After a 0 the same data must come again
        first: TLS insists. Raises OSError when the other end is gone."""

    def when_writable(self, callback: Callable[[], None] | None) -> None:
        """Call when there is room again, until told None."""

    def when_gone(self, callback: Callable[[], None]) -> None:
        """Call once when the other end hangs up."""

    def close(self) -> None:
        """Let go, and wake who waits. More than once is fine."""

    def wait(self, seconds: float) -> bool:
        """Block this request until `close`, or so long; whether it is closed."""


class Socket(Protocol):
    """The part of a blocking socket that tunnels use. It waits as long as it takes; a peer that is cut off
    without a word is found out by the kernel."""

    def sendall(self, data: bytes, /) -> None: ...

    def makefile(self, mode: str, /) -> Any: ...

    def getsockopt(self, level: int, name: int, size: int, /) -> bytes: ...

    def recv(self, size: int, /) -> bytes: ...

    def shutdown(self, how: int, /) -> None: ...

    def close(self) -> None: ...


class Connection(Protocol):
    """After either `take`, HTTP is over here: the server writes no more, and closes when the request's call
    returns."""

    @property
    def peer(self) -> Peer: ...

    def take_stream(self) -> Stream: ...

    def take_socket(self) -> Socket: ...

    def lives(self) -> bool:
        """Whether the other end is still there, as far as can be told without reading from it."""

    def when_gone(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call once when the other end hangs up; the connection then serves no further request. Returns what
        calls it off."""
