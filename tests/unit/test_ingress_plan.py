"""From Ingresses to the proxy's configuration: whose rules count, what is told, what a running proxy
hears."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini8s.agent.ingress import haproxy, model, ports
from mini8s.agent.ingress.haproxy import FREE, Host
from mini8s.agent.ingress.model import Certificate, Picture
from mini8s.agent.ingress.plan import Plan, plan, slots
from mini8s.agent.ingress.secrets import read
from mini8s.objects import ingresses
from mini8s.objects.kinds import Obj
from tests.fakes.ingresses import CLASS, ingress, path, secret
from tests.fakes.network_objects import endpoint, node, pod_with_ports, port, service, slice_of

GOLDEN = Path(__file__).parents[1] / "cases" / "ingress" / "shop.cfg"
OLD, NEW = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"


def served(*found: Obj, **facts: object) -> Plan:
    """What is planned where `web` has two endpoints, one of them on its way out, and `api` none."""
    web = service(
        "web", "10.43.0.1", port(80, name="http"), port(81, name="h2") | {"appProtocol": "kubernetes.io/h2c"}
    )
    api = service("api", "10.43.0.2", port(80), sessionAffinity="ClientIP")
    outside = service("outside", "", port(80), type="ExternalName", externalName="example.com")
    ends = [
        endpoint("10.42.0.7"),
        endpoint("10.42.0.8", state="ending"),
        endpoint("10.42.0.9", state="waiting"),
    ]
    services = {f"default/{one['metadata']['name']}": one for one in (web, api, outside)}
    slices = {"default/web": [slice_of(web, ends, port(8080, name="http"), port(8081, name="h2"))]}
    known: dict[str, object] = {"classes": [CLASS], "services": services, "slices": slices}
    return plan(Picture(found, **{**known, **facts}))  # type: ignore[arg-type]


def lookup(found: Plan, host: str, asked: str) -> str:
    """What the proxy's maps say: see haproxy._frontend."""
    name, _, rest = host.lower().partition(".")
    site = next((one for one in (f"{name}.{rest}" if rest else name, f"*.{rest}") if one in found.hosts), "")
    if f"{site}{asked}" in found.exact:
        return found.exact[f"{site}{asked}"]
    key = f"{site}{asked}/"
    return max(((one, to) for one, to in found.prefixes.items() if key.startswith(one)), default=("", ""),
               key=lambda one: len(one[0]))[1]  # fmt: skip


def told(found: Plan) -> list[tuple[str, str, str]]:
    return [(problem.key, problem.reason, problem.message) for problem in found.problems]


def test_the_whole_configuration() -> None:
    found = served(
        ingress(
            "shop",
            ("shop.example", path("/", "web"), path("/api", "api"), path("/exact", "web", "h2", "Exact")),
            ("*.example", path("/", "none")),
            tls=[("cert", "shop.example")],
        ),
        certificates={("default", "cert"): Certificate(b"PEM")},
    )
    room = {name: slots(len(pool.addresses), 0) for name, pool in found.pools.items()}
    made = haproxy.configuration(
        found,
        Host(("", "::"), user="haproxy", threads=2),
        "/proxy",
        room,
        {("default", "cert"): b"PEM"},
        b"DEFAULT",
    )
    text = "".join(
        f"== {name}\n{data.decode().replace(made.version, 'VERSION')}\n"
        for name, data in sorted(made.files.items())
    )
    assert text == GOLDEN.read_text()


SEGMENT = st.sampled_from(["a", "b", "ab"])
PATHS = st.builds(
    lambda parts, end: "/" + "/".join(parts) + end, st.lists(SEGMENT, max_size=3), st.sampled_from(["", "/"])
)
HOSTS = st.sampled_from(["", "a.x", "b.x", "*.x", "*.a.x"])
RULES = st.lists(st.tuples(HOSTS, PATHS.map(lambda p: p.replace("//", "/")), st.booleans()), max_size=6)


@given(RULES, st.sampled_from(["a.x", "b.x", "c.x", "q.a.x", "x", "r.q.a.x"]), PATHS)
def test_precedence_is_that_of_the_api(rules: list[tuple[str, str, bool]], host: str, asked: str) -> None:
    """Against the words of the documentation, with one Service for each rule."""
    asked = asked.replace("//", "/")
    objects = [
        ingress(
            f"i{i}",
            (name, path(where, f"s{i}", kind="Exact" if exact else "Prefix")),
            born=f"2026-01-0{i + 1}",
        )
        for i, (name, where, exact) in enumerate(rules)
    ]
    services = {f"default/s{i}": service(f"s{i}", "10.43.0.1", port(80)) for i in range(len(rules))}
    found = plan(Picture(objects, [CLASS], services))
    assert lookup(found, host, asked) == plainly(rules, host, asked)


