"""Installed as users do it, on a host whose root is an overlay, so that all that an installation writes can
be listed: by the single executable and by the Debian package, by packaging/install.sh, and gone again."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from e2e import packages
from hosts import Hosts
from hosts.cluster import Cluster, Program
from hosts.host import Host
from hosts.remains import Remains

ROOT = Path(__file__).parents[2]
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What the package manager notes of any package, and what programs keep for themselves.
NOT_OURS = ("var/lib/dpkg/", "var/log/", "var/cache/", "tmp/", "root/.", "var/lib/apt/", "proc", "sys", "dev")
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "sleeper"},
    "spec": {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "c", "image": "mini8s-busybox:1", "command": ["sleep", "1000"]}],
    },
}


@dataclass(frozen=True, slots=True)
class Root:
    """A copy of this machine's root in which only the upper layer is written."""

    folder: Path

    @property
    def path(self) -> Path:
        return self.folder / "root"

    def mount(self, shared: Path) -> None:
        """`shared` is the same inside and outside: engines work there too."""
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", self.folder], check=True)
        for name in ("upper", "work", "root"):
            (self.folder / name).mkdir()
        layers = f"lowerdir=/,upperdir={self.folder}/upper,workdir={self.folder}/work"
        subprocess.run(["mount", "-t", "overlay", "-o", layers, "overlay", self.path], check=True)
        for source in ("/proc", "/sys", "/dev", str(shared), str(ROOT)):
            subprocess.run(["mount", "--rbind", source, f"{self.path}{source}"], check=True)
            if source in ("/proc", "/sys", "/dev"):
                subprocess.run(["mount", "--make-rslave", f"{self.path}{source}"], check=True)

    def unmount(self) -> None:
        """Private first: what is unmounted here must not be unmounted of the host as well."""
        subprocess.run(["mount", "--make-rprivate", self.folder], check=True)
        subprocess.run(["umount", "--recursive", "--lazy", self.folder], check=True)

    def command(self, *words: str) -> list[str]:
        return ["chroot", str(self.path), "env", f"PATH={PATH}", *words]

    def run(self, host: Host, *words: str, **environment: str) -> str:
        return host.run(*self.command(*words), env=environment, timeout=300)

    def written(self) -> list[str]:
        upper = self.folder / "upper"
        names = sorted(str(path.relative_to(upper)) for path in upper.rglob("*") if not path.is_dir())
        return [name for name in names if not name.startswith(NOT_OURS)]


@pytest.fixture(scope="module")
def dist(request: pytest.FixtureRequest) -> Path:
    """The folder of the packages."""
    given = os.environ.get(packages.GIVEN)
    return Path(given) if given else request.config.stash[packages.KEY].result()


@pytest.fixture(scope="module")
def cluster(hosts: Hosts, image_archives: list[Path]) -> Iterator[Cluster]:
    with Cluster(hosts.up(2), image_archives) as cluster:
        yield cluster


@pytest.fixture
def root(cluster: Cluster, dist: Path, tmp_path: Path) -> Iterator[Root]:
    root = Root(tmp_path)
    root.mount(cluster.hosts[1].place.folder)
    try:
        (root.path / "opt/mini8s-dist").mkdir()
        for path in dist.iterdir():
            (root.path / "opt/mini8s-dist" / path.name).write_bytes(path.read_bytes())
        yield root
    finally:
        for program in cluster.programs.values():
            program.kill()
        root.unmount()


def install(root: Root, host: Host, kind: str, *words: str, **environment: str) -> list[str]:
    """The command that the installer says to start with, as systemd isn't there."""
    said = root.run(
        host,
        *("sh", str(ROOT / "packaging/install.sh"), *words),
        INSTALL_MINI8S_FROM="/opt/mini8s-dist",
        INSTALL_MINI8S_TYPE=kind,
        INSTALL_MINI8S_SKIP_DEPS="true",
        **environment,
    )
    line = next(line for line in said.splitlines() if "Start it with" in line)
    return line.partition("Start it with: ")[2].split()


def start(cluster: Cluster, root: Root, number: int, command: list[str]) -> None:
    host = cluster.hosts[number]
    log = host.folder / "mini8s.log"
    with log.open("ab") as output:
        process = host.popen(
            *root.command(*command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    cluster.programs[number] = Program(host, process, log)


def pod_phase(cluster: Cluster) -> str:
    answer = cluster.api("/api/v1/namespaces/default/pods/sleeper")
    return str(json.loads(answer).get("status", {}).get("phase")) if answer.startswith("{") else ""


def tables(host: Host) -> str:
    return host.run("nft", "list", "tables")


def remains(host: Host) -> tuple[Remains, str]:
    return Remains.of(host), tables(host)


@pytest.mark.parametrize("kind", ["binary", "deb"])
def test_it_is_installed_runs_pods_and_leaves_nothing(kind: str, cluster: Cluster, root: Root) -> None:
    server, agent = cluster.hosts[1], cluster.hosts[2]
    (root.path / "etc/mini8s").mkdir(exist_ok=True)
    (root.path / "etc/mini8s/config.yaml").write_text("node-label: [mine=yes]\n")
    files, before = root.written(), {number: remains(host) for number, host in cluster.hosts.items()}
    command = install(root, server, kind, "server", "--tls-san", "shop.example")
    assert command[-2:] == ["--tls-san", "shop.example"]
    start(cluster, root, 1, command)
    cluster.wait_ready("h1")
    token = (server.data / "server/node-token").read_text().strip()
    joining = install(root, agent, kind, MINI8S_URL=f"https://{server.ip}:6443", MINI8S_TOKEN=token)
    assert token not in joining
    start(cluster, root, 2, joining)
    cluster.wait_ready("h1", "h2")
    posted = ("/api/v1/namespaces/default/pods", "--data", json.dumps(POD))
    cluster.wait_for("a pod to be taken", lambda: '"sleeper"' in cluster.api(*posted))
    cluster.wait_for("the pod to run", lambda: pod_phase(cluster) == "Running")
    assert install(root, server, kind, "server") == command  # an upgrade keeps the flags
    assert pod_phase(cluster) == "Running"
    assert (root.path / "etc/mini8s/config.yaml").read_text() == "node-label: [mine=yes]\n"
    for number in (2, 1):
        assert cluster.programs[number].stop() == 0
    root.run(agent, "mini8s", "reset", "--yes")
    root.run(server, "mini8s-uninstall")
    assert [name for name in root.written() if name not in files] == []
    for number, host in cluster.hosts.items():
        now, nft = remains(host)
        assert now.without(before[number][0]) == []
        assert nft == before[number][1]
        assert not host.data.exists()
