"""The agent process: kubelet, pod network, proxy and resolver of one host, on one set of informers.

Each of them works on its own as soon as it has what it needs: from the host's own disk when the server was
heard before. Nothing here decides anything. At the end the pods, the VIPs and the names stay as they are.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from mini8s.agent.dns.server import DnsServer
from mini8s.agent.ingress.runner import Ingress, Setup
from mini8s.agent.kubelet.isolation.policy import Policy, may_spare
from mini8s.agent.kubelet.parts import Doors, NodeSetup
from mini8s.agent.kubelet.runner import Kubelet
from mini8s.agent.kubelet.settings import KubeletSettings, parse
from mini8s.agent.network import ruleset
from mini8s.agent.network.base import PodNetwork
from mini8s.agent.network.family import FAMILIES
from mini8s.agent.network.outlook import Outlook
from mini8s.agent.network.own_address import OwnAddress
from mini8s.agent.network.runner import Network
from mini8s.agent.policy.guard import Guarded
from mini8s.agent.policy.layout import TABLE as POLICIES
from mini8s.agent.policy.runner import Policies, all_pods
from mini8s.agent.policy.table import Table as PolicyTable
from mini8s.agent.proxy.runner import Proxy
from mini8s.agent.runtime.docker.engine import DockerEngine
from mini8s.agent.state.keeper import State
from mini8s.agent.state.sources import Drawer
from mini8s.agent.tunnel import Tunnel
from mini8s.app import default_certificate, registration, registry_settings
from mini8s.app.cluster import Cluster
from mini8s.app.layout import AgentFiles, agent_files, write_private
from mini8s.app.news import News
from mini8s.app.process import limit_arenas, settle, stop_on_sigterm
from mini8s.app.renewal import Renewal
from mini8s.app.supervisor import Ready
from mini8s.app.vault import NodeVault
from mini8s.client.events import Recorder
from mini8s.client.informer import Informers
from mini8s.client.rest import Endpoint, Rest
from mini8s.config import VERSION, NodeSettings
from mini8s.objects import ip
from mini8s.objects.errors import ApiError
from mini8s.util.clock import SystemClock
from mini8s.util.workers import Stop, Worker

log = logging.getLogger(__name__)

POLL_SECONDS = 0.1  # how often a start looks whether the node is registered


class Room(Protocol):
    """What runs from the agent's start to its end."""

    def start(self) -> None: ...
    def stop(self) -> None: ...


def run(
    settings: NodeSettings, server_url: str, ready: Ready, news: News, renewal: Renewal | None = None
) -> int:
    """Run until told to stop; the exit code. `renewal`: unless the server on this host does it."""
    limit_arenas()
    stop, files = stop_on_sigterm(), agent_files(settings.data_dir)
    endpoint = _endpoint(files, server_url)
    rest = Rest(endpoint, user_agent=f"mini8s-agent/{VERSION}")
    state = State(files.state, NodeVault(files.key, files.previous_key), stop)
    state.load()
    informers = Informers(rest, stop, state)
    cluster = Cluster.from_json(json.loads(files.cluster.read_text()))
    noted = files.node_ip.read_text()
    address = OwnAddress(noted if settings.node_ip else "", noted, stop, note=partial(_note, files.node_ip))
    network = _network(settings, cluster, informers, address, stop)
    policies = _policies(settings, cluster, rest, informers, network, stop)
    guarded = Guarded(network, policies) if policies else network
    tokens = state.drawer("tokens")
    dns = _dns(cluster, informers, stop)
    ingress = _ingress(settings, files, rest, informers, stop)
    counted = (dns.metrics, ingress.metrics)
    kubelet = _kubelet(settings, cluster, rest, informers, network, guarded, address, tokens, stop, counted)
    news.subscribe(partial(_reload, kubelet))
    address.on_change(network.look_again)
    address.on_move(network.look_again)
    address.on_move(kubelet.moved)
    outlook = Outlook(informers=informers, node_name=settings.node_name, heard=kubelet.heard, stop=stop)
    proxies = _proxies(settings, cluster, informers, outlook, stop)
    tunnel = Tunnel(endpoint, settings.node_name, kubelet.streams.serve, stop)
    rooms: list[Room] = [state, address, network, *proxies, dns, ingress, kubelet, outlook, tunnel]
    if policies:
        policies.judge_also(kubelet.static_pods)
        rooms.insert(2, policies)
    for room in rooms:
        room.start()
    if renewal is not None:
        Worker("certificates", partial(renewal.look, partial(_other_authority, files, rest)), stop).start()
    informers.start()
    _wait_ready(kubelet, stop, ready)
    settle()
    stop.wait()
    for room in reversed(rooms):
        room.stop()
    informers.close()
    return 0


def _reload(kubelet: Kubelet, said: Mapping[str, Any]) -> None:
    """What a reload brings: registries."""
    registries = registry_settings.read(Path(said["private_registry"]))
    registry_settings.introduce(registries, kubelet.trust)
    kubelet.use_registries(registries)


def _note(path: Path, address: str) -> None:
    try:
        write_private(path, address.encode())
    except OSError as error:
        log.warning("%s can't be written, and only a start without a network misses it: %s", path, error)


