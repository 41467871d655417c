"""A cluster of two families of addresses: its flags, what is given out, Services that gain and lose one."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.cluster import Cluster, service

from mini8s.app import first_objects, host
from mini8s.app.host import HostError
from mini8s.app.networks import completed
from mini8s.app.settings import SettingsError, load
from mini8s.config import ServerSettings
from mini8s.objects.errors import Invalid
from mini8s.objects.kinds import NODES, SERVICES, Obj

RANGES = {"cluster_cidr": "10.42.0.0/16,fd42::/48", "service_cidr": "10.43.0.0/16,fd43::/112"}
BOTH = ("IPv4", "IPv6")


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(**RANGES, cluster_dns="10.43.0.10,fd43::a")


@pytest.mark.parametrize(
    ("flags", "dns"),
    [
        ({}, "10.43.0.10"),
        (RANGES, "10.43.0.10,fd43::a"),
        ({"cluster_cidr": "fd42::/48,10.42.0.0/16", "service_cidr": "fd43::/112,10.43.0.0/16"},
         "fd43::a,10.43.0.10"),
        ({"cluster_cidr": "fd42::/48", "service_cidr": "fd43::/112"}, "fd43::a"),
        (RANGES | {"cluster_dns": "10.43.0.20"}, "10.43.0.20"),
    ],
)  # fmt: skip
def test_the_resolver_has_the_tenth_address(flags: dict[str, str], dns: str) -> None:
    assert load(ServerSettings, flags, {}).cluster_dns == dns


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ({"cluster_cidr": "10.42.0.0/16,fd42::/48"}, "both must be of the same families, in the same order"),
        ({"cluster_cidr": "10.42.0.0/16,10.44.0.0/16"}, "is not one range, or one of IPv4 and one of IPv6"),
        (RANGES | {"service_cidr": "10.43.0.0/16,fd42::/112"}, "overlap"),
        (RANGES | {"cluster_dns": "fd43::a,10.43.0.10"}, "does not have IPv4 first"),
        (RANGES | {"cluster_dns": "10.43.0.10,fd44::a"}, "is not an address in 10.43.0.0/16 or fd43::/112"),
        (RANGES | {"cluster_dns": "10.43.0.10,10.43.0.11"}, "two addresses of IPv4"),
        (RANGES | {"cluster_cidr": "10.42.0.0/16,fd42::/65"}, "smaller than the /64"),
        (
            RANGES | {"cluster_cidr": "10.42.0.0/16,fd42::/32"},
            "--node-cidr-mask-size-ipv6 must be at most 48",
        ),
        (RANGES | {"node_cidr_mask_size_ipv6": 128}, "leaves a node no addresses"),
        ({"service_cidr": "10.43.0.0/29"}, "give --cluster-dns"),
        ({"service_cidr": ""}, "is not one range"),
    ],
)
def test_flags_that_are_refused(flags: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        load(ServerSettings, flags, {})


def test_a_node_gets_a_range_of_each(cluster: Cluster) -> None:
    for number in range(2):
        made = cluster.create(NODES, {"metadata": {"name": f"n{number}"}})
        ranges = [f"10.42.{number}.0/24", f"fd42:0:0:{number or ''}::/64".replace(":0:0:::", "::")]
        assert made["spec"] == {"podCIDR": ranges[0], "podCIDRs": ranges}
    with pytest.raises(Invalid, match="node updates may not change podCIDR"):
        cluster.patch(NODES, "n1", {"spec": {"podCIDRs": ["10.42.1.0/24", "fd42:0:0:9::/64"]}})
    with pytest.raises(Invalid, match="no more than one CIDR for each IP family"):
        cluster.create(
            NODES, {"metadata": {"name": "x"}, "spec": {"podCIDRs": ["10.1.0.0/24", "10.2.0.0/24"]}}
        )


def test_a_node_and_the_resolver_from_before_get_their_second() -> None:
    before = Cluster()
    before.create(NODES, {"metadata": {"name": "n1"}})
    settings = completed(ServerSettings(advertise_address="192.0.2.1"))
    first_objects.ensure(before.machine, before.ctx, settings, "10.43.0.1")
    after = Cluster(before.store, **RANGES, cluster_dns="10.43.0.10,fd43::a")
    settings = completed(ServerSettings(advertise_address="192.0.2.1", **RANGES))
    for _ in range(2):
        first_objects.ensure(after.machine, after.ctx, settings, "10.43.0.1")
        assert after.get(NODES, "n1")["spec"]["podCIDRs"] == ["10.42.0.0/24", "fd42::/64"]
        dns = after.get(SERVICES, "kube-dns", namespace="kube-system")["spec"]
        assert (dns["clusterIPs"], dns["ipFamilies"]) == (["10.43.0.10", "fd43::a"], list(BOTH))
    assert after.get(SERVICES, "kubernetes")["spec"]["clusterIPs"] == ["10.43.0.1"]


@pytest.mark.parametrize(
    ("asked", "ips", "families"),
    [
        ({}, ["10.43.1.1"], ["IPv4"]),
        ({"ipFamilyPolicy": "PreferDualStack"}, ["10.43.1.1", "fd43::101"], ["IPv4", "IPv6"]),
        ({"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6"]}, ["fd43::101", "10.43.1.1"],
         ["IPv6", "IPv4"]),
        ({"ipFamilies": ["IPv6"]}, ["fd43::101"], ["IPv6"]),
        ({"clusterIP": "fd43::7"}, ["fd43::7"], ["IPv6"]),
        ({"clusterIP": "fd43::7", "ipFamilyPolicy": "PreferDualStack"}, ["fd43::7", "10.43.1.1"],
         ["IPv6", "IPv4"]),
        ({"clusterIPs": ["10.43.0.7", "fd43::ffff"], "ipFamilyPolicy": "RequireDualStack"},
         ["10.43.0.7", "fd43::ffff"], ["IPv4", "IPv6"]),
        ({"clusterIP": "None", "selector": {"a": "b"}, "ipFamilyPolicy": "PreferDualStack"}, ["None"],
         ["IPv4", "IPv6"]),
    ],
)  # fmt: skip
def test_a_service_gets_what_it_asks_for(
    cluster: Cluster, asked: Obj, ips: list[str], families: list[str]
) -> None:
    spec = cluster.create(SERVICES, service(**asked))["spec"]
    assert (spec["clusterIP"], spec["clusterIPs"], spec["ipFamilies"]) == (ips[0], ips, families)
    assert cluster.update(SERVICES, service(**asked))["spec"]["clusterIPs"] == ips


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"clusterIPs": ["10.43.0.7", "10.43.0.8"], "ipFamilyPolicy": "PreferDualStack"},
         "may specify no more than one IP for each IP family"),
        ({"clusterIPs": ["10.43.0.7", "fd43::8"]}, "must be 'RequireDualStack' or 'PreferDualStack'"),
        ({"clusterIP": "fd43::7", "ipFamilies": ["IPv4"]},
         r"expected an IPv4 value as indicated by `ipFamilies\[0\]`"),
        ({"clusterIP": "fd43::1:0"}, "The range of valid IPs is fd43::/112"),
        ({"clusterIP": "fd43::a"}, "provided IP is already allocated"),
        ({"clusterIP": "fd43:0::0a"}, "provided IP is already allocated"),
        ({"clusterIP": "fd43::7%eth0"}, "must be a valid IP address"),
        ({"clusterIPs": ["None", "fd43::7"], "ipFamilyPolicy": "PreferDualStack"},
         "'None' must be the first and only value"),
    ],
)  # fmt: skip
def test_addresses_that_are_refused(cluster: Cluster, asked: Obj, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        cluster.create(SERVICES, service(**asked))


def test_a_second_address_comes_and_goes(cluster: Cluster) -> None:
    made = cluster.create(SERVICES, service())["spec"]
    up = cluster.patch(SERVICES, "web", {"spec": {"ipFamilyPolicy": "RequireDualStack"}})["spec"]
    assert up["clusterIPs"] == [made["clusterIP"], "fd43::101"]
    with pytest.raises(Invalid, match="must be set to 'SingleStack' when releasing the secondary clusterIP"):
        cluster.patch(SERVICES, "web", {"spec": {"clusterIPs": [made["clusterIP"]]}})
    with pytest.raises(Invalid, match=r"spec.clusterIPs\[1\]: .*may not change once set"):
        cluster.patch(SERVICES, "web", {"spec": {"clusterIPs": [made["clusterIP"], "fd43::200"]}})
    down = cluster.patch(SERVICES, "web", {"spec": {"ipFamilyPolicy": "SingleStack"}})["spec"]
    assert (down["clusterIPs"], down["ipFamilies"]) == ([made["clusterIP"]], ["IPv4"])
    taken = cluster.create(SERVICES, service("other", clusterIP="fd43::101"))["spec"]
    assert taken["clusterIPs"] == ["fd43::101"], "what was given up is free"


def test_who_prefers_two_gets_no_second_because_the_cluster_grew() -> None:
    before = Cluster()
    made = before.create(SERVICES, service(ipFamilyPolicy="PreferDualStack"))["spec"]
    after = Cluster(before.store, **RANGES, cluster_dns="10.43.0.10,fd43::a")
    same = after.patch(SERVICES, "web", {"metadata": {"labels": {"a": "b"}}})["spec"]
    assert same["clusterIPs"] == made["clusterIPs"]
    asked = {"ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv4", "IPv6"]}
    assert after.patch(SERVICES, "web", {"spec": asked})["spec"]["clusterIPs"][1:] == ["fd43::101"]


def test_a_cluster_of_one_family_has_no_other() -> None:
    with pytest.raises(Invalid, match=r"spec.ipFamilies\[0\]: Invalid value: \"IPv6\": not configured"):
        Cluster().create(SERVICES, service(clusterIP="fd43::7"))


@pytest.mark.parametrize(
    ("given", "families", "wanted"),
    [
        ("192.0.2.1", (), "192.0.2.1"),
        ("192.0.2.1,2001:db8:0::1", BOTH, "192.0.2.1,2001:db8::1"),
        ("192.0.2.1, 2001:db8::1", BOTH[::-1], "2001:db8::1,192.0.2.1"),
        ("192.0.2.1,2001:db8::1", ("IPv4",), "192.0.2.1"),
        ("", BOTH, "192.0.2.9,2001:db8::9"),
    ],
)
def test_addresses_of_a_host(
    given: str, families: tuple[str, ...], wanted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given, and noted at the last start when no way leads out now."""
    monkeypatch.setattr(host.default_route, "address", lambda _family: "")
    monkeypatch.setattr(host.sysctl, "lacks_ipv6", str)
    note = tmp_path / "node-ip"
    note.write_text("2001:db8::9,192.0.2.9")
    assert host.node_ip(given, note, families) == wanted


@pytest.mark.parametrize(
    ("given", "lacks", "sentence"),
    [
        ("192.0.2.1", "", "has no address of IPv6, which the cluster has: give both"),
        ("192.0.2.1,192.0.2.2", "", "is not one address, or one of IPv4 and one of IPv6"),
        ("192.0.2.1,fe80::1", "", "can't be an address at which others reach"),
        ("", "", "no default route of IPv6 to take its address from: give --node-ip"),
        ("192.0.2.1,2001:db8::1", "this kernel lacks IPv6", "^this kernel lacks IPv6, and the cluster's"),
    ],
)
def test_a_host_that_can_be_no_node_of_it(
    given: str, lacks: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host.default_route, "address", lambda name: "192.0.2.9" if name == "IPv4" else "")
    monkeypatch.setattr(host.sysctl, "lacks_ipv6", lambda: lacks)
    with pytest.raises(HostError, match=sentence):
        host.node_ip(given, tmp_path / "none", BOTH)
