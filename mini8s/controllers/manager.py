"""All controllers of the cluster, as one ordered table, and what runs them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping

from mini8s.client.base import Api, EventSink
from mini8s.client.informer import Informers
from mini8s.controllers.base import Context, Controller
from mini8s.controllers.executor import Authority, Executor, no_authority
from mini8s.controllers.kinds.api_address import ApiAddress
from mini8s.controllers.kinds.autoscaler.controller import Autoscalers
from mini8s.controllers.kinds.clusterroles import ClusterRoleAggregation
from mini8s.controllers.kinds.controlplane import ControlPlane
from mini8s.controllers.kinds.cronjob.controller import CronJobs
from mini8s.controllers.kinds.daemonset.controller import DaemonSets
from mini8s.controllers.kinds.deployment.controller import Deployments
from mini8s.controllers.kinds.disruptionbudget import DisruptionBudgets
from mini8s.controllers.kinds.endpoints.legacy import Endpoints
from mini8s.controllers.kinds.endpoints.mirroring import EndpointMirrors
from mini8s.controllers.kinds.endpoints.slices import EndpointSlices
from mini8s.controllers.kinds.garbage import GarbageCollector
from mini8s.controllers.kinds.ingress import IngressStatus
from mini8s.controllers.kinds.job.controller import Jobs
from mini8s.controllers.kinds.namespace import Namespaces
from mini8s.controllers.kinds.nodelifecycle import NodeLifecycle
from mini8s.controllers.kinds.podgc import PodGc
from mini8s.controllers.kinds.replicaset import ReplicaSets, ReplicationControllers
from mini8s.controllers.kinds.resourcequota import ResourceQuotas
from mini8s.controllers.kinds.rootca import RootCaPublisher
from mini8s.controllers.kinds.serviceaccount import ServiceAccounts
from mini8s.controllers.kinds.servicelb.controller import ServiceLoadBalancers
from mini8s.controllers.kinds.servicewarnings import ServiceWarnings
from mini8s.controllers.kinds.signing.approver import Approver
from mini8s.controllers.kinds.signing.cleaner import Cleaner
from mini8s.controllers.kinds.signing.signer import Signer
from mini8s.controllers.kinds.statefulset.controller import StatefulSets
from mini8s.controllers.kinds.tainteviction import TaintEviction
from mini8s.controllers.kinds.tokencleaner import TokenCleaner
from mini8s.controllers.kinds.tokensecrets import TokenSecrets
from mini8s.controllers.kinds.ttl import TtlAfterFinished
from mini8s.controllers.kinds.volumes.binder import ClaimBinder
from mini8s.controllers.kinds.volumes.ephemeral import EphemeralVolumes
from mini8s.controllers.kinds.volumes.volume import PersistentVolumes
from mini8s.controllers.runner import Runner
from mini8s.controllers.settings import ControllerSettings
from mini8s.util.clock import Clock, Drift
from mini8s.util.workers import Stop

log = logging.getLogger(__name__)

# Quotas and the garbage collector come last: what nobody before them needs whole is cached as metadata.
CONTROLLERS: tuple[Callable[[Context], Controller], ...] = (
    Deployments,
    ReplicaSets,
    ReplicationControllers,
    StatefulSets,
    DaemonSets,
    Jobs,
    TtlAfterFinished,
    CronJobs,
    DisruptionBudgets,
    Autoscalers,
    EndpointSlices,
    Endpoints,
    EndpointMirrors,
    ApiAddress,
    ServiceLoadBalancers,
    ServiceWarnings,
    NodeLifecycle,
    ControlPlane,
    TaintEviction,
    PodGc,
    Namespaces,
    ServiceAccounts,
    TokenSecrets,
    TokenCleaner,
    RootCaPublisher,
    Approver,
    Signer,
    Cleaner,
    ClusterRoleAggregation,
    EphemeralVolumes,
    ClaimBinder,
    PersistentVolumes,
    ResourceQuotas,
    IngressStatus,
    GarbageCollector,
)

STOP_SECONDS = 2.0
LOOK_SECONDS = 20.0  # how late it may be noticed that the time was set
DRIFT_SECONDS = 1.0


class Manager:
    """Made before the informers are started, since it says what to watch; started when they have synced."""

    def __init__(
        self,
        api: Api,
        informers: Informers,
        *,
        clock: Clock,
        stop: Stop,
        recorder: EventSink,
        settings: ControllerSettings | None = None,
        authority: Authority = no_authority,
    ) -> None:
        settings = settings or ControllerSettings()
        context = Context(api, informers, clock, settings)
        self._stop = stop
        self._root_ca = settings.root_ca
        self._published = settings.root_ca()
        self._drift = Drift(clock)
        self._executor = Executor(api, recorder, authority=authority)
        self.runners = tuple(Runner(make(context), context, self._executor, stop) for make in CONTROLLERS)

    def start(self) -> None:
        for runner in self.runners:
            runner.start()
        threading.Thread(target=self._end, name="controllers-end", daemon=True).start()
        log.info("%d controllers running", len(self.runners))

    def sentences(self) -> Mapping[str, Mapping[str, str]]:
        """What each controller last said of each key."""
        return {runner.name: dict(runner.sentences) for runner in self.runners}

    def stop(self) -> bool:
        """Wake all workers so that they see the stop; whether all ended."""
        ended = [runner.shut_down(STOP_SECONDS) for runner in self.runners]
        return all(ended)

    def look_at_clock(self) -> None:
        """What was put off until an hour of the day counts by the clock that only rises: when the time is
        set, everybody looks again."""
        if self._drift.grew(DRIFT_SECONDS):
            log.info("the time was set, or the machine slept: what waits for its time is looked at again")
            self._hurry()

    def look_at_authority(self) -> None:
        """No object tells that the cluster has another authority; those who publish it wait for a day."""
        try:
            now = self._root_ca()
        except OSError as error:
            log.warning("the authority's certificate can't be read: %s", error)
            return
        if now != self._published:
            self._published = now
            log.info("the authority is another: what waits for its time is looked at again")
            self._hurry()

    def _hurry(self) -> None:
        for runner in self.runners:
            runner.queue.hurry()

    def _end(self) -> None:
        """The queues block without a timeout, so that a settled cluster wakes nothing: this wakes them."""
        while not self._stop.wait(LOOK_SECONDS):
            self.look_at_clock()
            self.look_at_authority()
        self.stop()
