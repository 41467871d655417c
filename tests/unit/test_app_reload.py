"""What a reload takes over, what waits for a restart, and that a file which is wrong changes nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mini8s.app.news import News
from mini8s.app.reload import FILES, Reload, compare
from mini8s.app.settings import SettingsError, load
from mini8s.config import ServerSettings

BEFORE = ServerSettings()


@pytest.fixture(autouse=True)
def level() -> Iterator[None]:
    before = logging.getLogger().level
    yield
    logging.getLogger().setLevel(before)


def test_each_change_goes_its_way() -> None:
    after = replace(
        BEFORE, log_level="debug", tls_san=("shop",), snapshot_retention=9, node_ip="10.0.0.9", token="x"
    )
    changes = compare(BEFORE, after)
    assert changes.told == {
        "log_level": "debug",
        "tls_san": ("shop",),
        "private_registry": BEFORE.private_registry,
        "audit_policy_file": "",
    }
    assert changes.control == ["snapshot_retention"]
    assert sorted(changes.waiting) == ["node_ip", "token"]
    assert changes.sentence.endswith("; a restart is needed for node-ip, token")
    same = compare(BEFORE, BEFORE)
    assert (set(same.told), same.control, same.waiting) == (FILES, [], [])


def reader(path: Path) -> Callable[[], ServerSettings]:
    return lambda: load(ServerSettings, {"config": str(path)}, {})


def test_what_waits_is_said_at_each_reload_and_what_was_taken_is_not(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("node-ip: 10.0.0.1\n")
    said = reader(path)()
    reload = Reload(reader(path), said, replace(said, node_name="pi"))
    path.write_text("node-ip: 10.0.0.2\nlog-level: debug\nsnapshot-retention: 9\n")
    first = reload()
    assert first is not None
    assert (first.live, first.control, first.waiting) == (["log_level"], ["snapshot_retention"], ["node_ip"])
    running = reload.running
    assert (running.node_name, running.node_ip) == ("pi", "10.0.0.1")
    assert (running.log_level, running.snapshot_retention) == ("debug", 9)
    assert logging.getLogger().level == logging.DEBUG
    second = reload()
    assert second is not None
    assert (second.live, second.control, second.waiting) == ([], [], ["node_ip"])


def test_a_file_that_is_wrong_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("log-level: info\n")
    said = reader(path)()
    reload = Reload(reader(path), said, said)
    path.write_text("log-level: debug\nnode-nam: x\n")
    assert reload() is None
    assert reload.running is said
    assert f"not reloaded, everything stays as it was: {path}:2: unknown key" in caplog.text
    with pytest.raises(SettingsError):
        reader(path)()


def test_news_comes_in_pieces_and_a_listener_that_fails_keeps_nobody_from_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    news, heard = News(), []

    def fails(_said: object) -> None:
        raise OSError("the disk is gone")

    news.subscribe(fails)
    news.subscribe(heard.append)
    news.hear(b'{"a": 1}\n{"b"')
    news.hear(b": 2}\n")
    assert heard == [{"a": 1}, {"b": 2}]
    assert "the disk is gone" in caplog.text
