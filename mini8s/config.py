"""Settings: each with its unit, its default and the reason for that default.

A setting comes from a flag, else from the environment (`MINI8S_` and the flag's name), else from
`config.yaml.d/*.yaml`, else from `config.yaml`, else from here. Names follow k3s. `cli/` makes the flags from
these dataclasses, so that nothing is said twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

T = TypeVar("T")

VERSION = "0.1.0"
KUBERNETES_VERSION = f"v1.33.0+mini8s-{VERSION}"


LIVE = "live"  # a reload tells the processes that use it
CONTROL = "control"  # a reload starts the process of controllers and scheduler again, which nobody waits for


def setting(
    default: Any,
    help: str,
    *,
    many: bool = False,
    between: str = ",",
    choices: tuple[str, ...] = (),
    secret: bool = False,
    reloaded: str = "",
) -> Any:
    """A dataclass field that carries what `--help` says of it. `many`: the flag may be repeated; `between`
    stands between several values in one text. `secret`: never shown. `reloaded`: how a server or agent that
    runs takes a new value over (LIVE, CONTROL); it needs a restart when empty."""
    metadata = {
        "help": help,
        "many": many,
        "between": between,
        "choices": choices,
        "secret": secret,
        "reloaded": reloaded,
    }
    if many:
        return field(default=tuple(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def known(cls: Callable[..., T], said: Mapping[str, Any]) -> T:
    """A dataclass from what another process, maybe of another release, says of it: what this release does not
    know is left out, what is not said has its default."""
    names = {item.name for item in fields(cls)}  # type: ignore[arg-type]
    return cls(**{name: value for name, value in said.items() if name in names})


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """What a host that runs pods needs; `mini8s server` takes these too unless it has --disable-agent."""

    data_dir: str = setting("/var/lib/mini8s", "Folder of all state.")
    node_name: str = setting("", "Name of this node; the host's name when empty.")
    node_ip: str = setting(
        "",
        "Address of this node for others, or one of each family with a comma between; those of the default "
        "routes when empty, also when they change.",
    )
    node_label: tuple[str, ...] = setting((), "Label to register the node with, KEY=VALUE.", many=True)
    node_taint: tuple[str, ...] = setting((), "Taint to register the node with, KEY=VALUE:EFFECT.", many=True)
    docker_host: str = setting("unix:///var/run/docker.sock", "Address of the Docker engine.")
    token: str = setting("", "Token to join with; made at first start on a server.", secret=True)
    token_file: str = setting("", "File that holds the token.")
    private_registry: str = setting(
        "/etc/mini8s/registries.yaml",
        "YAML file with mirrors and credentials of registries, as k3s has it.",
        reloaded=LIVE,
    )
    network_backend: str = setting("host-gw", "How pods reach other hosts.", choices=("host-gw", "vxlan"))
    nodeport_addresses: tuple[str, ...] = setting(
        (), "Ranges of this host's addresses that node ports are answered on; all when empty.", many=True
    )
    ingress_http_port: int = setting(80, "Port that Ingresses are served on; browsers go to 80.")
    ingress_https_port: int = setting(443, "The same with TLS; browsers go to 443.")
    disable_network_policy: bool = setting(False, "Let all pods of this host be reached and reach everybody.")
    allow_device: tuple[str, ...] = setting(
        (), "Devices that pods may ask for in the annotation mini8s.io/devices, as /dev/ttyUSB*.", many=True
    )
    allowed_unsafe_sysctls: tuple[str, ...] = setting(
        (), "Sysctls that pods may set besides the safe ones, as net.core.*.", many=True
    )
    pod_max_pids: int = setting(0, "Processes and threads that a pod may have; 0 is the kernel's own limit.")
    cgroup_root: str = setting("", "Control group that pods' groups are made below; the topmost when empty.")
    kubelet_arg: tuple[str, ...] = setting(
        (), "One of the kubelet's own settings, NAME=VALUE.", many=True, between=" "
    )
    log_level: str = setting(
        "info", "Least level to log.", choices=("debug", "info", "warning", "error"), reloaded=LIVE
    )
    config: str = setting(
        "/etc/mini8s/config.yaml", "YAML file with settings; a missing default file is no error."
    )


@dataclass(frozen=True, slots=True)
class AgentSettings(NodeSettings):
    """`mini8s agent`."""

    server: str = setting("", "URL of the server, such as https://server:6443.")
    runtime: str = setting(
        "docker", "What runs containers; hollow only pretends.", choices=("docker", "hollow")
    )
    count: int = setting(1, "Nodes that --runtime hollow plays.")
    kubeconfig: str = setting(
        "", "An administrator's, for --runtime hollow; the server's own socket when empty."
    )


@dataclass(frozen=True, slots=True)
class ServerSettings(NodeSettings):
    """`mini8s server`."""

    bind_address: str = setting("0.0.0.0", "Address the API listens on; all where IPv6 comes first.")
    https_listen_port: int = setting(6443, "Port the API listens on; 6443 is what kubectl users expect.")
    advertise_address: str = setting("", "Address of the API for others; --node-ip when empty.")
    tls_san: tuple[str, ...] = setting(
        (), "Further name or address in the API's certificate.", many=True, reloaded=LIVE
    )
    cluster_cidr: str = setting(
        "10.42.0.0/16",
        "Addresses of pods, of which each node gets a part: a range, or one of each family, comma between.",
    )
    node_cidr_mask_size_ipv4: int = setting(24, "Prefix length of a node's IPv4 range: 254 pods.")
    node_cidr_mask_size_ipv6: int = setting(64, "Prefix length of a node's IPv6 range: a link's usual size.")
    service_cidr: str = setting("10.43.0.0/16", "Addresses of Services, of the same families.")
    service_node_port_range: str = setting("30000-32767", "Ports for NodePort Services.")
    cluster_dns: str = setting(
        "", "Address of the DNS Service, one of each family; the tenth of each --service-cidr when empty."
    )
    cluster_domain: str = setting("cluster.local", "Domain of the cluster's names.")
    write_kubeconfig: str = setting("/etc/mini8s/mini8s.yaml", "Where the administrator's kubeconfig goes.")
    write_kubeconfig_mode: str = setting("600", "Its file mode, octal.")
    disable_agent: bool = setting(False, "Run no pods on this host.")
    disable: tuple[str, ...] = setting(
        (),
        "Part of the cluster that somebody else provides.",
        many=True,
        choices=("servicelb", "ingress", "local-storage"),
    )
    certificate_seconds: int = setting(
        365 * 86400,
        "Seconds that certificates live; they are renewed after two thirds of it, or a little later.",
    )
    token_auth_file: str = setting(
        "", "CSV file of static tokens: token, user, uid and groups; off when empty, as they never end."
    )
    audit_policy_file: str = setting(
        "", "YAML file that says what the audit log has of a request (audit.k8s.io/v1 Policy).", reloaded=LIVE
    )
    audit_log_path: str = setting("", "File of the audit log; - is standard output; none when empty.")
    audit_log_maxsize: int = setting(100, "Megabytes of it after which a new one is begun.")
    audit_log_maxage: int = setting(30, "Days after which one that was set aside goes; 0: never.")
    audit_log_maxbackup: int = setting(10, "How many of those set aside are kept; 0: all.")
    node_monitor_grace_period: int = setting(
        40, "Seconds of silence after which a node is lost: four heartbeats.", reloaded=CONTROL
    )
    kube_scheduler_arg: tuple[str, ...] = setting(
        (),
        "config=FILE: a KubeSchedulerConfiguration with the scheduler's profiles.",
        many=True,
        reloaded=CONTROL,
    )
    compact_minutes: int = setting(
        10, "Minutes of history a watch or a paged list may go back; etcd's users keep 5."
    )
    compact_revisions: int = setting(20_000, "Revisions kept besides; about 40 MB of log with 2 KB objects.")
    encrypt_also: tuple[str, ...] = setting(
        (), "Kind whose objects are encrypted on the disk as Secrets are, as configmaps.", many=True
    )
    ephemeral_flush_seconds: int = setting(
        300, "Longest that events and heartbeats wait for the disk, so that it can sleep."
    )
    snapshot_schedule: str = setting(
        "0 */12 * * *",
        "When a snapshot is taken, as of cron in the host's own time; empty: never by itself.",
        reloaded=CONTROL,
    )
    snapshot_dir: str = setting(
        "", "Folder of snapshots; server/snapshots of the data folder when empty.", reloaded=CONTROL
    )
    snapshot_retention: int = setting(
        5, "Scheduled snapshots that are kept: two and a half days of them.", reloaded=CONTROL
    )
    snapshot_max_age: int = setting(
        0, "Days after which a scheduled snapshot goes; 0: none goes for its age.", reloaded=CONTROL
    )
    snapshot_command: str = setting(
        "",
        "Shell command that gets each scheduled snapshot on its standard input, in place of the folder.",
        secret=True,
        reloaded=CONTROL,
    )
    snapshot_encrypt_with: str = setting(
        "",
        "File with a passphrase for scheduled snapshots; they are readable for root when empty.",
        reloaded=CONTROL,
    )
    restore_broken: bool = setting(
        False, "Let the newest good snapshot take the place of a database that is found damaged at start."
    )
