"""A kubectl with an API process of its own to talk to."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import kubectls
from integration import api_process
from integration.api_process import ApiProcess


@dataclass
class Kubectl:
    program: str
    minor: int
    folder: Path

    def __call__(self, *words: str, stdin: str = "", fails: bool = False) -> str:
        done = subprocess.run(
            [self.program, f"--kubeconfig={self.folder}/config", f"--cache-dir={self.folder}/cache", *words],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout + (done.stderr if fails else "")


@contextmanager
def running(installed: kubectls.Kubectl, folder: Path) -> Iterator[Kubectl]:
    """Over an empty store, as administrator."""
    with api_process.running(folder) as api:
        (folder / "config").write_text(json.dumps(kubeconfig(api)))
        yield Kubectl(installed.program, installed.minor, folder)


def kubeconfig(api: ApiProcess, namespace: str = "default") -> dict[str, object]:
    files = {
        key: str(api.folder / f"admin.{end}")
        for key, end in (("client-certificate", "crt"), ("client-key", "key"))
    }
    cluster = {"server": api.url, "certificate-authority": str(api.folder / "ca.crt")}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": files}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": namespace}}],
        "current-context": "x",
    }
