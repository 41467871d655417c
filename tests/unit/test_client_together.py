"""Many writes in one request, where the server's door for them is shut or answers nonsense."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import partial

from mini8s.client.base import Api
from mini8s.client.rest import Answer, Endpoint, Noted, Rest
from mini8s.objects import errors, meta
from mini8s.objects.kinds import CONFIGMAPS, Obj
from mini8s.wire import codec, together


class Server(Noted):
    """Makes what it is asked for; takes so many requests with several, then has no such door any more."""

    def __init__(self, doors: int) -> None:
        super().__init__(Endpoint("http://server"))
        self.doors = doors
        self.made: Counter[str] = Counter()

    def send(self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        if target != together.PATH:
            return Answer(201, {}, self._create(body or b""))
        self.doors -= 1
        if self.doors < 0:
            return Answer(404, {}, b"")
        asks = together.decode_asks(body or b"")
        answers = [together.said(201, self._create(bytes(one.body)), {}) for one in asks]
        return Answer(200, {}, together.encode(answers))

    def _create(self, body: bytes) -> bytes:
        self.made[meta.name(codec.decode_json(body))] += 1
        return body


def create(name: str, api: Api) -> Obj:
    return api.create(CONFIGMAPS, {"metadata": {"namespace": "default", "name": name}})


def test_what_was_made_before_the_door_shut_is_not_made_twice() -> None:
    server = Server(1)
    names = [f"c{number}" for number in range(together.MOST + 2)]
    outcomes = Rest(server.endpoint, user_agent="", transport=server).together(
        [partial(create, name) for name in names]
    )
    assert [meta.name(one) for one in outcomes if not isinstance(one, errors.ApiError)] == names
    assert server.made == Counter(names)


def test_an_answer_that_is_none_is_every_writes_error() -> None:
    class Broken(Server):
        def send(self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
            return Answer(200, {}, b"<html>")

    broken = Broken(1)
    api = Rest(broken.endpoint, user_agent="", transport=broken)
    outcomes = api.together([partial(create, name) for name in ("a", "b")])
    assert [type(one) for one in outcomes] == [errors.BadRequest] * 2
