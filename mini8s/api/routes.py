"""Flask's map of everything that is served. Views give an `Answer`; `api.app` calls them and sends it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from flask import Flask, request

from mini8s.api import applying, discovery, health
from mini8s.api.answer import Answer, connection_of, json_answer
from mini8s.api.attributes import TUNNEL_PATH
from mini8s.api.join import CA_PATH, PATH, Joining
from mini8s.api.metrics import CONTENT_TYPE, Metrics
from mini8s.api.openapi import Documents
from mini8s.api.resources import Resources
from mini8s.api.service_accounts import CONFIGURATION_PATH, KEYS_PATH, ServiceAccounts
from mini8s.api.target import Target
from mini8s.api.tunnel import PROTOCOL, Tunnels
from mini8s.api.upkeep import AUTHORITY_PATH, FINISH_PATH, ROTATE_PATH, Upkeep
from mini8s.config import KUBERNETES_VERSION
from mini8s.objects.errors import BadRequest, Forbidden, NotFound
from mini8s.objects.kinds import KINDS, Kind
from mini8s.registry.base import MASTERS, User

USER_KEY = "mini8s.user"
NOT_FOUND = "the server could not find the requested resource"
_RESOURCE_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

View = Callable[..., Answer]


@dataclass(frozen=True, slots=True)
class Rooms:
    """What the views hand requests to."""

    resources: Resources
    applying: applying.Applying
    tunnels: Tunnels
    metrics: Metrics
    documents: Documents
    joining: Joining | None
    live: Mapping[str, health.Check]
    ready: Mapping[str, health.Check]
    server_address: str
    accounts: ServiceAccounts | None
    upkeep: Upkeep | None = None


def build(rooms: Rooms) -> Flask:
    flask = Flask("mini8s.api", static_folder=None)
    flask.url_map.strict_slashes = False
    flask.url_map.merge_slashes = False

    def add(rule: str, view: View, *methods: str) -> None:
        endpoint = cast("Any", view)  # Flask's types know its own answers only; `Api` takes ours from it
        flask.add_url_rule(
            rule, rule, endpoint, methods=list(methods or ("GET",)), provide_automatic_options=False
        )

    _add_resources(add, rooms.resources)
    add(applying.PATH, lambda: rooms.applying.answer(request.environ, _user()), "POST")
    _add_documents(add, rooms)
    _add_health(add, rooms)
    _add_nodes(add, rooms)
    return flask


def _user() -> User:
    user: User = request.environ[USER_KEY]
    return user


def _add_resources(add: Callable[..., None], resources: Resources) -> None:
    for kind in KINDS:
        view = _resource_view(kind, resources)
        for rule in rules(kind):
            add(rule, view, *_RESOURCE_METHODS)


def rules(kind: Kind) -> list[str]:
    """Every URL of a kind, as Werkzeug writes rules."""
    found = [kind.path()]
    if kind.namespaced:
        found.append(kind.path("<namespace>"))
    found.append(kind.path("<namespace>", "<name>"))
    found += [kind.path("<namespace>", "<name>", subresource) for subresource in kind.subresources]
    return found


def _resource_view(kind: Kind, resources: Resources) -> View:
    def view(namespace: str = "", name: str = "") -> Answer:
        path: str = request.url_rule.rule if request.url_rule is not None else ""
        last = path.rpartition("/")[2]
        subresource = last if name and last in kind.subresources else ""
        return resources.answer(request.environ, _user(), Target(kind, namespace, name, subresource))

    return view


def _add_documents(add: Callable[..., None], rooms: Rooms) -> None:
    add("/", lambda: json_answer({"paths": sorted(_paths(rooms))}))
    add("/api", lambda: _roots(named_groups=False, plain=lambda: discovery.core(rooms.server_address)))
    add("/apis", lambda: _roots(named_groups=True, plain=discovery.group_list))
    add("/api/<version>", lambda version: _found(discovery.resource_list("", version)))
    add("/apis/<group>", lambda group: _found(discovery.group(group)))
    add("/apis/<group>/<version>", lambda group, version: _found(discovery.resource_list(group, version)))
    add(discovery.CUSTOM_PATH, lambda: json_answer(discovery.no_custom_resources()))
    add("/version", lambda: json_answer(version()))
    if accounts := rooms.accounts:
        add(CONFIGURATION_PATH, lambda: accounts.configuration(rooms.server_address))
        add(KEYS_PATH, accounts.keys)
    add("/openapi/v2", lambda: rooms.documents.v2(request.environ))
    add("/openapi/v3", rooms.documents.index)
    add("/openapi/v3/<path:path>", lambda path: rooms.documents.v3(path, request.environ))
    add("/metrics", lambda: Answer(rooms.metrics.text().encode(), 200, CONTENT_TYPE))


def _paths(rooms: Rooms) -> Iterator[str]:
    """What `kubectl get --raw /` shows: where there is something to read."""
    yield from ("/api", "/api/v1", "/apis", "/version", "/openapi/v2", "/openapi/v3", "/metrics")
    for name, versions in discovery.groups():
        yield from (f"/apis/{name}", *(f"/apis/{name}/{version}" for version in versions))
    yield from (f"/openapi/v3/{path}" for path in rooms.documents.paths())
    for endpoint, checks in (("livez", rooms.live), ("readyz", rooms.ready), ("healthz", rooms.ready)):
        yield from (f"/{endpoint}", *(f"/{endpoint}/{name}" for name in checks))
    if rooms.accounts:
        yield from (CONFIGURATION_PATH, KEYS_PATH)


def _roots(*, named_groups: bool, plain: Callable[[], Any]) -> Answer:
    wanted = discovery.aggregated_version(request.headers.get("Accept", ""))
    if not wanted:
        return json_answer(plain())
    answer = discovery.aggregated(wanted, named_groups=named_groups)
    etag = dict(answer.headers)["ETag"]
    if request.headers.get("If-None-Match") == etag:
        return Answer(b"", 304, answer.content_type, list(answer.headers))
    return Answer(answer.body, 200, answer.content_type, list(answer.headers))


def _found(document: Any) -> Answer:
    if document is None:
        raise NotFound(NOT_FOUND)
    return json_answer(document)


def version() -> dict[str, str]:
    major, minor = KUBERNETES_VERSION.removeprefix("v").split(".")[:2]
    return {
        "major": major,
        "minor": minor,
        "gitVersion": KUBERNETES_VERSION,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": f"python{sys.version_info.major}.{sys.version_info.minor}",
        "compiler": sys.implementation.name,
        "platform": "linux",
    }


def _add_health(add: Callable[..., None], rooms: Rooms) -> None:
    for endpoint, checks in (("livez", rooms.live), ("readyz", rooms.ready), ("healthz", rooms.ready)):
        add(f"/{endpoint}", _health_view(endpoint, checks))
        add(f"/{endpoint}/<name>", lambda name, checks=checks: health.single(checks, name))


def _health_view(endpoint: str, checks: Mapping[str, health.Check]) -> View:
    def view() -> Answer:
        verbose = "verbose" in request.args
        excluded = tuple(request.args.getlist("exclude"))
        return health.report(endpoint, checks, verbose=verbose, excluded=excluded)

    return view


def _add_nodes(add: Callable[..., None], rooms: Rooms) -> None:
    add(TUNNEL_PATH, lambda: rooms.tunnels.control(_node(), connection_of(request.environ)))
    add(f"{TUNNEL_PATH}/<key>", lambda key: _accept(rooms.tunnels, key), "POST")
    if rooms.upkeep is not None:
        upkeep = rooms.upkeep
        add(ROTATE_PATH, upkeep.rotated, "POST")
        add(AUTHORITY_PATH, upkeep.authority_begun, "POST")
        add(FINISH_PATH, lambda: upkeep.authority_finished(force=request.args.get("force") == "true"), "POST")
    joining = rooms.joining
    if joining is not None:
        add(CA_PATH, joining.ca)
        add(PATH, lambda: joining.certificate(request.environ), "POST")


def _accept(tunnels: Tunnels, key: str) -> Answer:
    if request.headers.get("Upgrade", "").lower() != PROTOCOL:
        raise BadRequest(f"this path wants Upgrade: {PROTOCOL}")
    return tunnels.accept(key, _user().node)


def _node() -> str:
    """The node that asks; it may only speak for itself."""
    wanted, own = request.args.get("node", ""), _user().node
    if not own and MASTERS in _user().groups:
        return wanted
    if not own or wanted not in {"", own}:
        raise Forbidden(f'User "{_user().name}" cannot speak for node "{wanted}"')
    return own
