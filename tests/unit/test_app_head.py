"""The heads of requests, as bytes come: what is let in, and what is refused before anybody acts on it."""

from __future__ import annotations

import pytest

from mini8s.app import head
from mini8s.app.head import BadHead


def read(text: str) -> head.Head:
    data = text.encode("latin-1")
    assert head.end(data) == len(data)
    return head.parse(data)


def test_a_request_as_wsgi_names_it() -> None:
    found = read(
        "POST /api/v1/namespaces/a%20b/pods?dryRun=All HTTP/1.1\r\nHost: x\r\n"
        "Content-Type: application/json\r\nContent-Length: 12\r\n"
        "X-Remote-Group: one\r\nAccept:  a/b \r\nx-remote-group: two\r\n\r\n"
    )
    assert found.environ == {
        "REQUEST_METHOD": "POST",
        "RAW_URI": "/api/v1/namespaces/a%20b/pods?dryRun=All",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/api/v1/namespaces/a b/pods",
        "QUERY_STRING": "dryRun=All",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "x",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": "12",
        "HTTP_X_REMOTE_GROUP": "one,two",
        "HTTP_ACCEPT": "a/b",
    }
    assert (found.length, found.chunked, found.keep_alive) == (12, False, True)


def test_where_a_head_ends() -> None:
    assert head.end(b"GET / HTTP/1.1\r\nHost: x\r\n") == 0
    assert head.end(b"GET / HTTP/1.1\r\n\r\nbody\r\n\r\n") == 18
    assert head.end(b"GET / HTTP/1.1\nHost: x\n\nbody\r\n\r\n") == 24


def test_bare_line_feeds_end_lines_too() -> None:
    assert read("GET / HTTP/1.1\nHost: x\n\n").environ["HTTP_HOST"] == "x"


def test_a_name_with_an_underscore_is_not_taken_for_one_with_a_dash() -> None:
    assert "HTTP_IMPERSONATE_USER" not in read("GET / HTTP/1.1\r\nImpersonate_User: root\r\n\r\n").environ


@pytest.mark.parametrize(
    ("version", "said", "keeps"),
    [
        ("HTTP/1.1", "", True),
        ("HTTP/1.1", "Connection: Close\r\n", False),
        ("HTTP/1.1", "Connection: Upgrade\r\n", True),
        ("HTTP/1.0", "", False),
        ("HTTP/1.0", "Connection: keep-alive\r\n", True),
    ],
)
def test_whether_the_connection_stays(version: str, said: str, keeps: bool) -> None:
    assert read(f"GET / {version}\r\n{said}\r\n").keep_alive is keeps


def test_chunks_count_and_a_length_beside_them_does_not() -> None:
    found = read("POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: Chunked\r\n\r\n")
    assert (found.length, found.chunked) == (None, True)
    assert "CONTENT_LENGTH" not in found.environ


@pytest.mark.parametrize(
    "text",
    [
        "GET /",
        "GET / HTTP/2.0",
        "GET  / HTTP/1.1",
        "G(T / HTTP/1.1",
        "\r\nGET / HTTP/1.1",
        "GET / HTTP/1.1\r\nHost",
        "GET / HTTP/1.1\r\nHost : x",
        "GET / HTTP/1.1\r\n: x",
        "GET / HTTP/1.1\r\nHost: x\r\n folded",
        "GET / HTTP/1.1\r\nHost: x\rEvil: y",
        "GET / HTTP/1.1\r\nHost: x\0",
        "POST / HTTP/1.1\r\nContent-Length: -1",
        "POST / HTTP/1.1\r\nContent-Length: 1_0",
        "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2",
        "POST / HTTP/1.1\r\nContent-Length: 1, 1",
        "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "HEAD / HTTP/1.1\r\nContent-Length: 1",
        "GET / HTTP/1.1" + "\r\nX: y" * 101,
    ],
)
def test_what_is_no_request(text: str) -> None:
    with pytest.raises(BadHead):
        head.parse(text.encode() + b"\r\n\r\n")
