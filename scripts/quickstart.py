"""The part of scripts/quickstart that runs once everything is installed: start a server, run hello.yaml,
show it.

Each step looks before it acts, so that a second run finds what the first one did.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import images
import takedown
from stage import MINI8S, ROOT, Stage, fail, run, say, start_of, wait_for

MANIFEST = ROOT / "scripts" / "hello.yaml"
NAME = "hello.default.svc.cluster.local"
USAGE = """usage: sudo scripts/quickstart [-- FLAGS OF mini8s server]    set up, start, show
       sudo scripts/quickstart --down                        take all of it away again
DOCKER_HOST and MINI8S_DATA_DIR say where, as they do to docker and mini8s."""


def main(arguments: Sequence[str]) -> int:
    stage = Stage.of(os.environ)
    match list(arguments):
        case ["--down"]:
            takedown.take_down(stage)
        case [] | ["--", *_]:
            up(stage, arguments[1:])
        case _:
            print(USAGE, file=sys.stdout if "--help" in arguments or "-h" in arguments else sys.stderr)
            return 0 if "--help" in arguments or "-h" in arguments else 2
    return 0


def up(stage: Stage, flags: Sequence[str]) -> None:
    """All the steps, and what they took."""
    require_docker(stage)
    claim(stage)
    say(f"Making the images of the hello server from files, into {stage.data}/agent/images")
    images.write(images.everything(), stage.data / "agent" / "images")
    began = start_server(stage, flags)
    node = wait_until_ready(stage)
    ready = time.monotonic() - began
    say(f"Node {node} is Ready")
    apply(stage)
    address = wait_for("the Service's address", lambda: service_address(stage), seconds=30)
    wait_for("an answer from the Service", lambda: ask(address), seconds=120, pause=0.05)
    answered = time.monotonic() - began
    wait_for("the Deployment's rollout", lambda: rolled_out(stage), seconds=120)
    show(stage, address)
    if began:
        print(f"\n    server start to Ready node:       {ready:6.1f} s")
        print(f"    server start to first answer:     {answered:6.1f} s")
    print(next_commands(stage, address))


def require_docker(stage: Stage) -> None:
    """Where systemd runs, Docker is started by its own service; else it is the user's to start."""
    if docker_answers(stage):
        return
    if "DOCKER_HOST" not in os.environ and Path("/run/systemd/system").is_dir():
        say("Starting Docker (systemctl start docker)")
        run("systemctl", "start", "docker")
        wait_for("an answer from Docker", lambda: docker_answers(stage), seconds=30)
        return
    fail(
        f"Docker is not running: nothing answers at {stage.docker_host}.\n"
        "Start it (systemctl start docker; without systemd: dockerd --iptables=false),\n"
        "or say with DOCKER_HOST where it is."
    )


def docker_answers(stage: Stage) -> bool:
    ping = run(
        "curl",
        "-s",
        "--max-time",
        "5",
        "--unix-socket",
        stage.docker_socket,
        "http://docker/_ping",
        check=False,
    )
    return ping == "OK"


def claim(stage: Stage) -> None:
    """Note that the data folder is quickstart's, so that --down may remove it; a folder in use by others is
    not."""
    if stage.remembered():
        return
    if stage.data.exists() and any(stage.data.iterdir()):
        fail(
            f"{stage.data} holds the state of a mini8s that quickstart did not start; it is left alone.\n"
            "Name another folder with MINI8S_DATA_DIR."
        )
    stage.data.mkdir(parents=True, exist_ok=True)
    stage.note.write_text(json.dumps({"kubeconfig": str(stage.kubeconfig)}))


def start_server(stage: Stage, flags: Sequence[str]) -> float:
    """Start the server in the background unless it runs; when it was started, 0 when before this run."""
    if stage.server_pid():
        say(f"The server runs already (process {stage.server_pid()})")
        return 0.0
    command = [
        str(MINI8S),
        "server",
        f"--data-dir={stage.data}",
        f"--docker-host={stage.docker_host}",
        f"--write-kubeconfig={stage.kubeconfig}",
        *flags,
    ]
    say(f"Starting the server: {' '.join(command)}")
    began = time.monotonic()
    with stage.log.open("ab") as log:
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    stage.note.write_text(
        json.dumps({**stage.remembered(), "pid": server.pid, "start": start_of(server.pid)})
    )
    print(f"    its log is {stage.log}", flush=True)
    return began


