"""The policies' loop: when a round is made and when not, and what a pod's start waits for."""

from __future__ import annotations

import threading

import pytest

from mini8s.agent.network.base import NetworkError
from mini8s.agent.network.ruleset import RulesetError
from mini8s.agent.policy import features, runner
from mini8s.agent.policy.guard import Guarded
from mini8s.agent.policy.layout import INGRESS, PEERS
from mini8s.agent.policy.peers import Peers
from mini8s.agent.policy.runner import Policies, Unknown
from mini8s.client.informer import Handler, Informer, NoMemory
from mini8s.objects.kinds import NAMESPACES, NETWORKPOLICIES, PODS, Obj
from mini8s.util.workers import Stop
from tests.fakes.api import FakeApi
from tests.fakes.informers import FakeInformers
from tests.fakes.network import FakeNetwork
from tests.fakes.policy_kernel import FakePolicyKernel


class Others:
    """Pods of all hosts, as the test says."""

    def __init__(self) -> None:
        self.synced, self.pods = True, list[Obj]()
        self.said: list[str] = []

    def list(self) -> list[Obj]:
        return self.pods

    def open(self) -> None:
        self.said.append("open")

    def close(self, *, forget: bool) -> None:
        self.said.append("forgotten" if forget else "closed")


class Scene:
    def __init__(self, *, synced: bool = True) -> None:
        self.informers, self.network = FakeInformers(synced=synced), FakeNetwork()
        self.kernel, self.others, self.stop = FakePolicyKernel(), Others(), Stop()

        def peers(_changed: Handler) -> Others:
            return self.others

        self.policies = Policies(
            informers=self.informers,  # type: ignore[arg-type]
            node_name="h1",
            cluster_dns="10.43.0.10",
            network=self.network,
            peers=peers,
            kernels={"IPv4": self.kernel},
            stop=self.stop,
        )
        self.guarded = Guarded(self.network, self.policies)
        self.informers.put(NAMESPACES, {"metadata": {"name": "a", "labels": {}}})

    def step(self) -> float | None:
        """A round, as if something had changed."""
        self.policies._wake.set()
        return self.policies.step()

    def isolated(self) -> set[str]:
        return {str(key[0]) for name, key in self.kernel.elements or () if name == INGRESS}


def pod(name: str, *, labels: dict[str, str] | None = None, **annotations: str) -> Obj:
    return {
        "metadata": {
            "name": name, "namespace": "a", "uid": name, "labels": labels or {}, "annotations": annotations,
        },
        "spec": {"containers": []},
    }  # fmt: skip


def deny(name: str = "deny", **spec: object) -> Obj:
    return {
        "metadata": {"name": name, "namespace": "a"},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"], **spec},
    }


def test_without_policies_there_is_no_table_and_nothing_is_known_of_others() -> None:
    scene = Scene()
    scene.kernel.elements = {}
    assert scene.step() is None
    assert scene.kernel.elements is None
    assert scene.others.said == ["forgotten"]
    assert scene.policies.sentence == "there are no network policies"


def test_a_pod_gets_its_address_when_the_kernel_judges_it() -> None:
    scene = Scene()
    scene.informers.put(NETWORKPOLICIES, deny())
    scene.informers.put(PODS, pod("web"))
    (address,) = scene.guarded.attach("web", 7)
    assert scene.isolated() == {address}
    assert scene.others.said == ["open"]
    assert scene.policies.sentence == "1 network policies isolate 1 pods of this host"
    scene.guarded.detach("web")
    scene.step()
    assert scene.isolated() == set()


@pytest.mark.parametrize("unknown", ["policies", "peers", "static pods"])
def test_a_pod_waits_while_it_is_not_known_how_to_judge_it(unknown: str) -> None:
    scene = Scene(synced=unknown != "policies")
    scene.informers.put(NETWORKPOLICIES, deny())
    scene.others.synced = unknown != "peers"
    if unknown == "static pods":
        scene.policies.judge_also(lambda: None)
    scene.stop.set()  # else it would try for seconds
    with pytest.raises(NetworkError, match="network policies are not known yet"):
        scene.guarded.attach("web", 7)
    assert scene.kernel.calls == []
    with pytest.raises(Unknown):
        scene.policies.admit("web", ("10.42.0.2",))


def test_a_round_that_was_put_off_waits_for_no_change() -> None:
    """Other hosts' pods are asked for with the first policy; when all have come, nothing else changes."""
    scene = Scene()
    scene.informers.put(PODS, pod("web"))
    (address,) = scene.guarded.attach("web", 7)
    scene.step()
    scene.others.synced = False
    scene.informers.put(NETWORKPOLICIES, deny())
    assert scene.step() == runner.TRY_SECONDS
    assert scene.isolated() == set()
    scene.others.synced = True
    scene.policies._wake = Impatient()
    assert scene.policies.step() is None
    assert scene.isolated() == {address}


