"""Who has which address, while links come and go in the kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mini8s.agent.network.base import Ips
from mini8s.agent.network.netlink import PodLink, link_name
from mini8s.agent.network.pods import Pods


class FakeKernel:
    """Links in memory; `in_between` is what happens while a pod's link has been made, but not named."""

    def __init__(self) -> None:
        self.links: dict[str, PodLink] = {}
        self.in_between: Callable[[], Any] = lambda: None
        self.asked = 0

    def pod_links(self) -> list[PodLink]:
        return list(self.links.values())

    def add_pod(self, uid: str, pid: int, addresses: Ips, mtu: int) -> None:
        name = link_name(uid)
        self.links[name] = PodLink(name, 1, "", ())
        self.in_between()
        self.links[name] = PodLink(name, self.links[name].index, uid, addresses)

    def remove_link(self, name: str) -> None:
        self.links.pop(name, None)

    def addresses_in(self, _pid: int) -> Ips:
        self.asked += 1
        return ()


def test_a_look_at_the_kernel_spares_a_link_that_is_just_being_made() -> None:
    kernel = FakeKernel()
    pods = Pods(kernel, ["10.42.0.0/24"], 1500)  # type: ignore[arg-type]
    kernel.in_between = pods.refresh
    addresses = pods.attach("a", 1)
    assert [link.addresses for link in kernel.pod_links()] == [addresses]
    assert pods.refresh() == 1
    assert pods.addresses("a") == addresses


def test_an_address_is_kept_for_a_sandbox_that_is_about_to_run() -> None:
    kernel = FakeKernel()
    pods = Pods(kernel, ["10.42.0.0/24"], 1500)  # type: ignore[arg-type]
    addresses = pods.reserve("a")
    pods.refresh()
    assert pods.reserve("b") != addresses
    assert pods.attach("a", 1) == addresses
    assert kernel.asked == 0, "nothing can be in a sandbox that is new"
    pods.detach("b")
    pods.refresh()
    assert (pods.addresses("a"), pods.addresses("b")) == (addresses, ())


def test_a_link_that_nobody_finishes_goes() -> None:
    kernel = FakeKernel()
    kernel.links["m8pdead"] = PodLink("m8pdead", 7, "", ())
    Pods(kernel, ["10.42.0.0/24"], 1500)  # type: ignore[arg-type]
    assert kernel.pod_links() == []
