"""Frames of both protocols: what a client sends comes out as it went in, however it is cut; nonsense ends the
session in one way only."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
from fakes.stream_client import SpdyClient as Client
from fakes.stream_client import control, masked
from hypothesis import given
from hypothesis import strategies as st

from mini8s.agent.streams import spdy
from mini8s.agent.streams.channels import Input, InputEnd, Resize, SpdyChannels, WebSocketChannels, Wishes
from mini8s.agent.streams.errors import ProtocolError
from mini8s.agent.streams.forwarding import (
    Bytes,
    ChannelForwarding,
    Connect,
    Finished,
    SpdyForwarding,
    TunnelledForwarding,
)
from mini8s.agent.streams.spdy import Data, Ended, Left, Opened, Spdy
from mini8s.agent.streams.websocket import WebSocket, accept_key


def cut(data: bytes, seed: int) -> Iterable[bytes]:
    chance, at = random.Random(seed), 0
    while at < len(data):
        size = chance.choice((1, 2, 3, 7, 100, 5000))
        yield data[at : at + size]
        at += size


def heard(receive: Callable[[bytes], Iterable[Any]], data: bytes, seed: int = 0) -> list[Any]:
    return [event for piece in cut(data, seed) for event in receive(piece)]


def sent() -> tuple[list[bytes], Callable[[bytes], None]]:
    pieces: list[bytes] = []
    return pieces, pieces.append


def test_the_rfcs_own_handshake() -> None:
    assert accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@given(st.lists(st.binary(max_size=70_000), max_size=4), st.integers(0, 99))
def test_websocket_messages_come_out_as_they_went_in(messages: list[bytes], seed: int) -> None:
    socket = WebSocket(lambda _: None)
    assert heard(socket.receive, b"".join(map(masked, messages)), seed) == messages


def test_a_message_in_several_frames_with_a_ping_between() -> None:
    out, send = sent()
    frames = masked(b"a", 2, final=False) + masked(b"hi", 9) + masked(b"bc", 0)
    assert heard(WebSocket(send).receive, frames) == [b"abc"]
    assert out == [b"\x8a\x02hi"]


def test_a_close_is_answered_once() -> None:
    out, send = sent()
    socket = WebSocket(send)
    assert heard(socket.receive, masked(b"\x03\xe8", 8) + masked(b"late")) == []
    socket.close()
    assert (socket.closed, out) == (True, [b"\x88\x02\x03\xe8"])


@pytest.mark.parametrize("length", [0, 125, 126, 65535, 65536])
def test_our_frames_say_their_length_the_shortest_way(length: int) -> None:
    out, send = sent()
    WebSocket(send).send(bytes(length))
    assert len(out[0]) - length == (2 if length < 126 else 4 if length < 65536 else 10)
    assert out[0][1] == min(length, 126 if length < 65536 else 127)


@pytest.mark.parametrize(
    "frame",
    [b"\x82\x01a", b"\xc2\x81", b"\x83\x80", b"\x82\xff" + (1 << 40).to_bytes(8, "big")],
    ids=["not masked", "reserved bit", "unknown kind", "too long"],
)
def test_websocket_nonsense(frame: bytes) -> None:
    with pytest.raises(ProtocolError):
        list(WebSocket(lambda _: None).receive(frame))


@given(st.lists(st.binary(min_size=1, max_size=3000), max_size=5), st.integers(0, 99))
def test_spdy_streams_come_out_as_they_went_in(pieces: list[bytes], seed: int) -> None:
    client, (out, send) = Client(), sent()
    frames = client.open(1, streamType="stdin", Port="80") + client.open(3, name="ü")
    frames += b"".join(client.data(1, piece) for piece in pieces)
    frames += client.data(3, b"", fin=True) + control(7, bytes(8))
    expected = [Opened(1, {"streamtype": "stdin", "port": "80"}), Opened(3, {"name": "ü"})]
    found = heard(Spdy(send).receive, frames, seed)
    assert found == [*expected, *(Data(1, piece) for piece in pieces), Ended(3), Left()]
    assert [frame[:4] for frame in out] == [b"\x80\x03\x00\x02"] * 2  # both are accepted


def test_spdy_pings_resets_and_what_is_unknown() -> None:
    out, send = sent()
    ping, settings = control(6, b"\0\0\0\1"), control(4, bytes(4))
    events = heard(Spdy(send).receive, ping + settings + control(3, struct.pack(">II", 5, 1)))
    assert events == [Ended(5, reset=True)]
    assert out == [ping]


@pytest.mark.parametrize(
    "frame",
    [
        control(1, bytes(10) + b"nonsense"),
        control(1, b"\0\0"),
        control(3, b""),
        control(6, bytes(4), version=2),
        Client().open(1, a="x" * (spdy.MOST_HEADERS + 1)),
    ],
    ids=["not packed", "short", "no number", "SPDY/2", "a bomb"],
)
def test_spdy_nonsense(frame: bytes) -> None:
    with pytest.raises(ProtocolError):
        list(Spdy(lambda _: None).receive(frame))


WISHES = Wishes(stdin=True, stdout=True, stderr=True, tty=True)
SESSIONS: Sequence[Callable[[], Callable[[bytes], Iterable[Any]]]] = (
    lambda: WebSocketChannels(lambda _: None, WISHES).receive,
    lambda: SpdyChannels(lambda _: None, WISHES).receive,
    lambda: SpdyForwarding(lambda _: None).receive,
    lambda: TunnelledForwarding(lambda _: None).receive,
    lambda: ChannelForwarding(lambda _: None, ["80"]).receive,
)
BLOCK = Client().open(1, streamtype="data", port="80", requestid="0")


@given(
    st.sampled_from(SESSIONS),
    st.lists(
        st.one_of(
            st.binary(max_size=50),
            st.builds(masked, st.binary(max_size=50), st.integers(0, 15)),
            st.builds(control, st.integers(0, 10), st.binary(max_size=30)),
            st.just(BLOCK),
            st.just(masked(BLOCK)),
        ),
        max_size=6,
    ),
)
def test_nothing_but_a_protocol_error_comes_of_nonsense(
    session: Callable[[], Callable[[bytes], Iterable[Any]]], frames: list[bytes]
) -> None:
    receive = session()
    try:
        for frame in frames:
            list(receive(frame))
    except ProtocolError:
        pass


def test_channels_of_a_command_over_websocket() -> None:
    out, send = sent()
    channels = WebSocketChannels(send, WISHES)
    assert out.pop() == b"\x82\x01\x01"
    messages = (b"\0abc", b"\0", b'\4{"Width":80,"Height":24}', b"\xff\0", b"\xff\1")
    assert heard(channels.receive, b"".join(map(masked, messages))) == [
        Input(b"abc"),
        Resize(80, 24),
        InputEnd(),
    ]
    channels.output(2, b"bad")
    channels.finish(b"{}")
    assert out == [b"\x82\x04\2bad", b"\x82\x03\3{}", b"\x88\x02\x03\xe8"]


def test_channels_of_a_command_over_spdy() -> None:
    client, (out, send) = Client(), sent()
    channels = SpdyChannels(send, Wishes(stdin=True, stdout=True))
    for stream, name in ((1, "error"), (3, "stdin")):
        assert heard(channels.receive, client.open(stream, streamtype=name)) == []
    assert not channels.complete
    said = heard(channels.receive, client.open(5, streamtype="stdout") + client.data(3, b"abc", fin=True))
    assert channels.complete
    assert said == [Input(b"abc"), InputEnd()]
    out.clear()
    channels.output(1, b"good")
    channels.output(2, b"nobody listens")
    channels.finish(b"{}")
    assert out[:2] == [b"\0\0\0\5\0\0\0\4good", b"\0\0\0\1\0\0\0\2{}"]
    assert out[2:4] == [b"\0\0\0\5\1\0\0\0", b"\0\0\0\1\1\0\0\0"]
    with pytest.raises(ProtocolError):
        heard(channels.receive, client.open(7, streamtype="stdin"))


def test_a_size_may_come_in_pieces() -> None:
    client = Client()
    channels = SpdyChannels(lambda _: None, Wishes(stdout=True, tty=True))
    frames = client.open(1, streamtype="resize")
    frames += client.data(1, b'{"Width":80,"Hei') + client.data(1, b'ght":24}\n')
    assert heard(channels.receive, frames) == [Resize(80, 24)]


@pytest.mark.parametrize(
    "size", [b"", b"[]", b"null", b'{"Width":1}', b'{"Width":"x","Height":1}', b"[" * 9999]
)
def test_sizes_that_are_none(size: bytes) -> None:
    channels = WebSocketChannels(lambda _: None, WISHES)
    with pytest.raises(ProtocolError):
        heard(channels.receive, masked(b"\4" + size))


@pytest.mark.parametrize("tunnelled", [False, True])
def test_a_connection_is_a_pair_of_streams(tunnelled: bool) -> None:
    client, (out, send) = Client(), sent()
    forwarding = TunnelledForwarding(send) if tunnelled else SpdyForwarding(send)
    frames = [
        client.open(1, fin=True, streamtype="error", port="80", requestid="0"),
        client.open(3, streamtype="data", port="80", requestid="0"),
        client.data(3, b"abc"),
        client.data(3, b"", fin=True),
    ]
    found = heard(forwarding.receive, b"".join(map(masked, frames) if tunnelled else frames))
    assert found == [Connect(3, 80), Bytes(3, b"abc"), Finished(3)]
    out.clear()
    forwarding.end(3, "refused")
    whole = b"".join(piece[2:] if tunnelled else piece for piece in out)
    assert whole == b"\0\0\0\1\0\0\0\7refused\0\0\0\1\1\0\0\0\0\0\0\3\1\0\0\0"


@pytest.mark.parametrize("port", ["", "0", "65536", "x", "-1", "²"])
def test_ports_that_are_none(port: str) -> None:
    with pytest.raises(ProtocolError):
        heard(SpdyForwarding(lambda _: None).receive, Client().open(1, streamtype="data", port=port))


def test_the_python_clients_form() -> None:
    out, send = sent()
    forwarding = ChannelForwarding(send, ["80", "443"])
    assert heard(forwarding.receive, masked(b"\0") + masked(b"\2abc")) == [
        Connect(0, 80),
        Connect(2, 443),
        Bytes(2, b"abc"),
    ]
    assert out[0] == b"\x82\x03\x00\x50\x00"
    out.clear()
    forwarding.send(0, b"x")
    forwarding.end(2, "refused")
    assert out == [b"\x82\x02\0x", b"\x82\x08\3refused"]
    forwarding.end(0)
    assert out[2:] == [b"\x88\x02\x03\xe8"]
