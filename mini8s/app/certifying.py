"""Asking short-lived processes for certificates, so that `cryptography` and the authority's key stay out of
the memory of whoever needs one."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Sequence

from mini8s.objects.errors import BadRequest, ServiceUnavailable
from mini8s.objects.kinds import Obj
from mini8s.wire.codec import encode_json

log = logging.getLogger(__name__)

REFUSED = 65  # EX_DATAERR of sysexits(3): what they end with when the request is at fault
SECONDS = 30.0


def ask(module: str, question: Obj, arguments: Sequence[str] = ()) -> bytes:
    """What the module, run as a program, answers. Raises BadRequest, ServiceUnavailable."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            input=encode_json(question),
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        log.warning("no certificate: %s", error)
        raise ServiceUnavailable("no certificate could be signed for now") from error
    said = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
    if done.returncode == REFUSED:
        raise BadRequest(said)
    if done.returncode:
        log.warning("no certificate: %s", said or f"{module} ended with {done.returncode}")
        raise ServiceUnavailable("no certificate could be signed for now")
    return done.stdout


def certified(data_dir: str, spec: Obj, seconds: int) -> bytes:
    """What a CertificateSigningRequest asks for, from the cluster's authority."""
    parts = {name: spec[name] for name in ("request", "usages")}
    return ask("mini8s.app.certify", {"data_dir": data_dir, "seconds": seconds} | parts)