def plainly(rules: list[tuple[str, str, bool]], host: str, asked: str) -> str:
    """A host is preferred to a wildcard, that to none; then Exact, then the longest path; then the oldest."""
    wildcard = "*." + host.partition(".")[2]
    for name in (host, wildcard, ""):
        of_host = [(i, where, exact) for i, (one, where, exact) in enumerate(rules) if one == name]
        if of_host:
            break
    else:
        return ""
    elements = [part for part in asked.split("/") if part]
    matching = []
    for i, where, exact in of_host:
        wanted = [part for part in where.split("/") if part]
        if (exact and asked == where) or (not exact and elements[: len(wanted)] == wanted):
            matching.append((not exact, -len(wanted), i))
    return f"default_s{min(matching)[2]}_80" if matching else ""


@pytest.mark.parametrize(
    ("kind", "where", "asked", "matches"),
    [
        ("Prefix", "/", "/any/thing", True),
        ("Exact", "/foo", "/foo", True),
        ("Exact", "/foo", "/bar", False),
        ("Exact", "/foo", "/foo/", False),
        ("Exact", "/foo/", "/foo", False),
        ("Prefix", "/foo", "/foo", True),
        ("Prefix", "/foo", "/foo/", True),
        ("Prefix", "/foo/", "/foo", True),
        ("Prefix", "/foo/", "/foo/", True),
        ("Prefix", "/aaa/bb", "/aaa/bbb", False),
        ("Prefix", "/aaa/bbb", "/aaa/bbb", True),
        ("Prefix", "/aaa/bbb/", "/aaa/bbb", True),
        ("Prefix", "/aaa/bbb", "/aaa/bbb/", True),
        ("Prefix", "/aaa/bbb", "/aaa/bbb/ccc", True),
        ("Prefix", "/aaa/bbb", "/aaa/bbbxyz", False),
        ("ImplementationSpecific", "/foo", "/foo/bar", True),
        ("ImplementationSpecific", "", "/foo", True),
    ],
)
def test_the_documentations_own_table(kind: str, where: str, asked: str, matches: bool) -> None:
    found = served(ingress("one", ("foo.example", path(where, "web", kind=kind))))
    assert bool(lookup(found, "foo.example", asked)) == matches


def test_default_backends_take_what_is_left() -> None:
    backend = path("/", "api")["backend"]
    found = served(
        ingress("all", defaultBackend=backend, born=NEW),
        ingress("some", ("a.example", path("/x", "web")), defaultBackend=backend),
    )
    assert lookup(found, "a.example", "/x") == "default_web_80"
    assert lookup(found, "a.example", "/y") == lookup(found, "b.example", "/x") == "default_api_80"
    assert told(found) == []


def test_the_oldest_has_what_two_want() -> None:
    found = served(
        ingress("young", ("a.example", path("/x", "web"), path("/y", "web")), born=NEW),
        ingress("old", ("a.example", path("/x/", "api"))),
    )
    assert [lookup(found, "a.example", one) for one in ("/x", "/y")] == ["default_api_80", "default_web_80"]
    assert told(found) == [
        ("default/young", "PathTaken", "a.example/x/ is already routed by Ingress default/old")
    ]


@pytest.mark.parametrize(
    ("backend", "reason", "message"),
    [
        (path("/", "none"), "ServiceNotFound", 'Service "none" not found'),
        (path("/", "web", 82), "PortNotFound", 'Service "web" has no port 82'),
        (path("/", "web", "https"), "PortNotFound", 'Service "web" has no port https'),
        (path("/", "outside"), "UnsupportedBackend",
         'Service "outside" is an ExternalName: there are no endpoints to send to'),
        ({"path": "/", "pathType": "Prefix", "backend": {"resource": {"kind": "Bucket", "name": "b"}}},
         "UnsupportedBackend", "a backend is not a Service"),
    ],
)  # fmt: skip
def test_a_backend_that_can_not_be_had(backend: Obj, reason: str, message: str) -> None:
    found = served(ingress("one", ("a.example", backend, path("/good", "web"))))
    assert told(found) == [("default/one", reason, message)]
    assert [lookup(found, "a.example", one) for one in ("/", "/good")] == ["nobody", "default_web_80"]