def wait_until_ready(stage: Stage) -> str:
    """The name of the node once it is Ready."""

    def look() -> str:
        if not stage.server_pid():
            fail(f"the server ended; the last lines of its log:\n{tail(stage.log)}")
        nodes = (stage.api("/api/v1/nodes") or {}).get("items", [])
        return next((node["metadata"]["name"] for node in nodes if is_ready(node)), "")

    deadline = time.monotonic() + 120
    while not (name := look()):
        if time.monotonic() > deadline:
            fail(f"the node is not Ready after two minutes; the last lines of the log:\n{tail(stage.log)}")
        time.sleep(0.05)
    return name


def is_ready(node: dict[str, object]) -> bool:
    conditions = node.get("status", {}).get("conditions", [])  # type: ignore[attr-defined]
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)


def tail(path: Path, lines: int = 15) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def client(stage: Stage) -> list[str]:
    """kubectl where there is one, else mini8s, which speaks its words."""
    kubeconfig = f"--kubeconfig={stage.data}/server/cred/admin.kubeconfig"
    return ["kubectl", kubeconfig] if shutil.which("kubectl") else [str(MINI8S)]


def apply(stage: Stage) -> None:
    say(f"Applying {MANIFEST.relative_to(ROOT)} with {Path(client(stage)[0]).name}")
    environment = {
        "KUBECONFIG": f"{stage.data}/server/cred/admin.kubeconfig",
        "MINI8S_DATA_DIR": str(stage.data),
    }
    said = run(*client(stage), "apply", "-f", str(MANIFEST), env=environment)
    print("".join(f"    {line}\n" for line in said.splitlines()), end="", flush=True)


def service_address(stage: Stage) -> str:
    service = stage.api("/api/v1/namespaces/default/services/hello") or {}
    return str(service.get("spec", {}).get("clusterIP", ""))


def rolled_out(stage: Stage) -> bool:
    found = stage.api("/apis/apps/v1/namespaces/default/deployments/hello") or {}
    status, wanted = found.get("status", {}), found.get("spec", {}).get("replicas", 0)
    counts = [status.get(name, 0) for name in ("updatedReplicas", "availableReplicas", "replicas")]
    return status.get("observedGeneration") == found["metadata"]["generation"] and counts == [wanted] * 3


def ask(address: str) -> str:
    """One request to the Service; empty when it wasn't answered."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{address}/", timeout=2) as answer:
            return str(answer.read().decode()).strip()
    except (OSError, urllib.error.URLError):
        return ""


def show(stage: Stage, address: str) -> None:
    """Ask until every replica has answered, then ask for the Service by name."""
    say(f"Asking http://{address}/ until all replicas have answered")
    answers: Counter[str] = Counter()

    def all_answered() -> bool:
        answers.update(filter(None, [ask(address)]))
        return len(answers) >= 3

    wait_for("an answer from each of three replicas", all_answered, seconds=60, pause=0.01)
    for answer, count in sorted(answers.items()):
        print(f"    {count:3} x {answer}", flush=True)
    dns = stage.api("/api/v1/namespaces/kube-system/services/kube-dns") or {}
    server = dns.get("spec", {}).get("clusterIP", "10.43.0.10")
    say(f"Resolving {NAME} through {server}")
    wait_for(f"{NAME} in DNS", lambda: address in resolve(server), seconds=30)
    print(f"    {NAME} is {address}", flush=True)


def resolve(server: str) -> list[str]:
    """The addresses that a DNS server gives for the hello Service."""
    said = run("busybox", "nslookup", "-type=a", NAME, server, check=False)
    return [line.split()[-1] for line in said.splitlines() if line.startswith("Address")][1:]


def next_commands(stage: Stage, address: str) -> str:
    tool = Path(client(stage)[0]).name
    update = "kubectl set image deployment/hello web=mini8s-hello:v2"
    if tool == "mini8s":
        tool = str(MINI8S)
        update = f"sed s/hello:v1/hello:v2/ {MANIFEST} | {tool} apply -f -"
    return f"""
Try next (as root):
    export KUBECONFIG={stage.kubeconfig}
    {tool} get nodes,pods,services -o wide
    {tool} scale deployment hello --replicas=5
    {update} && {tool} rollout status deployment/hello
    for i in 1 2 3 4 5; do curl -s http://{address}/; done
    {tool} rollout undo deployment/hello
    curl -s --unix-socket {stage.socket} 'http://mini8s/api/v1/pods?as=table'
    scripts/quickstart --down        # takes all of it away again
"""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
