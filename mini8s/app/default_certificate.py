"""The certificate that Ingresses are served with under names that there is no other for: one of this host,
signed by nobody that is known. `python -m mini8s.app.default_certificate` prints one with its key; the agent
runs that, because `cryptography` would be 9 MB of its memory."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from mini8s.app.layout import write_private

FRESH_SECONDS = 300 * 86400  # of the year that it holds


def of_host(path: Path) -> bytes:
    """The one in this file, made when it isn't there or soon out of date. Raises OSError."""
    if path.exists() and time.time() - path.stat().st_mtime < FRESH_SECONDS:
        return path.read_bytes()
    command = [sys.executable, "-m", "mini8s.app.default_certificate"]
    try:
        made = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    except subprocess.SubprocessError as error:
        raise OSError(f"no default certificate could be made: {error}") from error
    write_private(path, made)
    return made


def main() -> int:
    from datetime import UTC, datetime

    from mini8s.wire import tls  # only in this short-lived process

    now = datetime.now(UTC)
    leaf = tls.Leaf("mini8s default certificate", addresses=("default.mini8s.invalid",))
    made = tls.issue(tls.new_ca("mini8s default certificate", now), leaf, now)
    sys.stdout.buffer.write(made.certificate + made.key)
    return 0


if __name__ == "__main__":
    sys.exit(main())