def _network(
    settings: NodeSettings, cluster: Cluster, informers: Informers, address: OwnAddress, stop: Stop
) -> Network:
    return Network(
        informers=informers,
        node_name=settings.node_name,
        node_ips=address,
        backend=settings.network_backend,
        cluster_cidr=cluster.cluster_cidr,
        service_cidr=cluster.service_cidr,
        cluster_dns=cluster.dns,
        stop=stop,
    )


def _policies(
    settings: NodeSettings, cluster: Cluster, rest: Rest, informers: Informers, network: Network, stop: Stop
) -> Policies | None:
    if settings.disable_network_policy:
        for name in cluster.families:
            ruleset.remove(POLICIES, FAMILIES[name].nft)  # of a run that had it
        return None
    dns = ip.by_family(ip.split(cluster.dns))
    return Policies(
        informers=informers,
        node_name=settings.node_name,
        cluster_dns=cluster.dns,
        network=network,
        peers=all_pods(rest, informers.memory),
        kernels={name: PolicyTable(dns.get(name, ""), FAMILIES[name]) for name in cluster.families},
        stop=stop,
    )


def _proxies(
    settings: NodeSettings, cluster: Cluster, informers: Informers, outlook: Outlook, stop: Stop
) -> list[Proxy]:
    """One for each family of addresses, each with a table and a loop of its own."""
    services, pods = (ip.by_family(ip.split(one)) for one in (cluster.service_cidr, cluster.cluster_cidr))
    proxies = [
        Proxy(
            informers=informers,
            node_name=settings.node_name,
            service_cidr=services[name],
            cluster_cidr=pods[name],
            node_port_ranges=[one for one in settings.nodeport_addresses if ip.family(one) == name],
            stop=stop,
            silent=outlook.silent,
            family=FAMILIES[name],
        )
        for name in cluster.families
    ]
    for proxy in proxies:
        outlook.subscribe(proxy.look_again)
    return proxies


def _dns(cluster: Cluster, informers: Informers, stop: Stop) -> DnsServer:
    return DnsServer(
        informers=informers,
        address=cluster.dns,
        domain=cluster.domain,
        service_cidr=cluster.service_cidr,
        cluster_cidr=cluster.cluster_cidr,
        stop=stop,
    )


def _ingress(
    settings: NodeSettings, files: AgentFiles, rest: Rest, informers: Informers, stop: Stop
) -> Ingress:
    setup = Setup(
        node_name=settings.node_name,
        folder=files.ingress,
        http_port=settings.ingress_http_port,
        https_port=settings.ingress_https_port,
        default_certificate=lambda: default_certificate.of_host(files.ingress_certificate),
    )
    recorder = Recorder(rest, "ingress", settings.node_name, SystemClock(), stop.wait)
    return Ingress(setup, rest, informers, recorder, stop)


def _kubelet(
    settings: NodeSettings,
    cluster: Cluster,
    rest: Rest,
    informers: Informers,
    network: Network,
    guarded: PodNetwork,
    address: OwnAddress,
    tokens: Drawer,
    stop: Stop,
    metrics: Sequence[Callable[[], str]],
) -> Kubelet:
    clock, engine = SystemClock(), DockerEngine(settings.docker_host)
    registries, arguments = registry_settings.load(settings), parse(settings.kubelet_arg)
    registry_settings.introduce(registries, engine.trust)
    node = NodeSetup(
        name=settings.node_name,
        ips=address,
        data_dir=Path(settings.data_dir),
        cluster_dns=cluster.dns,
        cluster_domain=cluster.domain,
        labels=registration.labels(settings),
        taints=registration.taints(settings),
    )
    doors = Doors(
        rest=rest,
        informers=informers,
        runtime=engine,
        network=guarded,
        recorder=Recorder(rest, "kubelet", settings.node_name, clock, stop.wait),
        clock=clock,
        stop=stop,
        tokens=tokens,
        network_trouble=lambda: "" if network.ready else network.sentence,
        metrics=metrics,
    )
    policy = _policy(settings, arguments)
    return Kubelet(node, doors, policy=policy, registries=registries, settings=arguments)


def _policy(settings: NodeSettings, arguments: KubeletSettings) -> Policy:
    return Policy(
        data_dir=Path(settings.data_dir),
        allow_device=settings.allow_device,
        allowed_unsafe_sysctls=settings.allowed_unsafe_sysctls,
        pod_max_pids=settings.pod_max_pids,
        log_bytes=arguments.log_bytes,
        log_files=arguments.log_files,
        cgroup_root=settings.cgroup_root,
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        may_spare=may_spare(),
    )


def _wait_ready(kubelet: Kubelet, stop: Stop, ready: Ready) -> None:
    while not kubelet.ready:
        if stop.wait(POLL_SECONDS):
            return
    ready()


def _other_authority(files: AgentFiles, rest: Rest) -> bool:
    """Whether the server, whom we believe, has another authority than it had when it signed for us."""
    try:
        return rest.request("GET", "/cacerts").body != files.ca.read_bytes()
    except ApiError:
        return False


def _endpoint(files: AgentFiles, server_url: str) -> Endpoint:
    return Endpoint(
        url=server_url,
        ca_file=str(files.ca),
        cert_file=str(files.certificate),
        key_file=str(files.key),
    )
