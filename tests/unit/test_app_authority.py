"""Another authority in the place of the cluster's: step by step, broken off anywhere, believed by all."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mini8s.app import authority, bootstrap, layout
from mini8s.app.join import JoinRefused, believed
from mini8s.app.layout import agent_files, server_files
from mini8s.app.token import Token, parse
from mini8s.wire import pem, tls

NOW = datetime.now(UTC).replace(microsecond=0)
LIFE = timedelta(days=100)
LATER = NOW + timedelta(seconds=10)
PLAN = bootstrap.Plan(
    names=("localhost",), server="https://localhost:6443", node_name="pi", life=LIFE, token="s3cret"
)


def prepare(root: Path, now: datetime = NOW) -> datetime:
    return bootstrap.prepare_server(server_files(str(root)), agent_files(str(root)), PLAN, now)


def rotated(root: Path) -> bytes:
    """The authority before; the new one is in use."""
    prepare(root)
    old = server_files(str(root)).ca.read_bytes()
    assert authority.begin(server_files(str(root)), LATER, LIFE)
    prepare(root, LATER)
    return old


def shakes_hands(believed_by_client: bytes, root: Path, *, client: str = "") -> bool:
    """Whether TLS comes about between the server's files and a client that believes these authorities."""
    files = server_files(str(root))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(files.serving, files.serving_key)
    server.verify_mode = ssl.CERT_OPTIONAL
    server.load_verify_locations(cadata=files.ca.read_text())
    there = ssl.create_default_context(cadata=believed_by_client.decode())
    if client:
        there.load_cert_chain(client)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        there.wrap_bio(to_client, to_server, server_hostname="localhost"),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    try:
        for _ in range(4):
            for end in ends:
                try:
                    end.do_handshake()
                except ssl.SSLWantReadError:
                    continue
    except ssl.SSLCertVerificationError:
        return False
    return True


def test_whoever_knows_one_of_both_believes_the_server(tmp_path: Path) -> None:
    old = rotated(tmp_path)
    files = server_files(str(tmp_path))
    new, before = pem.certificates(files.ca.read_bytes())
    assert before == old
    assert tls.belongs(files.serving.read_bytes(), files.serving_key.read_bytes(), new)
    for known in (old, new, old + new):
        assert shakes_hands(known, tmp_path)
    stranger = tls.new_ca("stranger", NOW).certificate
    assert not shakes_hands(stranger, tmp_path)


def test_the_server_believes_who_was_signed_by_either(tmp_path: Path) -> None:
    prepare(tmp_path)
    files = server_files(str(tmp_path))
    before = tls.issue(authority.load(files).pair, bootstrap.node_leaf("n2"), NOW)
    rotated(tmp_path)
    after = tls.issue(authority.load(files).pair, bootstrap.node_leaf("n2"), LATER)
    for number, pair in enumerate((before, after)):
        path = tmp_path / f"{number}.pem"
        path.write_bytes(pair.key + pair.certificate)
        assert shakes_hands(files.ca.read_bytes(), tmp_path, client=str(path))


def test_everything_is_made_anew_and_says_both(tmp_path: Path) -> None:
    rotated(tmp_path)
    server, agent = server_files(str(tmp_path)), agent_files(str(tmp_path))
    known = authority.load(server)
    for certificate, key in ((server.admin, server.admin_key), (agent.certificate, agent.key)):
        assert tls.belongs(certificate.read_bytes(), key.read_bytes(), known.pair.certificate)
    assert agent.ca.read_bytes() == known.bundle
    assert str(parse(server.node_token.read_text())) == str(
        Token("s3cret", ca=pem.fingerprint(known.pair.certificate))
    )
    assert known.until == LATER + LIFE


