"""Any sequence of requests on ConfigMaps, compared with a model of a screen: verbs, patches, apply with its
conflicts, finalizers, preconditions, dry runs, selectors, pages, watches from any revision, compaction."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from depth import DEPTH, examples
from fakes.http import FakeServer, Heard
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mini8s.objects.errors import Expired
from mini8s.objects.kinds import CONFIGMAPS, Obj
from mini8s.registry.base import ListOptions, WatchEvent

NAMES = st.sampled_from(["a", "b", "c"])
DATA = st.dictionaries(st.sampled_from(["k", "l"]), st.sampled_from(["1", "2"]), max_size=2)
LABELS = st.dictionaries(st.sampled_from(["tier", "zone"]), st.sampled_from(["x", "y"]), max_size=2)
FINALIZERS = st.frozensets(st.sampled_from(["x.io/a", "x.io/b"]), max_size=2)
CHANGES = st.dictionaries(st.sampled_from(["k", "l"]), st.sampled_from(["1", "2", None]), max_size=2)
POLICIES = st.sampled_from(["", "Background", "Foreground", "Orphan"])
HELD = {"Background": frozenset[str](), "Foreground": {"foregroundDeletion"}, "Orphan": {"orphan"}}
SELECTORS: dict[str, Callable[[dict[str, str]], bool]] = {
    "": lambda labels: True,
    "tier=x": lambda labels: labels.get("tier") == "x",
    "tier!=x": lambda labels: labels.get("tier") != "x",
    "!zone,tier in (x,y)": lambda labels: "zone" not in labels and labels.get("tier") in {"x", "y"},
    "zone notin (x)": lambda labels: labels.get("zone") != "x",
}
SELECTOR = st.sampled_from(sorted(SELECTORS))
UPDATER = "updater"


@dataclass
class Thing:
    """What the model knows of an object; `owners` of each field, a manager's name or UPDATER."""

    data: dict[str, str]
    labels: dict[str, str]
    finalizers: frozenset[str] = frozenset()
    deleting: bool = False
    uid: str = ""
    version: int = 0
    owners: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)

    def fields(self) -> dict[tuple[str, str], str]:
        return {("data", key): value for key, value in self.data.items()} | {
            ("labels", key): value for key, value in self.labels.items()
        }

    def body(self, name: str) -> Obj:
        metadata = {"name": name, "labels": self.labels, "finalizers": sorted(self.finalizers)}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": self.data}

    def same(self, other: Thing) -> bool:
        return (self.data, self.labels, self.finalizers, self.deleting) == (
            other.data,
            other.labels,
            other.finalizers,
            other.deleting,
        )

    def updated(self, data: dict[str, str], labels: dict[str, str], finalizers: frozenset[str]) -> Thing:
        """After a write that is no apply: the writer has what it changed, and nobody has what is gone."""
        new = copy.deepcopy(self)
        new.data, new.labels, new.finalizers = dict(data), dict(labels), finalizers
        before, after = self.fields(), new.fields()
        new.owners = {
            path: self.owners.get(path, frozenset()) if before.get(path) == value else frozenset({UPDATER})
            for path, value in after.items()
        }
        return new


def read(obj: Obj) -> Thing:
    metadata = obj["metadata"]
    return Thing(
        obj.get("data") or {},
        metadata.get("labels") or {},
        frozenset(metadata.get("finalizers") or ()),
        "deletionTimestamp" in metadata,
        metadata["uid"],
        int(metadata.get("resourceVersion") or 0),
    )


