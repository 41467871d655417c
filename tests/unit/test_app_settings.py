"""Where a setting comes from, and what is said of one that can't be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mini8s.app.given import gather
from mini8s.app.settings import SettingsError, judge, load, wrong
from mini8s.config import AgentSettings, NodeSettings, ServerSettings, known


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


def test_flags_win_over_environment_over_file_over_defaults(config: Path) -> None:
    config.write_text("node-name: file\nnode-ip: 10.0.0.1\nhttps-listen-port: 7000\ntls-san: [a, b]\n")
    environ = {"MINI8S_NODE_NAME": "env", "MINI8S_NODE_IP": "10.0.0.2", "MINI8S_NODE_LABEL": "a=1, b=2"}
    settings = load(ServerSettings, {"config": str(config), "node_name": "flag"}, environ)
    assert (settings.node_name, settings.node_ip, settings.https_listen_port) == ("flag", "10.0.0.2", 7000)
    assert settings.tls_san == ("a", "b")
    assert settings.node_label == ("a=1", "b=2")
    assert settings.cluster_dns == "10.43.0.10"


def test_a_missing_default_file_is_no_error_but_a_named_one_is(tmp_path: Path) -> None:
    load(AgentSettings, {}, {})
    with pytest.raises(SettingsError, match="does not exist"):
        load(AgentSettings, {"config": str(tmp_path / "none.yaml")}, {})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("clutser-cidr: x", r'yaml:1: unknown key "clutser-cidr": did you mean "cluster-cidr"\?'),
        ("\n\nserver: x", r'yaml:3: unknown key "server": it is one of mini8s agent only'),
        ("config: other.yaml", 'yaml:1: unknown key "config"$'),
        ("https-listen-port: many", "yaml:1: https-listen-port is 'many', not a whole number"),
        ("node-name:", "yaml:1: node-name has no value"),
        ("node-name: on", "put it in quotes"),
        ("node-name: [a, b]", "is a list, and takes one value"),
        ("node-label: {a: b}", 'yaml:1: "node-label" is a mapping'),
        ("node-label:\n- a=b\n- [c]", 'yaml:3: "node-label" is not a list of texts'),
        ("node-ip: 10.0.0.1\n\nnode-ip: 10.0.0.2", 'yaml:3: "node-ip" is in line 1 already'),
        ("https-listen-port+: 1", "can't be added to"),
        ("disable-agent: maybe", "not true or false"),
        ("network-backend: ipip", "not one of host-gw, vxlan"),
        ("- a\n- b", "is not a mapping"),
        ("a: 1\nb: [", r"yaml:\d: it is not YAML"),
        ("cluster-cidr: 10.43.0.0/16", r"overlap \(--cluster-cidr: .*yaml:1\)"),
        ("cluster-dns: 10.44.0.10", "is not an address in"),
        ("cluster-cidr: 10.42.0.0/28", "smaller than the /24"),
        ("service-node-port-range: 40000-30000", "is not LOW-HIGH"),
        ("https-listen-port: 70000", "is not a port"),
        ("service-cidr: 10.43.0.1/16", "has host bits set"),
        ("service-cidr: 10.43.0.0/32\ncluster-dns: 10.43.0.0", "has fewer than 8 addresses"),
        ("node-monitor-grace-period: 10", "not longer than the 10 s between heartbeats"),
        ("ingress-http-port: 0", "is not a port"),
        ("ingress-http-port: 443", "are the same"),
        ("node-label: [role]", "is not KEY=VALUE"),
        ("node-label: ['a b=c']", "is not KEY=VALUE"),
        ("node-taint: ['a=b:Never']", "effect one of NoSchedule"),
    ],
)
def test_a_setting_that_cant_be_used_is_one_sentence(config: Path, text: str, sentence: str) -> None:
    config.write_text(text)
    with pytest.raises(SettingsError, match=sentence):
        load(ServerSettings, {"config": str(config)}, {})


def test_drop_ins_are_read_by_name_and_the_last_one_counts(config: Path) -> None:
    config.write_text("node-name: base\ntls-san: [a]\nnode-label: [x=1]\nwrite-kubeconfig-mode: 0644\n")
    folder = config.with_name("config.yaml.d")
    folder.mkdir()
    (folder / "20-b.yaml").write_text("node-name: b\ntls-san+: 'c,d'\nkubelet-arg+: [max-pods=3]\n")
    (folder / "10-a.yaml").write_text("node-name: a\ntls-san+: b\nnode-label: [y=2]\n")
    (folder / "30-c.yaml.bak").write_text("node-name: [")
    gathered = gather(ServerSettings, {"config": str(config)}, {})
    settings, problems = judge(ServerSettings, gathered)
    assert problems == []
    assert (settings.node_name, settings.node_label) == ("b", ("y=2",))
    assert (settings.tls_san, settings.kubelet_arg) == (("a", "b", "c", "d"), ("max-pods=3",))
    assert settings.write_kubeconfig_mode == "0644"  # not the number that YAML sees
    assert gathered.given["node_name"].origin == f"{folder}/20-b.yaml:1"
    assert gathered.given["tls_san"].origin.split(", ") == [
        f"{config}:2",
        f"{folder}/10-a.yaml:2",
        f"{folder}/20-b.yaml:2",
    ]
    assert load(ServerSettings, {"config": str(config), "tls_san": ("z,y",)}, {}).tls_san == ("z", "y")


def test_everything_that_is_wrong_is_said_at_once(config: Path) -> None:
    config.write_text("nodename: x\nhttps-listen-port: x\ningress-http-port: 443\n")
    settings, problems = judge(ServerSettings, gather(ServerSettings, {"config": str(config)}, {}))
    assert problems[0].startswith(f"{config}:1: ")
    assert problems[1].startswith(f"{config}:2: ")
    assert "are the same" in problems[2]
    assert settings.https_listen_port == 6443
    with pytest.raises(SettingsError, match=r"nodename.*and 2 more: mini8s config check"):
        load(ServerSettings, {"config": str(config)}, {})


@pytest.mark.parametrize(
    ("name", "value"), [("MINI8S_DISABLE_AGENT", "maybe"), ("MINI8S_HTTPS_LISTEN_PORT", "six")]
)
def test_an_environment_variable_is_named_in_its_error(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        load(ServerSettings, {}, {name: value})


def test_a_boolean_from_the_environment() -> None:
    assert load(ServerSettings, {}, {"MINI8S_DISABLE_AGENT": "yes"}).disable_agent is True


def test_a_node_cannot_be_given_labels_that_others_trust() -> None:
    (said,) = wrong(NodeSettings(node_label=("node-role.kubernetes.io/x=",)))
    assert "--node-label can't give a node node-role" in said
    assert list(wrong(NodeSettings(node_label=("topology.kubernetes.io/zone=a", "rack=7")))) == []


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ({"count": 5}, "are for --runtime hollow"),
        ({"runtime": "hollow", "count": 0}, "--count 0 is not between 1 and"),
        ({"runtime": "hollow", "token": "K10"}, "do not join with --server and --token"),
    ],
)
def test_hollow_nodes_have_flags_of_their_own(flags: dict[str, Any], sentence: str) -> None:
    (said,) = wrong(AgentSettings(**flags))
    assert sentence in said
    assert list(wrong(AgentSettings(runtime="hollow", count=5, kubeconfig="admin.yaml"))) == []


def test_what_another_release_says_of_settings_is_taken_as_far_as_it_is_known() -> None:
    said = {"node_name": "pi", "of_tomorrow": [1]}
    assert known(AgentSettings, said) == AgentSettings(node_name="pi")