def test_to_ask_again_changes_nothing(tmp_path: Path) -> None:
    rotated(tmp_path)
    files = server_files(str(tmp_path))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert not authority.begin(files, LATER, LIFE)
    prepare(tmp_path, LATER)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_the_old_one_goes_when_its_last_certificate_has_ended(tmp_path: Path) -> None:
    old = rotated(tmp_path)
    files = server_files(str(tmp_path))
    prepare(tmp_path, LATER + LIFE - timedelta(seconds=1))
    assert len(pem.certificates(files.ca.read_bytes())) == 2
    prepare(tmp_path, LATER + LIFE)
    known = authority.load(files)
    assert (known.bundle, known.cross, known.until) == (known.pair.certificate, b"", None)
    assert len(pem.certificates(files.serving.read_bytes())) == 1
    assert agent_files(str(tmp_path)).ca.read_bytes() == known.bundle
    assert old not in known.bundle


def test_it_goes_at_once_when_that_is_wished(tmp_path: Path) -> None:
    old = rotated(tmp_path)
    authority.finish(server_files(str(tmp_path)))
    prepare(tmp_path, LATER)
    assert not shakes_hands(old, tmp_path)
    assert shakes_hands(server_files(str(tmp_path)).ca.read_bytes(), tmp_path)
    assert authority.begin(server_files(str(tmp_path)), LATER + timedelta(seconds=9), LIFE)


class Broken(Exception):
    pass


@pytest.mark.parametrize("number", range(14))
def test_broken_off_anywhere_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """At each moment there is a working authority, and who believed the server still does."""
    prepare(tmp_path)
    files = server_files(str(tmp_path))
    old = files.ca.read_bytes()
    left = [number]

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def change(*arguments: Any, **named: Any) -> Any:
            if left[0] == 0:
                raise Broken
            left[0] -= 1
            return real(*arguments, **named)

        return change

    with monkeypatch.context() as patched:
        for module in (authority, bootstrap):
            patched.setattr(module, "write_private", counted(layout.write_private))
        try:
            authority.begin(files, LATER, LIFE)
            prepare(tmp_path, LATER)
        except Broken:
            known = authority.load(files)
            made = tls.issue(known.pair, bootstrap.node_leaf("n2"), LATER)
            (tmp_path / "n2.pem").write_bytes(made.key + made.certificate)
            assert shakes_hands(old, tmp_path, client=str(tmp_path / "n2.pem"))
    begun = number > 0  # before the first file was written nothing was
    for _ in range(3):
        prepare(tmp_path, LATER)
    assert len(pem.certificates(files.ca.read_bytes())) == 1 + begun
    assert not files.ca_next.exists()
    assert shakes_hands(old, tmp_path)
    assert authority.begin(files, LATER, LIFE) is not begun


@pytest.mark.parametrize("which", ["old", "new", "file"])
def test_a_token_of_either_lets_a_host_check_the_server(tmp_path: Path, which: str) -> None:
    old = rotated(tmp_path)
    bundle = server_files(str(tmp_path)).ca.read_bytes()
    named = {"old": old, "new": pem.certificates(bundle)[0], "file": bundle}[which]
    token = Token("s", ca=pem.fingerprint(named))
    trusted = believed(bundle, token, "https://x:6443")
    assert trusted == named
    assert shakes_hands(trusted, tmp_path)


def test_nobody_passes_himself_off_with_a_known_authority_beside_his_own(tmp_path: Path) -> None:
    prepare(tmp_path / "ours")
    prepare(tmp_path / "theirs", NOW - timedelta(days=1))
    ours, theirs = (server_files(str(tmp_path / name)).ca.read_bytes() for name in ("ours", "theirs"))
    token = Token("s", ca=pem.fingerprint(ours))
    trusted = believed(theirs + ours, token, "https://x:6443")
    assert not shakes_hands(trusted, tmp_path / "theirs")
    with pytest.raises(JoinRefused, match="is not the server you think it is"):
        believed(theirs, token, "https://x:6443")


def test_a_key_without_its_certificate_is_told(tmp_path: Path) -> None:
    prepare(tmp_path)
    files = server_files(str(tmp_path))
    layout.write_private(files.ca_key, tls.new_ca("x", NOW).key)
    with pytest.raises(ValueError, match="is not the key of"):
        authority.load(files)
    with pytest.raises(ValueError, match="is not the key of"):
        prepare(tmp_path)
