"""Who may join: tokens that end, judged by what is stored, and a node that is its key."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from fakes.cluster import Cluster
from fakes.world import World

from mini8s.app.admitting import Admitting
from mini8s.app.token import Token, parse
from mini8s.controllers.kinds.tokencleaner import TokenCleaner
from mini8s.objects import bootstrap_tokens, node_keys
from mini8s.objects.errors import Forbidden, Unauthorized
from mini8s.objects.kinds import NAMESPACES, NODES, SECRETS

TOKEN = "abcdef.0123456789abcdef"
CA = "ab" * 32


@pytest.fixture
def cluster() -> Cluster:
    cluster = Cluster()
    cluster.create(NAMESPACES, {"metadata": {"name": "kube-system"}}, namespace="")
    expires = cluster.clock.now() + timedelta(minutes=1)
    cluster.create(SECRETS, bootstrap_tokens.made(TOKEN, expires, ""), namespace="kube-system")
    return cluster


@pytest.fixture
def admitting(cluster: Cluster, tmp_path: Path) -> Admitting:
    (tmp_path / "node-token").write_text(f"K10{CA}::node:s3cret\n")
    return Admitting(cluster.machine, cluster.ctx, tmp_path / "node-token", "server")


def test_a_token_that_ends_reads_back_as_it_was_written() -> None:
    assert str(parse(f"K10{CA}::{TOKEN}")) == f"K10{CA}::{TOKEN}"
    assert parse(TOKEN).bootstrap
    assert not Token("s3cret").bootstrap


@pytest.mark.parametrize("token", ["s3cret", f"K10{CA}::node:s3cret", TOKEN, f"K10{CA}::{TOKEN}"])
def test_tokens_that_let_in(admitting: Admitting, token: str) -> None:
    admitting.check_token(token)


@pytest.mark.parametrize(
    ("token", "sentence"),
    [
        ("", "the token is empty"),
        ("K10abc", "not of the form"),
        ("wrong", "does not accept"),
        ("abcdef.0123456789abcdeX", "does not accept"),
        ("abcdef.0123456789abcde0", "does not know"),
        ("zzzzzz.0123456789abcdef", "does not know"),
    ],
)
def test_tokens_that_do_not(admitting: Admitting, token: str, sentence: str) -> None:
    with pytest.raises(Unauthorized, match=sentence):
        admitting.check_token(token)


def test_that_a_token_has_ended_is_told_to_who_knows_it(cluster: Cluster, admitting: Admitting) -> None:
    cluster.clock.step(60)
    with pytest.raises(Unauthorized, match="the token abcdef ended at 2026-01-01T00:01:00Z: make another"):
        admitting.check_token(TOKEN)
    with pytest.raises(Unauthorized, match="does not know"):
        admitting.check_token("abcdef.0123456789abcde0")


def test_a_secret_of_another_type_is_no_token(cluster: Cluster, admitting: Admitting) -> None:
    secret = bootstrap_tokens.made("zzzzzz.0123456789abcdef", None, "") | {"type": "Opaque"}
    cluster.create(SECRETS, secret, namespace="kube-system")
    with pytest.raises(Unauthorized, match="does not know"):
        admitting.check_token("zzzzzz.0123456789abcdef")


def test_a_node_is_the_key_that_came_first(cluster: Cluster, admitting: Admitting) -> None:
    admitting.check_key("pi", "k1", CA)
    admitting.check_key("pi", "k1", CA)
    with pytest.raises(Forbidden, match="mini8s node replace pi"):
        admitting.check_key("pi", "k2", CA)
    cluster.delete(SECRETS, node_keys.secret_name("pi"), namespace="kube-system")
    admitting.check_key("pi", "k2", CA)
    with pytest.raises(Forbidden):
        admitting.check_key("pi", "k1", CA)


def test_nodes_that_have_no_certificate_of_the_new_authority_yet_are_known(
    cluster: Cluster, admitting: Admitting
) -> None:
    for node in ("pi", "po"):
        cluster.create(NODES, {"metadata": {"name": node}})
        admitting.check_key(node, "k", "old")
    admitting.check_key("gone", "k", "old")
    assert admitting.of_other_authorities("old") == []
    admitting.check_key("po", "k", "new")
    assert admitting.of_other_authorities("new") == ["pi"]


def test_nobody_else_is_the_servers_own_node(admitting: Admitting) -> None:
    with pytest.raises(Forbidden, match="the server's own node"):
        admitting.check_key("server", "k1", CA)


def test_tokens_that_have_ended_are_cleaned_away() -> None:
    world = World([TokenCleaner])
    try:
        world.api.create(NAMESPACES, {"metadata": {"name": "kube-system"}})
        expires = world.clock.now() + timedelta(minutes=1)
        world.api.create(SECRETS, bootstrap_tokens.made(TOKEN, expires, ""))
        world.api.create(SECRETS, bootstrap_tokens.made("zzzzzz.0123456789abcdef", None, ""))
        world.settle()
        assert len(world.api.list(SECRETS).items) == 2
        world.step(61)
        left = [secret["metadata"]["name"] for secret in world.api.list(SECRETS).items]
        assert left == ["bootstrap-token-zzzzzz"]
    finally:
        world.close()
