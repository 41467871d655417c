"""The authority, certificates, token and kubeconfig: made once, renewed when they no longer serve."""

from __future__ import annotations

import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from mini8s.app import bootstrap
from mini8s.app.layout import agent_files, server_files, write_private
from mini8s.app.token import parse
from mini8s.wire import pem, tls

NOW = datetime(2026, 6, 1, tzinfo=UTC)
PLAN = bootstrap.Plan(names=("localhost", "10.0.0.1"), server="https://10.0.0.1:6443", node_name="pi")


def prepare(root: Path, plan: bootstrap.Plan = PLAN, now: datetime = NOW) -> dict[str, bytes]:
    bootstrap.prepare_server(server_files(str(root)), agent_files(str(root)), plan, now)
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_second_start_changes_nothing(tmp_path: Path) -> None:
    assert prepare(tmp_path) == prepare(tmp_path)


def test_the_token_carries_the_hash_of_the_authority(tmp_path: Path) -> None:
    files = prepare(tmp_path)
    token = parse(files["server/node-token"].decode())
    assert token.ca == pem.fingerprint(files["server/tls/ca.crt"])


def test_a_token_of_the_users_own(tmp_path: Path) -> None:
    files = prepare(tmp_path, replace(PLAN, token="mine"))
    assert parse(files["server/node-token"].decode()).secret == "mine"


def test_a_new_address_renews_only_the_serving_certificate(tmp_path: Path) -> None:
    before = prepare(tmp_path)
    after = prepare(tmp_path, replace(PLAN, names=("localhost", "10.0.0.2")))
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"server/tls/serving.crt"}
    assert tls.addresses(after["server/tls/serving.crt"]) == {"localhost", "10.0.0.2"}


def test_certificates_near_their_end_are_renewed_and_the_authority_stays(tmp_path: Path) -> None:
    before = prepare(tmp_path)
    after = prepare(tmp_path, now=NOW + timedelta(days=300))
    assert after["server/tls/ca.crt"] == before["server/tls/ca.crt"]
    for name in ("server/tls/serving.crt", "server/cred/admin.crt", "agent/client.crt"):
        assert after[name] != before[name]


def test_keys_are_for_root_alone(tmp_path: Path) -> None:
    prepare(tmp_path)
    for path in (*tmp_path.rglob("*.key"), *tmp_path.rglob("*kubeconfig"), *tmp_path.rglob("node-token")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_the_kubeconfig_holds_all_that_kubectl_needs(tmp_path: Path) -> None:
    target = tmp_path / "out" / "mini8s.yaml"
    prepare(tmp_path, replace(PLAN, kubeconfig=target, kubeconfig_mode=0o644))
    config = yaml.safe_load(target.read_text())
    assert config["clusters"][0]["cluster"]["server"] == "https://10.0.0.1:6443"
    assert config["current-context"] == config["contexts"][0]["name"]
    assert stat.S_IMODE(target.stat().st_mode) == 0o644


def test_a_request_is_signed_for_the_signers_idea_of_who_asks() -> None:
    ca = tls.new_ca("test", NOW)
    leaf = bootstrap.node_leaf("pi")
    request = tls.new_request(leaf)
    certificate = tls.sign_request(ca, request.certificate, leaf, NOW)
    assert tls.expires(certificate) == NOW + tls.LEAF_LIFE
    with pytest.raises(tls.BadRequestForCertificate, match="another identity"):
        tls.sign_request(ca, request.certificate, bootstrap.node_leaf("other"), NOW)
    with pytest.raises(tls.BadRequestForCertificate, match="not a PEM"):
        tls.sign_request(ca, b"nonsense", leaf, NOW)


def test_a_private_file_replaces_one_that_anybody_could_read(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, b"new")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"new", 0o600)


def test_a_file_that_says_it_already_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "key"
    write_private(path, b"same")
    before = path.stat().st_ino
    write_private(path, b"same")
    assert path.stat().st_ino == before
    path.chmod(0o644)
    write_private(path, b"same")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_certificate_is_renewed_between_two_thirds_and_four_fifths_of_its_life_for_the_same_key(
    tmp_path: Path,
) -> None:
    plan = replace(PLAN, life=timedelta(seconds=60))
    before = prepare(tmp_path, plan)
    assert prepare(tmp_path, plan, NOW + timedelta(seconds=39)) == before
    after = prepare(tmp_path, plan, NOW + timedelta(seconds=49))
    changed = {name for name in after if after[name] != before[name]}
    leaves = {"server/tls/serving.crt", "server/cred/admin.crt", "agent/client.crt"}
    assert changed == leaves | {"server/cred/admin.kubeconfig"}
    for name in leaves:
        assert tls.life(after[name]).ends == NOW + timedelta(seconds=109)


def test_it_says_when_it_wants_to_be_asked_again(tmp_path: Path) -> None:
    due = bootstrap.prepare_server(server_files(str(tmp_path)), agent_files(str(tmp_path)), PLAN, NOW)
    lives = [tls.life(path.read_bytes()).renews for path in tmp_path.rglob("*.crt") if path.name != "ca.crt"]
    assert due == min(lives)
    assert NOW + tls.LEAF_LIFE * 2 / 3 <= due <= NOW + tls.LEAF_LIFE * 4 / 5


@pytest.mark.parametrize("name", ["server/tls/serving", "server/cred/admin", "agent/client"])
def test_a_certificate_of_another_cluster_or_key_is_made_anew(tmp_path: Path, name: str) -> None:
    prepare(tmp_path)
    foreign = tls.issue(tls.new_ca("other", NOW), tls.Leaf("somebody"), NOW)
    (tmp_path / f"{name}.crt").write_bytes(foreign.certificate)
    files = prepare(tmp_path)
    assert tls.belongs(files[f"{name}.crt"], files[f"{name}.key"], files["server/tls/ca.crt"])
    assert not tls.belongs(foreign.certificate, foreign.key, files["server/tls/ca.crt"])
