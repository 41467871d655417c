"""Where a setting comes from, and what is said of one that can't be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mini8s.app.settings import SettingsError, check, load
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
        ("nodename: x", "there is no setting nodename"),
        ("https-listen-port: many", "https-listen-port is 'many', not of type int"),
        ("network-backend: ipip", "not one of host-gw, vxlan"),
        ("- a\n- b", "is not a mapping"),
        ("a: [", "is not YAML"),
        ("cluster-cidr: 10.43.0.0/16", "overlap"),
        ("cluster-dns: 10.44.0.10", "is not an address in"),
        ("cluster-cidr: 10.42.0.0/28", "smaller than the /24"),
        ("service-node-port-range: 40000-30000", "is not LOW-HIGH"),
        ("https-listen-port: 70000", "is not a port"),
        ("service-cidr: 10.43.0.1/16", "has host bits set"),
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


@pytest.mark.parametrize(
    ("name", "value"), [("MINI8S_DISABLE_AGENT", "maybe"), ("MINI8S_HTTPS_LISTEN_PORT", "six")]
)
def test_an_environment_variable_is_named_in_its_error(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        load(ServerSettings, {}, {name: value})


def test_a_boolean_from_the_environment() -> None:
    assert load(ServerSettings, {}, {"MINI8S_DISABLE_AGENT": "yes"}).disable_agent is True


def test_a_node_cannot_be_given_labels_that_others_trust() -> None:
    with pytest.raises(SettingsError, match="--node-label can't give a node node-role"):
        check(NodeSettings(node_label=("node-role.kubernetes.io/x=",)))
    check(NodeSettings(node_label=("topology.kubernetes.io/zone=a", "rack=7")))


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ({"count": 5}, "are for --runtime hollow"),
        ({"runtime": "hollow", "count": 0}, "--count 0 is not between 1 and"),
        ({"runtime": "hollow", "token": "K10"}, "do not join with --server and --token"),
    ],
)
def test_hollow_nodes_have_flags_of_their_own(flags: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        check(AgentSettings(**flags))
    check(AgentSettings(runtime="hollow", count=5, kubeconfig="admin.yaml"))


def test_what_another_release_says_of_settings_is_taken_as_far_as_it_is_known() -> None:
    said = {"node_name": "pi", "of_tomorrow": [1]}
    assert known(AgentSettings, said) == AgentSettings(node_name="pi")
