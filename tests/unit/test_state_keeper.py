"""The agent's memory: what was seen comes back, little is written, and damage costs only what it hits."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mini8s.agent.state import ledger
from mini8s.agent.state.essence import digest, essence
from mini8s.agent.state.journal import HEADER, Entry, parse
from mini8s.agent.state.keeper import State
from mini8s.client.informer import Informer
from mini8s.objects import meta
from mini8s.objects.kinds import CONFIGMAPS, NODES, PODS, SECRETS, Kind, Obj
from mini8s.util.workers import Stop
from tests.fakes.api import FakeApi
from tests.fakes.vault import FakeVault


class Host:
    """A host whose agent runs, and runs again, against one server."""

    def __init__(self, folder: Path) -> None:
        self.api, self.vault, self.folder = FakeApi(), FakeVault(), folder
        self.again()

    def again(self) -> None:
        """An agent that was killed and starts again."""
        self.state = State(self.folder / "state", self.vault, Stop())
        self.state.load()

    def informer(self, kind: Kind = CONFIGMAPS, **selection: str) -> Informer:
        made = Informer(self.api, kind, Stop(), **selection)
        self.state.adopt(made)
        return made

    def follow(self, kind: Kind = CONFIGMAPS, **selection: str) -> Informer:
        """An informer that has heard the server, and all of it written down."""
        made = self.informer(kind, **selection)
        made.step()
        self.state.flush()
        return made

    @property
    def journal(self) -> Path:
        return self.folder / "state" / "journal"

    def config(self, name: str, v: str = "1", kind: Kind = CONFIGMAPS) -> Obj:
        return self.api.create(kind, {"metadata": {"namespace": "a", "name": name}, "data": {"v": v}})


def values(informer: Informer) -> dict[str, str]:
    return {meta.name(obj): obj["data"]["v"] for obj in informer.cache.list()}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_what_was_seen_is_there_before_the_server_is(host: Host) -> None:
    host.config("x")
    host.config("y")
    informer = host.follow()
    host.api.patch(CONFIGMAPS, "a", "x", {"data": {"v": "2"}})
    host.api.delete(CONFIGMAPS, "a", "y")
    relist(informer)
    host.state.flush()
    host.again()
    host.api.down = True
    later = host.informer()
    assert later.synced.is_set()
    assert not later.heard
    assert values(later) == {"x": "2"}


def relist(informer: Informer) -> None:
    informer._version = ""  # as when the server forgot the revision
    informer.step()


def test_what_was_never_listed_is_not_known(host: Host) -> None:
    host.config("x")
    host.informer()
    host.state.flush()
    host.again()
    assert not host.informer().synced.is_set()


def test_that_there_was_nothing_is_known_too(host: Host) -> None:
    host.follow(CONFIGMAPS, namespace="a", fields="metadata.name=optional")
    host.again()
    assert host.informer(CONFIGMAPS, namespace="a", fields="metadata.name=optional").synced.is_set()
    assert not host.informer(CONFIGMAPS, namespace="a", fields="metadata.name=other").synced.is_set()


def test_the_first_list_corrects_what_was_known(host: Host) -> None:
    for name in ("gone", "changed", "same"):
        host.config(name)
    host.follow()
    host.again()
    host.api.delete(CONFIGMAPS, "a", "gone")
    host.api.patch(CONFIGMAPS, "a", "changed", {"data": {"v": "2"}})
    informer = host.informer()
    told: list[tuple[str, bool]] = []
    informer.subscribe(lambda old, new: told.append((meta.name(new or old or {}), new is None)))
    told.clear()
    calls: list[str] = []
    informer.once_heard(lambda: calls.append("heard"))
    assert calls == []
    informer.step()
    assert told == [("gone", True), ("changed", False)]
    assert calls == ["heard"]
    informer.once_heard(lambda: calls.append("at once"))
    assert calls == ["heard", "at once"]
    host.state.flush()
    host.again()
    assert values(host.informer()) == {"changed": "2", "same": "1"}


def test_what_went_while_no_picture_was_known_does_not_come_back(host: Host) -> None:
    """A Secret that can't be opened leaves its shelf unknown; the list that follows clears it up."""
    host.config("x", kind=SECRETS)
    host.follow(SECRETS)
    host.vault.key = "another"
    host.again()
    informer = host.informer(SECRETS)
    assert not informer.synced.is_set()
    host.api.delete(SECRETS, "a", "x")
    informer.step()
    host.state.flush()
    host.vault.key = "k"
    host.again()
    assert values(host.informer(SECRETS)) == {}


