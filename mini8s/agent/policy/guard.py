"""The pod network as the kubelet uses it, with policies in force before a pod can be reached or reach
anybody."""

from __future__ import annotations

from mini8s.agent.network.base import Ips, NetworkError, PodNetwork
from mini8s.agent.network.ruleset import RulesetError
from mini8s.agent.policy.runner import Policies, Unknown


class Guarded:
    """Fulfils `agent.network.base.PodNetwork`. Addresses are handed out when the kernel judges them;
    until then the pod's containers are not started."""

    def __init__(self, network: PodNetwork, policies: Policies) -> None:
        self._network, self._policies = network, policies

    @property
    def ready(self) -> bool:
        return self._network.ready

    def reserve(self, uid: str) -> Ips:
        return self._network.reserve(uid)

    def attach(self, uid: str, pid: int) -> Ips:
        addresses = self._network.attach(uid, pid)
        try:
            self._policies.admit(uid, addresses)
        except (Unknown, RulesetError) as error:
            raise NetworkError(str(error)) from error
        return addresses

    def detach(self, uid: str) -> None:
        self._network.detach(uid)
        self._policies.forget(uid)

    def addresses(self, uid: str) -> Ips:
        return self._network.addresses(uid)
