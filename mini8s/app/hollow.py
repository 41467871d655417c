"""`mini8s agent --runtime hollow`: nodes that only pretend, to try how big a cluster may get.

One identity for all: an administrator's, whose every write is made in the name of the node that it is about
(`Impersonate-User: system:node:NAME`), so that the server judges it by the rules for nodes. A certificate for
each, as kubemark has it, would be thousands of TLS sessions, 40 KB each on either side, and of signatures.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from mini8s.agent.hollow.nodes import HollowNodes
from mini8s.agent.kubelet.settings import parse
from mini8s.app import registration
from mini8s.app.host import HostError
from mini8s.app.layout import server_files
from mini8s.app.process import limit_arenas, settle, stop_on_sigterm
from mini8s.client.informer import Informers
from mini8s.client.kubeconfig import BadKubeconfig, from_kubeconfig
from mini8s.client.rest import Endpoint, Rest
from mini8s.config import VERSION, AgentSettings
from mini8s.util.clock import SystemClock

STOP_SECONDS = 5.0
SWITCH_SECONDS = 0.0005  # threads here wait for answers: the default of 5 ms would be most of each wait


def run(settings: AgentSettings) -> int:
    """Run until told to stop; the exit code. Raises HostError."""
    limit_arenas()
    sys.setswitchinterval(SWITCH_SECONDS)
    stop = stop_on_sigterm()
    # a line for each of thousands of nodes says nothing: the nodes' own sentence counts them
    logging.getLogger("mini8s.agent.kubelet.node.heartbeat").setLevel(logging.WARNING)
    rest = Rest(endpoint(settings), user_agent=f"mini8s-hollow/{VERSION}")
    informers = Informers(rest, stop, sharing=True)
    nodes = HollowNodes(
        names(settings),
        lambda name: rest.acting_as(f"system:node:{name}", "system:nodes"),
        informers,
        labels=registration.labels(settings),
        taints=registration.taints(settings),
        settings=parse(settings.kubelet_arg),
        clock=SystemClock(),
        stop=stop,
    )
    informers.start()
    nodes.start()
    settle()
    stop.wait()
    nodes.close(STOP_SECONDS)
    informers.close(STOP_SECONDS)
    return 0


def names(settings: AgentSettings) -> list[str]:
    first = settings.node_name or "hollow"
    return [f"{first}-{number}" for number in range(1, settings.count + 1)]


def endpoint(settings: AgentSettings) -> Endpoint:
    """The kubeconfig's, else the socket of the server on this host. Raises HostError."""
    socket = server_files(settings.data_dir).socket
    if not settings.kubeconfig and socket.exists():
        return Endpoint(unix_socket=str(socket))
    if not settings.kubeconfig:
        raise HostError("hollow nodes need an administrator's --kubeconfig, or a server on this host")
    try:
        return from_kubeconfig(Path(settings.kubeconfig))
    except BadKubeconfig as error:
        raise HostError(str(error)) from error
