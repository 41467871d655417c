"""The client on real sockets: pages, broken connections, cut watches, idle watches, silent peers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mini8s.client import transport
from mini8s.client.rest import Endpoint, Rest, lines
from mini8s.objects import errors, meta
from mini8s.objects.kinds import CONFIGMAPS, Obj
from tests.fakes.api import FakeApi
from tests.fakes.server import Script, serving
from tests.integration.api_process import running


class Server:
    def __init__(self, api: FakeApi, script: Script, rest: Rest) -> None:
        self.api, self.script, self.rest = api, script, rest


@pytest.fixture
def server() -> Iterator[Server]:
    api, script = FakeApi(), Script()
    with serving(api, script) as url:
        rest = Rest(Endpoint(url=url, token="secret"), user_agent="mini8s-test")
        yield Server(api, script, rest)
        rest.close()
        api.cut_watches()


def config(name: str) -> Obj:
    return {"metadata": {"namespace": "a", "name": name}}


def names(rest: Rest) -> list[str]:
    return [meta.name(obj) for obj in rest.list(CONFIGMAPS, "a").items]


def test_lists_in_pages(server: Server) -> None:
    for number in range(5):
        server.api.create(CONFIGMAPS, config(f"c{number}"))
    server.script.page = 2
    assert names(server.rest) == ["c0", "c1", "c2", "c3", "c4"]
    assert [seen.query.get("continue") for seen in server.script.seen] == [None, "2", "4"]


def test_a_forgotten_page_means_all_at_once(server: Server) -> None:
    for number in range(5):
        server.api.create(CONFIGMAPS, config(f"c{number}"))
    server.script.page, server.script.forget_pages = 2, 1
    assert names(server.rest) == ["c0", "c1", "c2", "c3", "c4"]
    assert "limit" not in server.script.seen[-1].query


def test_says_who_asks(server: Server) -> None:
    server.rest.list(CONFIGMAPS, "a", labels="a=b,c in (d)")
    headers = server.script.seen[0].headers
    assert (headers["User-Agent"], headers["Authorization"]) == ("mini8s-test", "Bearer secret")
    assert server.script.seen[0].query["labelSelector"] == "a=b,c in (d)"


def test_a_connection_that_the_server_closed_meanwhile_is_no_error(server: Server) -> None:
    server.script.drop_idle = True
    server.api.create(CONFIGMAPS, config("c"))
    assert [names(server.rest) for _ in range(3)] == [["c"]] * 3


def test_an_answer_that_is_no_status_is_still_told(server: Server) -> None:
    server.script.raw = b"<html>bad gateway</html>"
    with pytest.raises(errors.InternalError, match="bad gateway"):
        server.rest.get(CONFIGMAPS, "a", "c")


def test_warnings_reach_who_wants_them(server: Server) -> None:
    server.script.warning = '299 - "unknown field \\"spec.x\\"", 299 - "second, with a comma"'
    told: list[str] = []
    rest = Rest(server.rest.endpoint, user_agent="t", on_warning=told.append)
    rest.list(CONFIGMAPS)
    rest.close()
    assert told == ['unknown field "spec.x"', "second, with a comma"]


def test_a_watch_cut_in_the_middle_of_an_event_is_lost_not_wrong(server: Server) -> None:
    server.script.cut_mid_event = True
    server.api.create(CONFIGMAPS, config("c"))
    with pytest.raises(errors.ServiceUnavailable):
        list(server.rest.watch(CONFIGMAPS, resource_version="1"))


def test_a_watch_from_a_forgotten_revision_is_expired(server: Server) -> None:
    server.api.create(CONFIGMAPS, config("c"))
    server.api.compact()
    with pytest.raises(errors.Expired):
        list(server.rest.watch(CONFIGMAPS, resource_version="1"))


def test_a_watch_is_closed_from_another_thread(server: Server) -> None:
    watch = server.rest.watch(CONFIGMAPS, resource_version="1")
    got: list[list[object]] = []
    reader = threading.Thread(target=lambda: got.append(list(watch)))
    reader.start()
    watch.close()
    reader.join(60)
    assert got == [[]]


def test_a_silent_server_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "READ_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        rest = Rest(Endpoint(url=f"http://127.0.0.1:{silent.getsockname()[1]}"), user_agent="t")
        with pytest.raises(errors.ServiceUnavailable, match="timed out"):
            rest.get(CONFIGMAPS, "a", "c")
        rest.close()


def test_an_absent_server_is_unavailable(tmp_path: object) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    for endpoint in (Endpoint(url=f"https://127.0.0.1:{port}"), Endpoint(unix_socket=f"{tmp_path}/no.sock")):
        rest = Rest(endpoint, user_agent="t")
        why = "Connection refused" if endpoint.url else "No such file or directory"
        with pytest.raises(errors.ServiceUnavailable) as told:
            rest.list(CONFIGMAPS)
        assert str(told.value) == f"cannot reach the server at {endpoint}: {why}"
        with pytest.raises(errors.ServiceUnavailable):
            rest.watch(CONFIGMAPS)
        rest.close()


def test_a_url_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="no URL of a server"):
        Rest(Endpoint(url="server:6443"), user_agent="t")


def test_watch_sockets_notice_a_dead_peer(server: Server) -> None:
    options = {option[1]: option[2] for option in transport._SOCKET_OPTIONS}
    assert options[socket.TCP_USER_TIMEOUT] == 15_000
    server.rest.list(CONFIGMAPS)
    connection = server.rest._transport._pool._get_conn()
    assert connection.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 15_000
    assert connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    connection.close()


def test_lines_do_not_depend_on_chunks() -> None:
    whole = b'{"a":1}\n\n{"b":2}\n{"unfinished'
    for size in range(1, len(whole) + 1):
        chunks = [whole[at : at + size] for at in range(0, len(whole), size)]
        assert list(lines(chunks)) == [b'{"a":1}', b'{"b":2}']


def test_a_server_that_is_not_ours_is_not_trusted(tmp_path: Path) -> None:
    with running(tmp_path) as process:
        rest = Rest(Endpoint(url=process.url), user_agent="t")
        with pytest.raises(errors.ServiceUnavailable, match="its certificate is not trusted"):
            rest.list(CONFIGMAPS)
        rest.close()
        ca = str(tmp_path / "ca.crt")
        nobody = Rest(Endpoint(url=process.url, ca_file=ca), user_agent="t")
        with pytest.raises(errors.Unauthorized):
            nobody.list(CONFIGMAPS)
        nobody.close()
        jane = Rest(Endpoint(url=process.url, ca_file=ca, token="janes-token"), user_agent="t")
        with pytest.raises(errors.Forbidden):
            jane.list(CONFIGMAPS)
        jane.close()


def test_a_watch_over_tls_is_closed_from_another_thread(tmp_path: Path) -> None:
    with running(tmp_path) as process:
        files = [str(tmp_path / name) for name in ("ca.crt", "admin.crt", "admin.key")]
        endpoint = Endpoint(url=process.url, ca_file=files[0], cert_file=files[1], key_file=files[2])
        rest = Rest(endpoint, user_agent="t")
        watch = rest.watch(CONFIGMAPS, resource_version=rest.list(CONFIGMAPS).resource_version)
        got: list[object] = []
        reader = threading.Thread(target=lambda: got.extend(watch))
        reader.start()
        reader.join(0.3)  # time to be deep in its read
        watch.close()
        reader.join(60)
        assert not reader.is_alive()
        assert got == []
        rest.close()


def test_more_requests_at_once_than_connections_are_kept(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.api.create(CONFIGMAPS, config("c"))
    together = threading.Barrier(2 * transport.POOL_SIZE)

    def ask() -> None:
        together.wait(60)
        names(server.rest)

    threads = [threading.Thread(target=ask) for _ in range(2 * transport.POOL_SIZE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert caplog.text == ""