@pytest.mark.parametrize("text", ["/a b", "/a\n", "/a\x7f", "/\xe4", "/\ud800"])
def test_what_no_request_can_ask_for_is_no_path(text: str) -> None:
    found = served(ingress("one", ("a.example", path(text, "web"))))
    assert [(reason, found.prefixes) for _, reason, _ in told(found)] == [("InvalidPath", {})]


def test_endpoints_that_serve() -> None:
    found = served(ingress("one", ("", path("/", "web"), path("/h2", "web", "h2"), path("/api", "api"))))
    assert found.pools["default_web_80"].addresses == (("10.42.0.7", 8080),)
    assert (found.pools["default_web_81"].protocol, found.pools["default_api_80"].sticky) == ("h2c", True)
    web = service("web", "10.43.0.1", port(80, name="http"))
    ending = [slice_of(web, [endpoint("10.42.0.8", state="ending")], port(8080, name="http"))]
    found = served(ingress("one", ("", path("/", "web"))), slices={"default/web": ending})
    assert found.pools["default_web_80"].addresses == (("10.42.0.8", 8080),), (
        "better one that goes than nobody"
    )


def test_whose_an_ingress_is() -> None:
    other = CLASS | {"metadata": {"name": "other"}, "spec": {"controller": "example.com/other"}}
    second = CLASS | {"metadata": {"name": "second"}}
    found = [
        ingress("ours", defaultBackend={}),
        ingress("second", ingressClassName="second"),
        ingress("theirs", ingressClassName="other"),
        ingress("none", ingressClassName="none"),
        ingress("unsaid", ingressClassName=None),
    ]
    old = ingress("old", ingressClassName=None)
    old["metadata"]["annotations"] = {"kubernetes.io/ingress.class": "other"}
    picture = Picture([*found, old], [CLASS, other, second])
    assert [one["metadata"]["name"] for one in model.ours(picture)] == ["ours", "second", "unsaid"]
    assert model.ours(Picture(found, [other])) == []


def test_which_nodes_serve() -> None:
    nodes = [node(name, "10.99.0.1", "") for name in ("a", "b", "c")]
    assert ingresses.chosen(nodes) == {"a", "b", "c"}
    nodes[0]["metadata"]["labels"] = {"mini8s.io/ingress": "false"}
    assert ingresses.chosen(nodes) == {"b", "c"}
    nodes[1]["metadata"]["labels"] = {"mini8s.io/ingress": "true"}
    assert ingresses.chosen(nodes) == {"b"}
    nodes[1]["metadata"]["annotations"] = {ingresses.SERVED: "80,²,x"}
    assert ingresses.served_ports(nodes[1]) == [80]


def balancer(address: str, number: int, *, born: str, **spec: object) -> Obj:
    made = service("lb", "10.43.0.1", port(number), type="LoadBalancer", **spec)
    made["metadata"]["creationTimestamp"] = born
    made["status"] = {"loadBalancer": {"ingress": [{"ip": address}]}}
    return made


@pytest.mark.parametrize(
    ("lb", "pod", "said"),
    [
        (balancer("10.99.0.11", 80, born="2025"), None, ["port 80/TCP is taken by Service default/lb"]),
        (balancer("10.99.0.11", 80, born="2027"), None, []),
        (balancer("10.99.0.12", 80, born="2025"), None, []),
        (balancer("10.99.0.11", 81, born="2025"), None, []),
        (
            balancer("10.99.0.12", 443, born="2027", externalIPs=["10.99.0.11"]),
            None,
            ["port 443/TCP is taken by Service default/lb"],
        ),
        (None, {"hostPort": 80}, ["port 80/TCP is taken by Pod default/p"]),
        (None, {"hostPort": 443, "hostIP": "10.99.0.11"}, ["port 443/TCP is taken by Pod default/p"]),
        (None, {"hostPort": 443, "hostIP": "10.99.0.99"}, []),
        (None, {"hostPort": 443, "hostIP": "::"}, ["port 443/TCP is taken by Pod default/p"]),
        (None, {"hostPort": 80, "protocol": "UDP"}, []),
        (None, {"containerPort": 80}, []),
    ],
)
def test_who_has_the_ports_of_a_host(lb: Obj | None, pod: Obj | None, said: list[str]) -> None:
    here = node("h1", "10.99.0.11,fd99::b", "10.42.1.0/24")
    services = [balancer("", 9, born="2025"), *([lb] if lb else [])]
    pods = [pod_with_ports("p", "10.42.1.2", pod)] if pod else []
    assert ports.taken([ingress("shop", born="2026")], (80, 443), here, services, pods) == said
    for one in pods:
        one["status"]["phase"] = "Failed"
    assert ports.taken([ingress("shop", born="2026")], (80, 443), here, services, pods) == (
        said if lb else []
    )