class Requests(RuleBasedStateMachine):
    """In a namespace of its own, on a server that all runs share: to make one takes as long as a run."""

    server = FakeServer()
    spaces = itertools.count(1)

    def __init__(self) -> None:
        super().__init__()
        self.space = f"space-{next(self.spaces)}"
        self.server.ask("POST", "/api/v1/namespaces", {"metadata": {"name": self.space}})
        self.url = f"/api/v1/namespaces/{self.space}/configmaps"
        self.things: dict[str, Thing] = {}
        self.revision, self.compacted = self.server.store.revision, self.server.store.compacted
        self.history: list[tuple[int, str, Thing | None, Thing | None]] = []
        self.page: tuple[str, int, dict[str, Thing]] | None = None  # token, revision, what is still to come

    # What happened.

    def heard(
        self, code: int, method: str, url: str, body: Any = b"", media: str = "application/json"
    ) -> Heard:
        answer = self.server.ask(method, url, body, headers={"Content-Type": media})
        assert answer.code == code, (method, url, body, answer)
        assert b"Traceback" not in answer.body
        if code >= 400:
            status = answer.json
            assert (status["kind"], status["status"], status["code"]) == ("Status", "Failure", code)
            assert status["reason"]
            assert status["message"]
        return answer

    def put(self, name: str, new: Thing | None, *, unseen: bool = False) -> None:
        """The model's side of a write: one revision, unless nothing changed; `unseen` is a change of what the
        model does not see."""
        old = self.things.get(name)
        if new and old and new.same(old) and not unseen:
            self.things[name] = new
            return
        self.revision += 1
        self.history.append((self.revision, name, old, copy.deepcopy(new)))
        if new is None:
            del self.things[name]
        else:
            new.version = self.revision
            self.things[name] = new

    def wrote(
        self, name: str, new: Thing, answer: Heard, *, dry: bool = False, applied: bool = False
    ) -> None:
        """An answer that shows the object as it is now, or would be."""
        shown, old = read(answer.json), self.things.get(name)
        assert shown.same(new), (shown, new)
        if dry:
            return
        gone = new.deleting and not new.finalizers
        new.uid = shown.uid
        # An apply may change nothing but who manages what.
        unseen = applied and old is not None and old.same(new) and shown.version > old.version
        self.put(name, None if gone else new, unseen=unseen)
        assert gone or shown.version == self.things[name].version

    # What is asked.

    @rule(name=NAMES, data=DATA, labels=LABELS, finalizers=FINALIZERS, dry=st.booleans())
    def create(
        self, name: str, data: dict[str, str], labels: dict[str, str], finalizers: frozenset[str], dry: bool
    ) -> None:
        made = Thing({}, {}).updated(data, labels, finalizers)
        code = 409 if name in self.things else 201
        answer = self.heard(code, "POST", f"{self.url}{'?dryRun=All' if dry else ''}", made.body(name))
        if code == 201:
            self.wrote(name, made, answer, dry=dry)

    @rule(name=NAMES)
    def get(self, name: str) -> None:
        thing = self.things.get(name)
        answer = self.heard(200 if thing else 404, "GET", f"{self.url}/{name}")
        if thing:
            shown = read(answer.json)
            assert shown.same(thing)
            assert (shown.uid, shown.version) == (thing.uid, thing.version)

    @rule(
        name=NAMES,
        data=DATA,
        labels=LABELS,
        finalizers=FINALIZERS,
        version=st.sampled_from(["", "new", "old", "wrong uid"]),
    )
    def update(
        self,
        name: str,
        data: dict[str, str],
        labels: dict[str, str],
        finalizers: frozenset[str],
        version: str,
    ) -> None:
        old = self.things.get(name, Thing({}, {}))
        new = old.updated(data, labels, finalizers)
        body = new.body(name)
        if version == "wrong uid":
            body["metadata"]["uid"] = "another"
        elif version:
            body["metadata"]["resourceVersion"] = str(old.version - (version == "old"))
        code = 200
        if name not in self.things:
            code = 404
        elif version in {"old", "wrong uid"}:
            code = 409
        elif old.deleting and finalizers - old.finalizers:
            code = 422
        answer = self.heard(code, "PUT", f"{self.url}/{name}", body)
        if code == 200:
            self.wrote(name, new, answer)

    @rule(
        name=NAMES,
        changes=CHANGES,
        kind=st.sampled_from(["merge-patch", "strategic-merge-patch", "json-patch"]),
        dry=st.booleans(),
    )
    def patch(self, name: str, changes: dict[str, Any], kind: str, dry: bool) -> None:
        old = self.things.get(name, Thing({}, {}))
        data = {key: value for key, value in (old.data | changes).items() if value is not None}
        body: Any = {"data": changes}
        code = 200
        if kind == "json-patch":
            body = list(steps(changes))
            code = 200 if json_patch_fits(old.data, changes) else 422
        code = code if name in self.things else 404
        url = f"{self.url}/{name}{'?dryRun=All' if dry else ''}"
        answer = self.heard(code, "PATCH", url, body, f"application/{kind}+json")
        if code == 200:
            self.wrote(name, old.updated(data, old.labels, old.finalizers), answer, dry=dry)

    @rule(name=NAMES, finalizer=st.sampled_from(["x.io/a", "x.io/b"]))
    def release(self, name: str, finalizer: str) -> None:
        """As a controller does whose work is done."""
        old = self.things.get(name, Thing({}, {}))
        body = {"metadata": {"$deleteFromPrimitiveList/finalizers": [finalizer]}}
        code = 200 if name in self.things else 404
        answer = self.heard(
            code, "PATCH", f"{self.url}/{name}", body, "application/strategic-merge-patch+json"
        )
        if code == 200:
            self.wrote(name, old.updated(old.data, old.labels, old.finalizers - {finalizer}), answer)

    @rule(name=NAMES, manager=st.sampled_from(["one", "two"]), data=DATA, labels=LABELS, force=st.booleans())
    def apply(
        self, name: str, manager: str, data: dict[str, str], labels: dict[str, str], force: bool
    ) -> None:
        old = self.things.get(name, Thing({}, {}))
        said = Thing(data, labels).fields()
        live = old.fields()
        disputed = [
            path
            for path, value in said.items()
            if path in live and live[path] != value and old.owners.get(path, frozenset()) - {manager}
        ]
        url = f"{self.url}/{name}?fieldManager={manager}{'&force=true' if force else ''}"
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name} | ({"labels": labels} if labels else {}),
        } | ({"data": data} if data else {})
        media = "application/apply-patch+yaml"
        if disputed and not force:
            causes = self.heard(409, "PATCH", url, body, media).json["details"]["causes"]
            wanted = {
                f".data.{key}" if part == "data" else f".metadata.labels.{key}" for part, key in disputed
            }
            assert {cause["field"] for cause in causes} == wanted
            return
        answer = self.heard(200 if name in self.things else 201, "PATCH", url, body, media)
        self.wrote(name, applied(old, manager, said), answer, applied=True)

    @rule(
        name=NAMES,
        policy=POLICIES,
        condition=st.sampled_from(["", "", "", "uid", "wrong uid", "version", "wrong version"]),
        dry=st.booleans(),
    )
    def delete(self, name: str, policy: str, condition: str, dry: bool) -> None:
        thing = self.things.get(name, Thing({}, {}))
        body: Obj = {"propagationPolicy": policy} if policy else {}
        wrong = condition.startswith("wrong")
        if "uid" in condition:
            body["preconditions"] = {"uid": "another" if wrong else thing.uid or "none"}
        if "version" in condition:
            body["preconditions"] = {"resourceVersion": str(thing.version + wrong)}
        code = 404 if name not in self.things else 409 if wrong else 200
        self.heard(code, "DELETE", f"{self.url}/{name}{'?dryRun=All' if dry else ''}", body)
        if code == 200 and not dry:
            self.remove(name, policy)

    def remove(self, name: str, policy: str) -> None:
        new = copy.deepcopy(self.things[name])
        if policy:
            new.finalizers = (new.finalizers - {"foregroundDeletion", "orphan"}) | HELD[policy]
        new.deleting = True
        self.put(name, new if new.finalizers else None)

    @rule(selector=SELECTOR, dry=st.booleans())
    def delete_collection(self, selector: str, dry: bool) -> None:
        chosen = [name for name in sorted(self.things) if SELECTORS[selector](self.things[name].labels)]
        answer = self.heard(
            200, "DELETE", f"{self.url}?labelSelector={selector}{'&dryRun=All' if dry else ''}"
        )
        assert [item["metadata"]["name"] for item in answer.json["items"]] == chosen
        for name in [] if dry else chosen:
            self.remove(name, "")

    @rule(selector=SELECTOR)
    def list(self, selector: str) -> None:
        listed = self.heard(200, "GET", f"{self.url}?labelSelector={selector}").json
        shown = {item["metadata"]["name"]: read(item) for item in listed["items"]}
        wanted = {name: t for name, t in self.things.items() if SELECTORS[selector](t.labels)}
        assert list(shown) == sorted(wanted)
        assert all(shown[name].same(wanted[name]) for name in wanted)
        assert int(listed["metadata"]["resourceVersion"]) == self.revision

    @rule(limit=st.integers(1, 3))
    def first_page(self, limit: int) -> None:
        listed = self.heard(200, "GET", f"{self.url}?limit={limit}").json
        self.turn(listed, copy.deepcopy(self.things), self.revision)

    @precondition(lambda self: self.page is not None)
    @rule(limit=st.integers(1, 3))
    def next_page(self, limit: int) -> None:
        assert self.page is not None
        token, revision, rest = self.page
        url = f"{self.url}?limit={limit}&continue="
        if revision >= self.compacted:
            self.turn(self.heard(200, "GET", url + token).json, rest, revision)
            return
        token = self.heard(410, "GET", url + token).json["metadata"]["continue"]
        first = min(rest)
        now = {name: thing for name, thing in self.things.items() if name >= first}
        self.turn(self.heard(200, "GET", url + token).json, copy.deepcopy(now), self.revision)

    @precondition(lambda self: len(self.things) > 1)
    @rule(name=NAMES, data=DATA)
    def a_change_between_pages(self, name: str, data: dict[str, str]) -> None:
        self.first_page(limit=1)
        self.update(name=name, data=data, labels={}, finalizers=frozenset(), version="")
        self.next_page(limit=3)

    def turn(self, listed: Obj, rest: dict[str, Thing], revision: int) -> None:
        shown = {item["metadata"]["name"]: read(item) for item in listed["items"]}
        names = sorted(rest)
        assert list(shown) == names[: len(shown)]
        assert all(shown[name].same(rest[name]) for name in shown)
        assert int(listed["metadata"]["resourceVersion"]) == revision
        left = {name: rest[name] for name in names[len(shown) :]}
        assert listed["metadata"].get("remainingItemCount", 0) == len(left)
        token = listed["metadata"].get("continue", "")
        assert bool(token) == bool(left)
        self.page = (token, revision, left) if token else None

    @rule(selector=SELECTOR, back=st.integers(0, 12))
    def watch(self, selector: str, back: int) -> None:
        since = max(2, self.revision - back)
        seen: list[tuple[int, str]] = []

        def take(events: Sequence[WatchEvent]) -> None:
            seen.extend((event.revision, event.type) for event in events)

        options = ListOptions(label_selector=selector, resource_version=str(since))
        if since < self.compacted:
            with pytest.raises(Expired):
                self.server.machine.watch(CONFIGMAPS, self.space, options, take)
            return
        self.server.machine.watch(CONFIGMAPS, self.space, options, take).close()
        assert seen == list(told(self.history, since, SELECTORS[selector]))

    @rule()
    def compact(self) -> None:
        self.server.store.compact(self.revision)
        self.compacted = self.revision

    @invariant()
    def nothing_else_was_written(self) -> None:
        assert self.server.store.revision == self.revision


