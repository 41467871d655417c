"""The control process: controllers and scheduler on one set of informers, over root's own socket."""

from __future__ import annotations

import logging
from functools import partial

from mini8s.app.certifying import certified
from mini8s.app.deploying.runner import Deploying
from mini8s.app.layout import server_files
from mini8s.app.local_time import local_zone
from mini8s.app.process import limit_arenas, settle, stop_on_sigterm
from mini8s.app.scheduling import profiles_of
from mini8s.app.snapshots import note
from mini8s.app.snapshots.base import SCHEDULED
from mini8s.app.snapshots.schedule import Snapshots, in_process
from mini8s.app.supervisor import Ready
from mini8s.client.events import Recorder
from mini8s.client.informer import Informers
from mini8s.client.rest import Endpoint, Rest
from mini8s.config import VERSION, ServerSettings
from mini8s.controllers.manager import Manager
from mini8s.controllers.settings import ControllerSettings
from mini8s.objects import cron
from mini8s.scheduler.runner import NAME, Scheduler
from mini8s.util.clock import SystemClock
from mini8s.util.workers import Worker

log = logging.getLogger(__name__)

STOP_SECONDS = 5.0


def run(settings: ServerSettings, ready: Ready) -> int:
    """Run until told to stop; the exit code."""
    limit_arenas()
    stop, clock = stop_on_sigterm(), SystemClock()
    files = server_files(settings.data_dir)
    socket = str(files.socket)
    rest = Rest(Endpoint(unix_socket=socket), user_agent=f"mini8s-control/{VERSION}")
    informers = Informers(rest, stop, sharing=True)
    own_node = "" if settings.disable_agent else settings.node_name
    manager = Manager(
        rest,
        informers,
        clock=clock,
        stop=stop,
        recorder=_recorder(rest, settings, "controllers"),
        authority=partial(certified, settings.data_dir),
        settings=ControllerSettings(
            node_grace_seconds=settings.node_monitor_grace_period,
            root_ca=files.ca.read_text,
            certificate_seconds=settings.certificate_seconds,
            local_zone=local_zone(),
            service_load_balancers="servicelb" not in settings.disable,
            api_port=settings.https_listen_port,
            cluster_cidr=settings.cluster_cidr,
            server_node=own_node,
            api_node="" if settings.advertise_address else own_node,
        ),
    )
    scheduler = Scheduler(
        rest=rest,
        informers=informers,
        clock=clock,
        stop=stop,
        recorder=_recorder(rest, settings, NAME),
        profiles=profiles_of(settings),
    )
    informers.start()
    while not informers.wait_synced(1.0):
        if stop:
            return 0
    manager.start()
    scheduler.start()
    _note_practice(settings)
    if settings.snapshot_schedule:
        Worker("snapshots", _snapshots(settings, rest).step, stop).start()
    deploying = Deploying(rest, files.manifests, _recorder(rest, settings, "manifests"))
    Worker("manifests", deploying.step, stop).start()
    settle()
    ready()
    stop.wait()
    scheduler.stop(STOP_SECONDS)
    informers.close(STOP_SECONDS)
    return 0


def _note_practice(settings: ServerSettings) -> None:
    """As the start did; a reload may have changed it since."""
    files = server_files(settings.data_dir)
    try:
        note.write_practice(files, note.Practice.of(settings, files))
    except OSError as error:
        log.warning("snapshots are taken as before: %s", error)


def _snapshots(settings: ServerSettings, rest: Rest) -> Snapshots:
    files = server_files(settings.data_dir)
    return Snapshots(
        cron.parse(settings.snapshot_schedule),
        take=partial(in_process, settings.data_dir, SCHEDULED),
        last=partial(note.last, files),
        events=_recorder(rest, settings, "snapshots"),
        node=settings.node_name,
        clock=SystemClock(),
        zone=local_zone(),
    )


def _recorder(rest: Rest, settings: ServerSettings, component: str) -> Recorder:
    return Recorder(rest, component, settings.node_name, SystemClock())
