"""What a host must know of its cluster beside the API's address: told when it joins, kept on its disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mini8s.config import ServerSettings
from mini8s.objects import ip


@dataclass(frozen=True, slots=True)
class Cluster:
    """The ranges of pods and of Services and the resolver's addresses, as the flags have them (of one family
    or two), and the domain of names."""

    cluster_cidr: str
    service_cidr: str
    dns: str
    domain: str

    @property
    def families(self) -> tuple[str, ...]:
        """Of its addresses; the first is that of fields which hold one address."""
        return tuple(ip.by_family(ip.split(self.cluster_cidr)))

    @classmethod
    def of(cls, settings: ServerSettings) -> Cluster:
        return cls(
            settings.cluster_cidr, settings.service_cidr, settings.cluster_dns, settings.cluster_domain
        )

    @classmethod
    def from_json(cls, said: Mapping[str, str]) -> Cluster:
        """Raises KeyError for what lacks a part."""
        return cls(said["clusterCIDR"], said["serviceCIDR"], said["clusterDNS"], said["clusterDomain"])

    def to_json(self) -> dict[str, str]:
        return {
            "clusterCIDR": self.cluster_cidr,
            "serviceCIDR": self.service_cidr,
            "clusterDNS": self.dns,
            "clusterDomain": self.domain,
        }