def steps(changes: dict[str, Any]) -> Iterator[Obj]:
    for key, value in changes.items():
        if value is None:
            yield {"op": "remove", "path": f"/data/{key}"}
        else:
            yield {"op": "add", "path": f"/data/{key}", "value": value}


def json_patch_fits(data: dict[str, str], changes: dict[str, Any]) -> bool:
    """A map must be there to be added to, and an entry to be removed."""
    gone = {key for key, value in changes.items() if value is None}
    return not changes or (bool(data) and gone <= data.keys())


def applied(old: Thing, manager: str, said: dict[tuple[str, str], str]) -> Thing:
    """After an apply that meets no conflict, or is forced: what it says holds, what it said before and nobody
    else has is gone."""
    live, owners = old.fields(), dict(old.owners)
    after = dict(live)
    for path, value in said.items():
        shared = owners.get(path, frozenset()) if live.get(path) == value else frozenset()
        owners[path] = shared | {manager}
        after[path] = value
    for path in [path for path, has in owners.items() if manager in has and path not in said]:
        owners[path] = owners[path] - {manager}
        if not owners[path]:
            del owners[path], after[path]
    new = copy.deepcopy(old)
    new.owners = owners
    new.data = {key: value for (part, key), value in after.items() if part == "data"}
    new.labels = {key: value for (part, key), value in after.items() if part == "labels"}
    return new


def told(
    history: list[tuple[int, str, Thing | None, Thing | None]],
    since: int,
    chosen: Callable[[dict[str, str]], bool],
) -> Iterator[tuple[int, str]]:
    for revision, _, old, new in history:
        before, after = old is not None and chosen(old.labels), new is not None and chosen(new.labels)
        if revision > since and (before or after):
            yield revision, ("MODIFIED" if before else "ADDED") if after else "DELETED"


TestRequests = Requests.TestCase
TestRequests.settings = settings(
    max_examples=examples(80), stateful_step_count=30, deadline=None, derandomize=DEPTH == 1
)
