"""The proxy's loop against a kernel that can fail."""

from __future__ import annotations

from collections.abc import Callable

from mini8s.agent.proxy.runner import Proxy
from mini8s.objects.kinds import ENDPOINTSLICES, NODES, PODS, SERVICES
from mini8s.util.workers import Stop
from tests.fakes.informers import FakeInformers
from tests.fakes.kernel import FakeKernel
from tests.fakes.network_objects import endpoint, node, pod_with_ports, port, service, slice_of

WEB = service("web", "10.43.0.100", port(80))


def proxy(
    informers: FakeInformers, kernel: FakeKernel, silent: Callable[[], frozenset[str]] = frozenset
) -> Proxy:
    made = Proxy(
        informers=informers,  # type: ignore[arg-type]
        node_name="h1",
        service_cidr="10.43.0.0/16",
        cluster_cidr="10.42.0.0/16",
        stop=Stop(),
        kernel=kernel,
        silent=silent,
    )
    made._services.subscribe(made._service_changed)
    made._slices.subscribe(made._slice_changed)
    made._pods.subscribe(made._pod_changed)
    return made


def test_the_first_round_replaces_and_the_next_change_little() -> None:
    informers, kernel = FakeInformers(), FakeKernel()
    kernel.elements = {("fe", ("10.43.9.9", "tcp", 1)): (0,)}
    informers.put(SERVICES, WEB)
    made = proxy(informers, kernel)
    made.step()
    assert kernel.elements == {("fe", ("10.43.0.100", "tcp", 80)): (0,)}
    informers.put(ENDPOINTSLICES, slice_of(WEB, [endpoint("10.42.1.1", node="h2")], port(8080)))
    made.step()
    assert len(kernel.elements) == 2
    assert kernel.calls == ["replace", "change"]
    assert made.sentence == "1 Services or pods with 1 fronts and 1 endpoints are programmed"
    assert made.metrics()["rounds"] == 2


def test_after_a_failure_everything_is_replaced() -> None:
    informers, kernel = FakeInformers(), FakeKernel()
    made = proxy(informers, kernel)
    made.step()
    informers.put(SERVICES, WEB)
    kernel.fail_next = True
    assert made.step()
    assert made.sentence == "Services can't be programmed: told to fail"
    made.step()
    assert kernel.calls == ["replace", "change", "replace"]
    assert len(kernel.elements) == 1
    assert made.metrics()["failed"] == 1


def test_hosts_that_fall_silent_are_left_out_until_they_answer() -> None:
    informers, kernel, silent = FakeInformers(), FakeKernel(), set[str]()
    informers.put(SERVICES, WEB)
    ends = [endpoint("10.42.1.1", node="h1"), endpoint("10.42.2.1", node="h2")]
    informers.put(ENDPOINTSLICES, slice_of(WEB, ends, port(8080)))
    made = proxy(informers, kernel, lambda: frozenset(silent))
    made.step()
    silent.add("h2")
    made.look_again()
    made.step()
    assert ("10.42.2.1", 8080) not in kernel.elements.values()
    silent.clear()
    made.look_again()
    made.step()
    assert ("10.42.2.1", 8080) in kernel.elements.values()
    assert kernel.calls == ["replace", "change", "change"]


def test_a_kernel_that_lacks_something_is_told_of_in_one_sentence() -> None:
    kernel = FakeKernel()
    kernel.fail_next, kernel.lack = True, "this kernel lacks the expression fib"
    made = proxy(FakeInformers(), kernel)
    assert made.step()
    assert made.sentence == kernel.lack


def test_a_kernel_without_sctp_is_told_of_while_a_service_has_it() -> None:
    informers, kernel = FakeInformers(), FakeKernel()
    kernel.no_sctp = "this kernel lacks SCTP"
    informers.put(SERVICES, WEB)
    made = proxy(informers, kernel)
    made.step()
    assert "SCTP" not in made.sentence
    other = service("sctp", "10.43.0.101", port(80, protocol="SCTP"))
    informers.put(SERVICES, other)
    made.step()
    assert made.sentence.endswith("; this kernel lacks SCTP")
    informers.remove(SERVICES, other)
    made.step()
    assert "SCTP" not in made.sentence


def test_rules_of_others_that_drop_pods_packets_are_told_of() -> None:
    kernel = FakeKernel()
    kernel.block = "the nftables chain inet firewall forward drops forwarded packets"
    made = proxy(FakeInformers(), kernel)
    made.step()
    assert made.sentence.endswith(kernel.block)


def test_a_group_too_large_for_the_chains_replaces() -> None:
    informers, kernel = FakeInformers(), FakeKernel()
    made = proxy(informers, kernel)
    made.step()
    informers.put(SERVICES, WEB)
    ends = [endpoint(f"10.42.1.{i}", node="h2") for i in range(1, 71)]
    informers.put(ENDPOINTSLICES, slice_of(WEB, ends, port(8080)))
    made.step()
    assert kernel.calls == ["replace", "replace"]
    assert len(kernel.elements) == 71


def test_a_host_that_changes_its_zone_plans_anew() -> None:
    informers, kernel = FakeInformers(), FakeKernel()
    informers.put(SERVICES, WEB)
    ends = [
        endpoint(f"10.42.1.{i}") | {"hints": {"forZones": [{"name": zone}]}}
        for i, zone in enumerate(("attic", "cellar"))
    ]
    informers.put(ENDPOINTSLICES, slice_of(WEB, ends, port(8080)))
    made = proxy(informers, kernel)
    made._nodes.subscribe(made._node_changed)
    made.step()
    assert {("10.42.1.0", 8080), ("10.42.1.1", 8080)} < set(kernel.elements.values())
    host = node("h1", "10.99.0.11", "10.42.1.0/24")
    host["metadata"]["labels"] = {"topology.kubernetes.io/zone": "cellar"}
    informers.put(NODES, host)
    made.step()
    assert ("10.42.1.1", 8080) in kernel.elements.values()
    assert ("10.42.1.0", 8080) not in kernel.elements.values()


def test_more_endpoints_than_a_group_holds_are_told_of() -> None:
    informers, kernel = FakeInformers(), FakeKernel()
    informers.put(SERVICES, WEB)
    ends = [endpoint(f"10.42.{i // 250}.{i % 250 + 1}") for i in range(5000)]
    informers.put(ENDPOINTSLICES, slice_of(WEB, ends, port(8080)))
    made = proxy(informers, kernel)
    made.step()
    assert "default/web has 5000 endpoints of a port, 4094 of which are used" in made.sentence


def test_nothing_is_programmed_before_the_picture_is_complete() -> None:
    kernel = FakeKernel()
    made = proxy(FakeInformers(synced=False), kernel)
    made.step()
    assert kernel.calls == []


def test_a_pods_host_port_comes_and_goes_with_the_pod() -> None:
    informers, kernel = FakeInformers(), FakeKernel()
    old = pod_with_ports("web", "10.42.1.1", {"containerPort": 80, "hostPort": 8080})
    informers.put(PODS, old)
    made = proxy(informers, kernel)
    made.step()
    assert {place[0] for place in kernel.elements} == {"hn", "eps", "hp"}
    new = pod_with_ports("web-2", "10.42.1.2", {"containerPort": 80, "hostPort": 8080})
    informers.put(PODS, new)
    made.step()
    informers.put(PODS, old | {"status": {"phase": "Succeeded", "podIP": "10.42.1.1"}})
    made.step()
    assert ("10.42.1.2", 80) in kernel.elements.values()
    assert ("hn", ("tcp", 8080)) in kernel.elements
    informers.remove(PODS, new)
    made.step()
    assert kernel.elements == {}
