"""`mini8s agent`: joins the host if it hasn't, then watches over the one child that runs the node."""

from __future__ import annotations

import functools
import json
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mini8s.app import clock_floor, host
from mini8s.app.cluster import Cluster
from mini8s.app.layout import agent_files
from mini8s.app.news import News
from mini8s.app.reload import Reload
from mini8s.app.renewal import Renewal
from mini8s.app.supervisor import Child, Ready, Reloaded, Supervisor, in_child
from mini8s.config import AgentSettings
from mini8s.util.backoff import Backoff
from mini8s.util.clock import SystemClock

log = logging.getLogger(__name__)


def run(said: AgentSettings, read: Callable[[], AgentSettings]) -> int:
    """Run until told to stop; the exit code. `read` gives the settings anew. Raises HostError,
    ChildFailed."""
    if said.runtime == "hollow":
        from mini8s.app import hollow  # no parent and no children: one process is all of it

        return hollow.run(said)
    host.require_root("mini8s agent")
    clock_floor.keep(Path(said.data_dir), time.time(), clock_floor.set_system_clock)
    settings = complete(said)
    host.require_docker(settings.docker_host)
    with host.lock(agent_files(settings.data_dir).root / "lock"):
        with in_child(functools.partial(join, settings)):
            pass  # what comes next must know the cluster
        host.note_node_ip(settings, _families(settings))
        news = News()
        reload = Reload(read, said, settings)
        child = Child("agent", functools.partial(_node, settings, news), news=news)
        return Supervisor([child], functools.partial(_reloaded, reload, news)).run()


def _families(settings: AgentSettings) -> tuple[str, ...]:
    """Of the cluster's addresses, as a host that joined knows them."""
    said = json.loads(agent_files(settings.data_dir).cluster.read_text())
    return Cluster.from_json(said).families


def complete(settings: AgentSettings) -> AgentSettings:
    """The settings with what this host says about itself filled in. Raises HostError."""
    if not settings.server:
        raise host.HostError("no server to join: give --server https://HOST:6443")
    host.node_ip(settings.node_ip, agent_files(settings.data_dir).node_ip)  # to be refused early
    return replace(
        settings,
        node_name=host.node_name(settings.node_name),
        token=settings.token or host.read_token(settings.token_file),
        data_dir=str(Path(settings.data_dir).absolute()),
    )


def join(settings: AgentSettings) -> None:
    """Join, or renew when due; a host that can start alone does not wait for its server. Raises
    JoinRefused."""
    from mini8s.app import (
        join as joining,
    )  # only in the short-lived child: cryptography stays out of the parent

    files, now, backoff = agent_files(settings.data_dir), SystemClock().now(), Backoff(first=0.5, most=10.0)
    alone = joining.joined(files, now)
    while joining.due(files, now):
        try:
            if alone:
                joining.renew(files, settings.server, settings.node_name)
            else:
                joining.join(files, settings.server, settings.token, settings.node_name)
        except (joining.ServerAway, joining.JoinRefused) as error:
            if alone:
                log.warning("certificate not renewed: %s", error)
                return
            if isinstance(error, joining.JoinRefused):
                raise
            wait = backoff.failed()
            log.warning("not joined yet: %s; next try in %.1f s", error, wait)
            time.sleep(wait)
        else:
            return  # also when it is due by a clock that is wrong: the renewal tells


def renew(settings: AgentSettings, *, again: bool = False) -> float:
    """Renew when it is due, or in any case; seconds until the next time. Raises JoinRefused, ServerAway,
    HostError."""
    from mini8s.app import join as joining

    files, now = agent_files(settings.data_dir), SystemClock().now()
    if again or joining.due(files, now):
        joining.renew(files, settings.server, settings.node_name)
        if joining.due(files, now):
            raise host.HostError("the new certificate is to be renewed already: is this host's clock right?")
    return joining.seconds_left(files, now)


def _reloaded(reload: Reload[AgentSettings], news: News) -> Reloaded | None:
    changes = reload()
    if changes is None:
        return None
    return Reloaded(changes.told, (), {"agent": functools.partial(_node, reload.running, news)})


def _node(settings: AgentSettings, news: News, ready: Ready) -> int:
    from mini8s.app import node

    return node.run(settings, settings.server, ready, news, Renewal("agent", settings))
