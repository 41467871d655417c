"""`mini8s server`: the parent that prepares the data folder and watches over api, control and agent."""

from __future__ import annotations

import functools
import importlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from mini8s.app import clock_floor, host
from mini8s.app.cluster import Cluster
from mini8s.app.layout import agent_files, server_files, write_private
from mini8s.app.news import News
from mini8s.app.reload import Reload
from mini8s.app.supervisor import Child, Ready, Reloaded, Supervisor, in_child
from mini8s.config import ServerSettings
from mini8s.objects import ip
from mini8s.util.clock import SystemClock

# What every child imports: imported before they are forked, its memory is shared (8 MB less in all). Nothing
# that takes names out of ssl, as urllib3 does: those would stay as they were before gevent patched it in the
# api.
SHARED = (
    "concurrent.futures",
    "decimal",
    "email.parser",
    "hashlib",
    "http.client",
    "importlib.metadata",
    "importlib.resources",
    "mini8s.objects.labels",
    "mini8s.objects.pods",
    "mini8s.wire.codec",
    "tempfile",
)


def run(said: ServerSettings, read: Callable[[], ServerSettings]) -> int:
    """Run until told to stop; the exit code. `read` gives the settings anew. Raises HostError,
    ChildFailed."""
    host.require_root("mini8s server")
    clock_floor.keep(Path(said.data_dir), time.time(), clock_floor.set_system_clock)
    settings = complete(said)
    ranges = {"--cluster-cidr": settings.cluster_cidr, "--service-cidr": settings.service_cidr}
    host.require_apart(ranges, host.ROUTES.read_text())
    if not settings.disable_agent:
        host.require_docker(settings.docker_host)
    with host.lock(server_files(settings.data_dir).lock):
        with in_child(functools.partial(begin, settings)):
            preload()
        news = News()
        reload = Reload(read, said, settings)
        return Supervisor(children(settings, news), functools.partial(_reloaded, reload, news)).run()


def complete(settings: ServerSettings) -> ServerSettings:
    """The settings with what this host says about itself filled in."""
    note = agent_files(settings.data_dir).node_ip
    addresses = host.node_ip(settings.node_ip, note, Cluster.of(settings).families)  # refused early, if so
    if settings.advertise_address:
        host.address(settings.advertise_address, "--advertise-address")
    return replace(
        settings,
        node_name=host.node_name(settings.node_name),
        node_ip=addresses if settings.node_ip else "",
        token=settings.token or host.read_token(settings.token_file),
        data_dir=str(Path(settings.data_dir).absolute()),
    )


def begin(settings: ServerSettings) -> None:
    """What a start does first. Raises HostError."""
    from mini8s.app import (
        packaged,
        safety,
    )  # only in the short-lived child: the database stays out of the parent

    os.umask(0o077)
    try:
        safety.prepare(settings, SystemClock().now())
        packaged.lay(settings)
        host.note_node_ip(settings, Cluster.of(settings).families)
    except OSError as error:
        raise host.unwritable(error, Path(settings.data_dir)) from error
    prepare(settings)


def prepare(settings: ServerSettings) -> float:
    """Everything that must be on disk before the first child starts, and again when a certificate is to be
    renewed: seconds until then. Raises HostError."""
    from mini8s.app import bootstrap  # only in the short-lived child: cryptography stays out of the parent

    os.umask(0o077)
    address = host.advertised(settings)
    plan = bootstrap.Plan(
        names=bootstrap.serving_names(
            node_name=settings.node_name,
            addresses=(address, *host.noted(settings), *settings.tls_san),
            service_cidr=settings.service_cidr,
            domain=settings.cluster_domain,
        ),
        server=f"https://{ip.in_url(address)}:{settings.https_listen_port}",
        token=settings.token,
        node_name="" if settings.disable_agent else settings.node_name,
        kubeconfig=Path(settings.write_kubeconfig),
        kubeconfig_mode=int(settings.write_kubeconfig_mode, 8),
        life=timedelta(seconds=settings.certificate_seconds),
    )
    agent, now = agent_files(settings.data_dir), SystemClock().now()
    try:
        due = bootstrap.prepare_server(server_files(settings.data_dir), agent, plan, now)
        if not settings.disable_agent:
            write_private(agent.cluster, json.dumps(Cluster.of(settings).to_json()).encode())
    except OSError as error:
        raise host.unwritable(error, Path(settings.data_dir)) from error
    return (due - now).total_seconds()


def preload() -> None:
    for name in SHARED:
        importlib.import_module(name)


def children(settings: ServerSettings, news: News) -> list[Child]:
    """In order of start; each imports its own world in its own process."""
    all_of_them = [
        Child("api", functools.partial(_api, settings, news), news=news),
        Child("control", functools.partial(_control, settings), "mini8s.app.control", news),
    ]
    if not settings.disable_agent:
        all_of_them.append(Child("agent", functools.partial(_agent, settings, news), "mini8s.app.node", news))
    return all_of_them


def _reloaded(reload: Reload[ServerSettings], news: News) -> Reloaded | None:
    changes = reload()
    if changes is None:
        return None
    runs = {child.name: child.run for child in children(reload.running, news)}
    return Reloaded(changes.told, ["control"] if changes.control else [], runs)


def _api(settings: ServerSettings, news: News, ready: Ready) -> int:
    from mini8s.app import hub

    hub.patch()  # before anything imports ssl or socket
    from mini8s.app import api

    return api.run(settings, ready, news)


def _control(settings: ServerSettings, ready: Ready) -> int:
    from mini8s.app import control

    return control.run(settings, ready)


def _agent(settings: ServerSettings, news: News, ready: Ready) -> int:
    from mini8s.app import node

    here = f"https://127.0.0.1:{settings.https_listen_port}"
    return node.run(settings, here, ready, news)