def test_nothing_is_written_when_nothing_changed(host: Host) -> None:
    host.config("x")
    node = {
        "metadata": {"name": "n"},
        "status": {"addresses": [], "conditions": [{"lastHeartbeatTime": "1"}]},
    }
    host.api.create(NODES, node)
    configs, nodes = host.follow(), host.follow(NODES)
    before = host.journal.read_bytes()
    host.api.patch(CONFIGMAPS, "a", "x", {"data": {"v": "1"}})
    host.api.patch_status(NODES, "", "n", {"status": {"conditions": [{"lastHeartbeatTime": "2"}]}})
    relist(configs)
    relist(nodes)
    host.state.flush()
    host.again()
    host.informer()
    host.informer(NODES)
    host.state.flush()
    assert host.journal.read_bytes() == before


def test_a_change_is_appended_until_too_much_is_outdated(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "SLACK_BYTES", 4096)
    host.config("x", "0" * 500)
    informer = host.follow()
    sizes = []
    for number in range(20):
        host.api.patch(CONFIGMAPS, "a", "x", {"data": {"v": str(number) * 500}})
        relist(informer)
        host.state.flush()
        sizes.append(host.journal.stat().st_size)
    assert sizes[1] > sizes[0]
    assert max(sizes) < 8192
    assert sizes != sorted(sizes)
    host.again()
    assert values(host.informer()) == {"x": "19" * 500}


def test_secrets_lie_sealed_and_all_is_roots_alone(host: Host) -> None:
    host.config("x", "tell-nobody", kind=SECRETS)
    host.config("y", "tell-nobody", kind=SECRETS)
    host.follow(SECRETS)
    assert b"tell-nobody" not in host.journal.read_bytes()
    assert stat.S_IMODE(host.journal.stat().st_mode) == 0o600
    assert stat.S_IMODE(host.journal.parent.stat().st_mode) == 0o700
    host.again()
    informer = host.informer(SECRETS)
    assert values(informer) == {"x": "tell-nobody", "y": "tell-nobody"}
    host.state.flush()
    assert host.vault.asked == [2, 2]  # sealed once, opened once: what didn't change isn't sealed again


