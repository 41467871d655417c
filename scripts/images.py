"""Container images made from files: no registry, no compiler, no Dockerfile.

Archives in `docker save`'s format, which the agent loads from DATA/agent/images. Both hold Debian's static
busybox:

    mini8s-hello:v1, :v2   a web server on port 8080: its version, its host's name, a greeting
    mini8s-busybox:1       a shell and its tools, for what only has to run

    scripts/images.py FOLDER    writes all of them there; a file that is complete already is left alone
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

EPOCH = "1970-01-01T00:00:00Z"  # the same input gives the same image
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}
PORT = 8080

# PID 1 of the web server. On SIGTERM it goes on answering for a while, since requests still arrive until
# every host has heard that the pod ends; then it listens no more, lets the answers under way finish, and
# leaves with 0.
SERVE = """#!/bin/sh
linger=${LINGER:-2}
httpd -f -p 8080 -h /www &
listener=$!
finish() {
    sleep "$linger"
    kill "$listener"
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        pidof httpd >/dev/null || break
        sleep 1
    done
    exit 0
}
trap finish TERM INT
echo "hello $VERSION serves on port 8080"
while kill -0 "$listener" 2>/dev/null; do wait "$listener"; done
echo "the web server ended"
exit 1
"""

# `/` answers in one line. A ConfigMap reaches it as the variable GREETING or, live, as the file
# /etc/hello/greeting.
ANSWER = """#!/bin/sh
greeting=$GREETING
[ -r /etc/hello/greeting ] && read -r greeting </etc/hello/greeting
printf 'Content-Type: text/plain\\r\\n\\r\\n'
printf 'hello %s from %s: %s\\n' "$VERSION" "$(hostname)" "$greeting"
"""

# /cgi-bin/slow?3 answers after three seconds.
SLOW = """#!/bin/sh
sleep "${QUERY_STRING:-1}"
printf 'Content-Type: text/plain\\r\\n\\r\\nslept %s\\n' "${QUERY_STRING:-1}"
"""

# /cgi-bin/who says where the request came from, as the server sees it.
WHO = """#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n%s\\n' "$REMOTE_ADDR"
"""


@dataclass(frozen=True, slots=True)
class File:
    """An entry of an image's only layer."""

    path: str
    content: bytes = b""
    mode: int = 0o644
    link: str = ""
    folder: bool = False


@dataclass(frozen=True, slots=True)
class Image:
    name: str
    files: Sequence[File]
    config: Mapping[str, object]


def busybox() -> Image:
    return Image(
        "mini8s-busybox:1", _busybox_files(), {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"], "WorkingDir": "/"}
    )


def hello(version: str) -> Image:
    """The web server; versions differ in what they say only, so that a layer is stored once."""
    files = [
        *_busybox_files(),
        *(File(path, folder=True, mode=0o755) for path in ("www", "www/cgi-bin", "etc/hello")),
        File("serve", SERVE.encode(), 0o755),
        File("www/cgi-bin/index.cgi", ANSWER.encode(), 0o755),
        File("www/cgi-bin/slow", SLOW.encode(), 0o755),
        File("www/cgi-bin/who", WHO.encode(), 0o755),
        File("www/healthz", b"ok\n"),
    ]
    config = {
        "Entrypoint": ["/serve"],
        "Env": ["PATH=/bin", f"VERSION={version}", "GREETING=no greeting"],
        "ExposedPorts": {f"{PORT}/tcp": {}},
        "WorkingDir": "/",
    }
    return Image(f"mini8s-hello:{version}", files, config)


def everything() -> list[Image]:
    return [hello("v1"), hello("v2"), busybox()]


def write(images: Iterable[Image], folder: Path) -> list[Path]:
    """One archive an image, named after it; the files' paths. What is there already is not written again."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for image in images:
        path = folder / f"{image.name.replace(':', '-')}.tar"
        content = archive(image)
        if not path.exists() or path.read_bytes() != content:
            part = path.with_suffix(".part")
            part.write_bytes(content)
            part.rename(path)  # an agent that looks now sees all of it or nothing
        paths.append(path)
    return paths


def archive(image: Image) -> bytes:
    """The image as `docker save` would write it."""
    layer = tar(image.files)
    config = json.dumps(
        {
            "architecture": ARCHITECTURES.get(os.uname().machine, os.uname().machine),
            "os": "linux",
            "created": EPOCH,
            "config": image.config,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
            "history": [{"created": EPOCH, "created_by": "mini8s scripts/images.py"}],
        }
    ).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = [{"Config": config_name, "RepoTags": [image.name], "Layers": ["layer.tar"]}]
    return tar(
        [
            File("manifest.json", json.dumps(manifest).encode()),
            File(config_name, config),
            File("layer.tar", layer),
        ]
    )


def tar(files: Iterable[File]) -> bytes:
    """A tar archive with no dates and no owners but root."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as target:
        for file in files:
            entry = tarfile.TarInfo(file.path)
            entry.mode, entry.size, entry.linkname = file.mode, len(file.content), file.link
            entry.type = tarfile.DIRTYPE if file.folder else tarfile.SYMTYPE if file.link else tarfile.REGTYPE
            target.addfile(entry, io.BytesIO(file.content))
    return buffer.getvalue()


def _busybox_files() -> list[File]:
    path = shutil.which("busybox", path=f"{os.environ.get('PATH', '')}:/bin:/usr/bin")
    if not path or b"/ld-linux" in Path(path).read_bytes()[:4096]:
        raise FileNotFoundError("a static busybox is needed: apt-get install busybox-static")
    tools = subprocess.run([path, "--list"], capture_output=True, text=True, check=True).stdout.split()
    return [
        *(File(name, folder=True, mode=0o755) for name in ("bin", "etc", "root", "var")),
        File("tmp", folder=True, mode=0o1777),
        File("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
        File("etc/group", b"root:x:0:\nnogroup:x:65534:\n"),
        File("bin/busybox", Path(path).read_bytes(), 0o755),
        *(File(f"bin/{tool}", link="busybox", mode=0o777) for tool in tools if tool != "busybox"),
    ]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: scripts/images.py FOLDER")
    for written in write(everything(), Path(sys.argv[1])):
        print(written)
