from __future__ import annotations

import socket
from pathlib import Path

import pytest

from mini8s.app.listen import CannotListen, listen_tcp, listen_unix


def test_a_port_in_use_is_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(CannotListen, match=rf"^cannot listen on 127.0.0.1:{port}: another program does$"):
            listen_tcp("127.0.0.1", port)


def test_an_address_of_another_host() -> None:
    with pytest.raises(CannotListen, match=r"^cannot listen on 192\.0\.2\.1:1: Cannot assign requested"):
        listen_tcp("192.0.2.1", 1)


def test_the_unix_socket_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    with listen_unix(str(path)):
        assert path.stat().st_mode & 0o777 == 0o600
        with pytest.raises(CannotListen, match="another server does"):
            listen_unix(str(path))


def test_a_dead_servers_socket_is_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "api.sock")
    listen_unix(path).close()
    listen_unix(path).close()


def test_what_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    path.write_text("precious")
    with pytest.raises(CannotListen, match="not a socket"):
        listen_unix(str(path))
    assert path.read_text() == "precious"