def test_a_vault_that_is_broken_loses_nothing(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.config("x", kind=SECRETS)
    host.follow(SECRETS)
    host.vault.broken = True
    host.again()
    host.state._ledger._journal.doubtful = True  # it is written anew, for whatever reason
    host.config("open")
    host.follow()
    host.config("y", kind=SECRETS)
    informer = host.informer(SECRETS)
    informer.step()
    assert host.state.flush() > 0
    host.vault.broken = False
    assert host.state.flush() > 0
    host.again()
    assert values(host.informer(SECRETS)) == {"x": "1", "y": "1"}
    assert values(host.informer()) == {"open": "1"}


def test_a_disk_that_refuses_is_said_once_and_tried_again(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    host.folder.joinpath("state").write_text("in the way")
    host.config("x")
    informer = host.informer()
    informer.step()
    pauses = [host.state.flush() for _ in range(3)]
    assert pauses == sorted(set(pauses))
    assert len([line for line in caplog.messages if "can't be written down" in line]) == 1
    host.folder.joinpath("state").unlink()
    host.state.flush()
    host.again()
    assert values(host.informer()) == {"x": "1"}


@pytest.mark.parametrize("hit", [0, 1])
def test_a_damaged_line_costs_what_it_says_and_no_more(
    host: Host, hit: int, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("x", "y"):
        host.config(name)
    host.follow()
    header, *lines = host.journal.read_bytes().splitlines(keepends=True)
    names = [entry.key for line in lines if (entry := parse(line)) and entry.verb == "put"]
    lines[hit] = lines[hit].replace(b'"v":"1"', b'"v":"2"')
    damaged = b"".join([header, *lines])
    host.journal.write_bytes(damaged)
    host.again()
    assert f"{host.journal} has 1 damaged lines" in caplog.text
    assert (host.journal.parent / "journal.damaged").read_bytes() == damaged
    caplog.clear()
    informer = host.informer()
    assert list(values(informer)) == [names[1 - hit].partition("/")[2]]
    informer.step()
    host.state.flush()
    host.again()
    assert values(host.informer()) == {"x": "1", "y": "1"}
    assert caplog.text == ""


def test_a_write_that_a_power_cut_tore_is_no_damage(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    host.config("x")
    host.follow()
    with host.journal.open("ab") as file:
        file.write(Entry("put", "configmaps", "a/y", {"metadata": {}}).line()[:-20])
    host.again()
    informer = host.informer()
    assert values(informer) == {"x": "1"}
    host.config("z")
    informer.step()
    host.state.flush()
    host.again()
    assert values(host.informer()) == {"x": "1", "z": "1"}
    assert caplog.text == ""


def test_a_file_of_another_version_is_set_aside(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    host.config("x")
    informer = host.follow()
    host.journal.write_bytes(host.journal.read_bytes().replace(HEADER, b"mini8s agent state, version 2\n"))
    host.again()
    assert "is of another version" in caplog.text
    informer = host.informer()
    assert not informer.synced.is_set()
    informer.step()
    host.state.flush()
    assert host.journal.read_bytes().startswith(HEADER)


def test_what_no_pod_needs_any_more_is_dropped(host: Host) -> None:
    host.config("x")
    one = {"namespace": "a", "fields": "metadata.name=x"}
    host.state.release(host.follow(CONFIGMAPS, **one))
    host.state.flush()
    host.again()
    assert not host.informer(CONFIGMAPS, **one).synced.is_set()


def test_what_is_needed_again_at_once_is_not_dropped(host: Host) -> None:
    host.config("x")
    one = {"namespace": "a", "fields": "metadata.name=x"}
    before = host.follow(CONFIGMAPS, **one)
    host.informer(CONFIGMAPS, **one).step()
    host.state.release(before)
    host.state.flush()
    host.again()
    assert values(host.informer(CONFIGMAPS, **one)) == {"x": "1"}


def test_what_nobody_asked_for_survives_until_all_had_their_time(host: Host) -> None:
    host.config("x")
    one = {"namespace": "a", "fields": "metadata.name=x"}
    host.follow(PODS)
    host.follow(CONFIGMAPS, **one)
    host.again()
    host.informer(PODS)
    host.state._first = [*host.state._informers.values()]
    host.state._ledger._journal.doubtful = True  # it is written anew, for whatever reason
    host.state.flush()
    host.state._forget_unasked()  # ten minutes later; the server is still away
    host.state.flush()
    host.again()
    assert values(host.informer(CONFIGMAPS, **one)) == {"x": "1"}
    host.again()
    pods = host.informer(PODS)
    host.state._first = [pods]
    pods.step()
    host.state._forget_unasked()
    host.state.flush()
    host.again()
    assert not host.informer(CONFIGMAPS, **one).synced.is_set()


def test_a_drawer_is_as_it_was_left_and_sealed(host: Host) -> None:
    drawer = host.state.drawer("tokens")
    drawer["a"], drawer["b"] = {"status": {"token": "tell-nobody"}}, {"status": {"token": "2"}}
    host.state.flush()
    drawer["b"] = {"status": {"token": "3"}}
    drawer["c"] = {"status": {"token": "4"}}
    del drawer["c"]
    host.state.flush()
    assert b"tell-nobody" not in host.journal.read_bytes()
    host.again()
    assert dict(host.state.drawer("tokens")) == {
        "a": {"status": {"token": "tell-nobody"}},
        "b": {"status": {"token": "3"}},
    }


def test_books_on_fields_and_revisions_are_not_worth_a_write() -> None:
    obj = {"metadata": {"name": "x", "resourceVersion": "1", "managedFields": [1]}, "data": {"v": "1"}}
    kept = essence(CONFIGMAPS, obj)
    assert kept == {"metadata": {"name": "x", "resourceVersion": "1"}, "data": {"v": "1"}}
    assert digest(kept) == digest(kept | {"metadata": {"name": "x", "resourceVersion": "2"}})
    assert digest(kept) != digest(kept | {"data": {"v": "2"}})


text = st.text(max_size=20)


@given(
    shelf=text,
    key=text,
    value=st.dictionaries(text, text),
    place=st.integers(0, 500),
    byte=st.binary(min_size=1, max_size=1),
)
@settings(deadline=None)
def test_a_line_says_what_was_written_or_nothing(
    shelf: str, key: str, value: Obj, place: int, byte: bytes
) -> None:
    entry = Entry("put", shelf, key, value)
    line = entry.line()
    assert line.count(b"\n") == 1
    assert parse(line) == entry
    at = place % (len(line) - 1)
    assert parse(line[:at] + byte + line[at + 1 :]) in (None, entry)