def test_certificates_by_age_and_host() -> None:
    found = served(
        ingress(
            "old",
            ("", path("/", "web")),
            tls=[("one", "a.example", "b.example"), ("gone", "g.example")],
        ),
        ingress(
            "new",
            ("", path("/n", "web")),
            tls=[("two", "A.example", "c.example"), ("own",), ("bad", "d.example")],
            born=NEW,
        ),
        ingress("late", ("", path("/l", "web")), tls=[("thief", "a.example")], born=NEW),
        certificates={
            ("default", name): Certificate(b"PEM", "it is broken" if name == "bad" else "")
            for name in ("one", "two", "own", "bad")
        },
    )  # fmt: skip
    assert found.certificates == {
        ("default", "one"): ("a.example", "b.example"),
        ("default", "two"): ("c.example",),
        ("default", "own"): (),
    }
    assert told(found) == [
        ("default/old", "SecretNotFound", 'Secret "gone" not found: the default certificate is used'),
        ("default/new", "InvalidCertificate", 'Secret "bad": it is broken: the default certificate is used'),
    ]


def test_what_is_in_a_secret() -> None:
    good = secret("one", "a.example")
    assert read(good).trouble == ""
    assert read({"data": {"tls.crt": ""}}).trouble == "it has no tls.key"
    assert read({"data": {"tls.crt": "!", "tls.key": ""}}).trouble == "it is not base64"
    mixed = good["data"] | {"tls.key": secret("two", "b.example")["data"]["tls.key"]}
    assert read({"data": mixed}).trouble == "no certificate with its key is in it (KEY_VALUES_MISMATCH)"
    nothing = {name: base64.b64encode(b"nothing").decode() for name in ("tls.crt", "tls.key")}
    assert read({"data": nothing}).trouble.startswith("no certificate with its key is in it (")


ADDRESSES = st.lists(
    st.tuples(st.sampled_from(["10.42.0.1", "10.42.0.2", "fd42::3"]), st.integers(80, 82)), unique=True
)


@given(ADDRESSES, ADDRESSES)
def test_a_running_proxy_is_brought_to_what_is_wanted(
    before: list[tuple[str, int]], after: list[tuple[str, int]]
) -> None:
    now = haproxy._slots(before, 16)
    wanted = haproxy._slots(after, 16)
    said = list(haproxy.commands({"web": now}, {"web": wanted}))
    result = dict(now)
    for command in said:
        words = command.split()
        if words[3] == "addr":
            result[words[2].removeprefix("web/")] = (words[4], int(words[6]))
    assert sorted(one for one in result.values() if one != FREE) == sorted(after)
    stays = [slot for slot, address in now.items() if address in after]
    assert not any(f"web/{slot} " in command for slot in stays for command in said), "who stays is left alone"
    assert list(haproxy.commands({"web": result}, {"web": wanted})) == []


def test_only_endpoints_are_no_new_version() -> None:
    host, before = Host(), served(ingress("one", ("", path("/", "web"))))

    def version(found: Plan, room: int = 4) -> str:
        return haproxy.configuration(found, host, "/p", dict.fromkeys(found.pools, room), {}, b"").version

    empty = served(ingress("one", ("", path("/", "web"))), slices={})
    assert version(empty) == version(before)
    assert version(before, 8) != version(before)
    assert version(served(ingress("one", ("", path("/x", "web"))))) != version(before)


def test_room_for_endpoints_only_grows() -> None:
    assert [slots(needed, before) for needed, before in ((0, 0), (4, 0), (5, 4), (1, 16), (17, 16))] == [
        4,
        4,
        8,
        16,
        32,
    ]


def test_what_the_proxy_says_of_its_slots() -> None:
    state = (
        "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_port\n"
        "9 web 1 s1 10.42.0.7 2 8080\n9 web 2 s2 127.0.0.1 0 1\n\n"
    )
    assert haproxy.occupied(state) == {"web": {"s1": ("10.42.0.7", 8080), "s2": FREE}}
    assert haproxy.version_of("node: h\ndescription: mini8s-abc\n") == "abc"