class Impatient(threading.Event):
    """Nobody is to wait for it."""

    def wait(self, timeout: float | None = None) -> bool:
        raise AssertionError("waited for a change")


def test_a_static_pod_is_judged_before_the_api_shows_it() -> None:
    scene, known = Scene(), list[Obj]()
    scene.policies.judge_also(lambda: known)
    scene.informers.put(NETWORKPOLICIES, deny(podSelector={"matchLabels": {"app": "own"}}))
    known.append(pod("static-1", labels={"app": "own"}))
    (address,) = scene.guarded.attach("static-1", 7)
    assert scene.isolated() == {address}
    mirror = pod("own-h1", labels={"app": "own"}, **{"kubernetes.io/config.mirror": "static-1"})
    scene.informers.put(PODS, {**mirror, "status": {"podIP": address}})
    scene.step()
    assert scene.isolated() == {address}
    assert scene.kernel.calls == ["replace"]


def test_other_hosts_pods_are_peers() -> None:
    scene = Scene()
    scene.others.pods = [{**pod("far"), "status": {"podIP": "10.42.9.9"}}]
    scene.informers.put(NETWORKPOLICIES, deny(ingress=[{"from": [{"podSelector": {}}]}]))
    scene.informers.put(PODS, pod("web"))
    (own,) = scene.guarded.attach("web", 7)
    peers = {key[1] for name, key in scene.kernel.elements or () if name == PEERS}
    assert peers == {own, "10.42.9.9"}


def test_after_a_refusal_everything_is_programmed_anew() -> None:
    scene = Scene()
    scene.informers.put(NETWORKPOLICIES, deny())
    scene.informers.put(PODS, pod("web"))
    scene.guarded.attach("web", 7)
    scene.kernel.refusal = "nf_tables refused 1 messages of a transaction: ENOMEM"
    scene.informers.put(PODS, pod("web2"))
    with pytest.raises(NetworkError, match=r"network policies can't be programmed: .*ENOMEM"):
        scene.guarded.attach("web2", 8)
    pause = scene.step()
    assert pause is not None
    assert pause > 0
    scene.kernel.refusal = ""
    assert scene.step() is None
    assert scene.kernel.calls[-1] == "replace"
    assert len(scene.isolated()) == 2


def test_a_table_that_somebody_took_away_is_made_again() -> None:
    scene = Scene()
    scene.informers.put(NETWORKPOLICIES, deny())
    scene.informers.put(PODS, pod("web"))
    scene.guarded.attach("web", 7)
    scene.kernel.elements = None
    scene.policies._sides[0]._checked = -1000.0
    scene.informers.put(NETWORKPOLICIES, deny("more"))
    scene.step()
    assert len(scene.isolated()) == 1


def test_what_the_kernel_lacks_is_said_in_one_sentence() -> None:
    scene = Scene()
    scene.informers.put(NETWORKPOLICIES, deny())
    scene.informers.put(PODS, pod("web"))
    scene.kernel.refusal, scene.kernel.lack = "refused", "this kernel lacks the expression ct"
    with pytest.raises(NetworkError, match=r"^this kernel lacks the expression ct$"):
        scene.guarded.attach("web", 7)
    scene.step()
    assert scene.policies.sentence == "this kernel lacks the expression ct"


@pytest.mark.parametrize(
    ("word", "named"),
    [("ct state", "the expression ct"), ("flags interval", "5.6"), ("classid", "priorities")],
)
def test_each_lack_has_a_name(word: str, named: str) -> None:
    def load(text: str) -> None:
        if word in text:
            raise RulesetError("nft refused: no such file")

    said = features.missing(load)
    assert named in said
    assert "without which network policies can't work here" in said
    assert features.missing(lambda _: None) == ""


class Kept(NoMemory):
    def __init__(self) -> None:
        self.adopted: list[Informer] = []
        self.released: list[Informer] = []

    def adopt(self, informer: Informer) -> None:
        self.adopted.append(informer)

    def release(self, informer: Informer) -> None:
        self.released.append(informer)


def test_other_hosts_pods_are_followed_only_while_it_is_open() -> None:
    api, memory, seen = FakeApi(), Kept(), list[str]()

    def changed(_old: Obj | None, new: Obj | None) -> None:
        seen.append(new["metadata"]["name"] if new else "")

    full = pod("far")
    full["spec"] |= {"nodeName": "h9", "containers": [{"name": "c", "env": [{"name": "A", "value": "x"}]}]}
    api.create(PODS, full)
    peers = Peers(api, memory, changed)
    assert (peers.synced, peers.list()) == (False, [])
    peers.open()
    peers.open()
    assert peers._informer is not None
    assert peers._informer.synced.wait(60)
    assert [one["spec"] for one in peers.list()] == [{}]
    assert seen == ["far"]
    peers.close(forget=True)
    peers.close(forget=True)
    assert (peers.synced, peers.list()) == (False, [])
    assert memory.released == memory.adopted
    assert len(memory.adopted) == 1
