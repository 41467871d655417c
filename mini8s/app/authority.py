"""The cluster's authority on the disk, and how another one takes its place while everything goes on.

`ca.key` is one file, replaced at once, and the authority is that certificate of `ca.crt` which is for it: at
no moment is there a key without its certificate. A change goes through these states, each of which follows
from what lies there, so that whatever breaks in between is taken up again by the next look:

    staged      ca.next     a new authority, with its key and cross-signed by the old one
    trusted     ca.crt      begins with it: servers and clients believe both
    in use      ca.key      is the new one's; every certificate is made anew, and the serving one comes with
                            the cross-signed authority, so that who only knows the old one believes it too
    finished    ca.crt      has the new one alone: after the life of the longest certificate, or by command
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from mini8s.app.layout import ServerFiles, write_private
from mini8s.wire import pem, tls

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Authority:
    """`pair` signs, `bundle` is believed, `cross` is shown to those who only know the old one. `until`: when
    that one goes; None when there is none, `pending` when the new one is not in use yet."""

    pair: tls.Pair
    bundle: bytes
    cross: bytes = b""
    until: datetime | None = None
    pending: bool = False


def load(files: ServerFiles) -> Authority:
    """Raises ValueError when the key is none of its certificates', OSError."""
    key, bundle = files.ca_key.read_bytes(), files.ca.read_bytes()
    for certificate in pem.certificates(bundle):
        if tls.is_for(certificate, key):
            break
    else:
        raise ValueError(f"{files.ca_key} is not the key of {files.ca}")
    cross = files.ca_cross.read_bytes() if files.ca_cross.exists() else b""
    until = tls.expires(cross) if cross else None
    return Authority(tls.Pair(certificate, key), bundle, cross, until, files.ca_next.exists())


def ensure(files: ServerFiles, now: datetime) -> Authority:
    """The authority, made when there is none, and one step further when another one is to take its place."""
    if not (files.ca.exists() and files.ca_key.exists()):
        made = tls.new_ca(_name(now), now)
        write_private(files.ca_key, made.key)
        write_private(files.ca, made.certificate, 0o644)
        log.info("made the cluster's certificate authority")
    if files.ca_next.exists():
        _take_a_step(files)
    known = load(files)
    if known.cross and not known.pending and (known.until is None or known.until <= now):
        finish(files)
    elif known.cross and not known.pending and len(pem.certificates(known.bundle)) == 1:
        finish(files)  # which something broke
    return load(files)


def begin(files: ServerFiles, now: datetime, life: timedelta) -> bool:
    """Stage another authority and have it believed; `life`: for how long the old one is, which is how long a
    certificate of it may live. False when a change is under way already."""
    known = load(files)
    if known.cross and not known.pending:
        return False
    if not known.pending:
        made = tls.new_ca(_name(now), now)
        cross = tls.cross_sign(known.pair, made.certificate, now, life)
        write_private(files.ca_next, made.key + made.certificate + cross)
    if not _believed(files):
        _take_a_step(files)
    return True


def finish(files: ServerFiles) -> None:
    """Believe the new one alone."""
    write_private(files.ca, load(files).pair.certificate, 0o644)
    files.ca_cross.unlink(missing_ok=True)
    log.info("the old certificate authority is gone")


def _take_a_step(files: ServerFiles) -> None:
    """One at a time: a server must believe it before somebody shows what it signed."""
    staged = files.ca_next.read_bytes()
    new, cross = pem.certificates(staged)
    if not _believed(files):
        write_private(files.ca_cross, cross, 0o644)
        write_private(files.ca, new + files.ca.read_bytes(), 0o644)
        log.info("a new certificate authority is believed beside the old one")
        return
    write_private(files.ca_key, staged[: staged.index(new)])
    files.ca_next.unlink()
    log.info("the new certificate authority is in use")


def _believed(files: ServerFiles) -> bool:
    new, _ = pem.certificates(files.ca_next.read_bytes())
    return new in pem.certificates(files.ca.read_bytes())


def _name(now: datetime) -> str:
    return f"mini8s-ca@{int(now.timestamp())}"
