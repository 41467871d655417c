"""PURE: the pod's /etc/hosts and /etc/resolv.conf, worded as the kubelet words them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mini8s.objects import ip, meta
from mini8s.objects.kinds import Obj

LONGEST_HOSTNAME = 63
CLUSTER_OPTIONS = ("ndots:5",)


@dataclass(frozen=True, slots=True)
class Resolver:
    """What a resolv.conf says."""

    servers: Sequence[str] = ()
    searches: Sequence[str] = ()
    options: Sequence[str] = ()

    def text(self) -> str:
        lines = [f"nameserver {server}" for server in self.servers]
        if self.searches:
            lines.append(f"search {' '.join(self.searches)}")
        if self.options:
            lines.append(f"options {' '.join(self.options)}")
        return "".join(f"{line}\n" for line in lines)


def parse_resolver(text: str) -> Resolver:
    """A host's resolv.conf; of several search lines the last counts."""
    servers: list[str] = []
    searches: list[str] = []
    options: list[str] = []
    for line in text.splitlines():
        word, *rest = line.split() or [""]
        if word == "nameserver" and rest:
            servers.append(rest[0])
        elif word in {"search", "domain"}:
            searches = rest
        elif word == "options":
            options += rest
    return Resolver(servers, searches, options)


def resolver(pod: Obj, host: Resolver, cluster_dns: str, cluster_domain: str) -> Resolver:
    """What the pod's dnsPolicy and dnsConfig ask for."""
    spec = pod["spec"]
    policy = spec.get("dnsPolicy") or "ClusterFirst"
    if policy == "ClusterFirst" and spec.get("hostNetwork"):
        policy = "Default"
    if policy == "None":
        base = Resolver()
    elif policy == "Default":
        base = host
    else:
        svc = f"svc.{cluster_domain}"
        searches = [f"{meta.namespace(pod)}.{svc}", svc, cluster_domain]
        base = Resolver(ip.split(cluster_dns), _unique([*searches, *host.searches]), CLUSTER_OPTIONS)
    return _with_config(base, spec.get("dnsConfig") or {})


def hostname(pod: Obj) -> str:
    """The pod's own, or its name cut to what a host name may be."""
    name = pod["spec"].get("hostname") or meta.name(pod)
    return str(name)[:LONGEST_HOSTNAME].rstrip("-.")


def qualified(pod: Obj, cluster_domain: str) -> str:
    """The name by which the cluster knows a pod with a subdomain; empty for others."""
    subdomain = pod["spec"].get("subdomain")
    return f"{hostname(pod)}.{subdomain}.{meta.namespace(pod)}.svc.{cluster_domain}" if subdomain else ""


def hosts(pod: Obj, addresses: Iterable[str], cluster_domain: str) -> str:
    """A pod's own hosts file."""
    name, full = hostname(pod), qualified(pod, cluster_domain)
    lines = [
        "# Kubernetes-managed hosts file.",
        "127.0.0.1\tlocalhost",
        "::1\tlocalhost ip6-localhost ip6-loopback",
        "fe00::0\tip6-localnet",
        "fe00::0\tip6-mcastprefix",
        "fe00::1\tip6-allnodes",
        "fe00::2\tip6-allrouters",
        *("\t".join(word for word in (address, full, name) if word) for address in addresses),
    ]
    return "\n".join(lines) + "\n" + _aliases(pod)


def hosts_of_host(pod: Obj, host_file: str) -> str:
    """The node's hosts file for a pod on the node's network."""
    return f"# Kubernetes-managed hosts file (host network).\n{host_file}{_aliases(pod)}"


def _aliases(pod: Obj) -> str:
    aliases = pod["spec"].get("hostAliases") or ()
    if not aliases:
        return ""
    lines = [f"{alias['ip']}\t" + "\t".join(alias.get("hostnames") or ()) for alias in aliases]
    return "\n# Entries added by HostAliases.\n" + "\n".join(lines) + "\n"


def _with_config(base: Resolver, config: Obj) -> Resolver:
    """dnsConfig adds servers and domains, and replaces options of the same name."""
    options = dict(option.partition(":")[::2] for option in base.options)
    options |= {option["name"]: option.get("value") or "" for option in config.get("options") or ()}
    return Resolver(
        _unique([*base.servers, *(config.get("nameservers") or ())]),
        _unique([*base.searches, *(config.get("searches") or ())]),
        [f"{name}:{value}" if value else name for name, value in options.items()],
    )


def _unique(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))
