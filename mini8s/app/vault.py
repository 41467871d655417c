"""The agent's way to `app/seal.py`: one process for all that is to be sealed or opened at once."""

from __future__ import annotations

import subprocess
import sys
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mini8s.agent.state.base import Piece, VaultError

SECONDS = 60.0  # a slow board with a slow card takes a second


@dataclass(frozen=True, slots=True)
class NodeVault:
    """Fulfils agent.state.base.Vault. `previous` is the key that the node had before it renewed its
    certificate, where there was one: what it sealed can be opened, and is sealed anew with time."""

    key: Path
    previous: Path

    def seal(self, pieces: Sequence[Piece]) -> list[str]:
        return [
            _text(sealed)
            for sealed in _run("seal", self.key, [(name, text.encode()) for name, text in pieces])
        ]

    def open(self, pieces: Sequence[Piece]) -> list[str | None]:
        found: list[str | None] = [None] * len(pieces)
        for key in (self.key, self.previous):
            missing = [number for number, text in enumerate(found) if text is None]
            if not missing or not key.exists():
                continue
            asked = [(pieces[number][0], _bytes(pieces[number][1])) for number in missing]
            for number, opened in zip(missing, _run("open", key, asked), strict=True):
                found[number] = opened.decode() if opened else None
        return found


def _run(verb: str, key: Path, pieces: Sequence[tuple[str, bytes]]) -> list[bytes]:
    """Raises VaultError."""
    lines = [b64encode(name.encode()) + b" " + b64encode(data) + b"\n" for name, data in pieces]
    command = [sys.executable, "-m", "mini8s.app.seal", verb, str(key)]
    try:
        done = subprocess.run(
            command, input=b"".join(lines), capture_output=True, check=True, timeout=SECONDS
        )
    except subprocess.CalledProcessError as error:
        raise VaultError(error.stderr.decode(errors="replace").strip().rpartition("\n")[2]) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise VaultError(str(error)) from error
    answers = [b64decode(line) for line in done.stdout.splitlines()]
    if len(answers) != len(pieces):
        raise VaultError(f"{len(pieces)} pieces were given to {verb}, and {len(answers)} came back")
    return answers


def _text(data: bytes) -> str:
    return b64encode(data).decode()


def _bytes(text: str) -> bytes:
    """What is no base64 opens as nothing, like any other damage."""
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return b""
