"""The auto-deploy folder against a real API: applied, pruned, in conflict, refused, and after a restart."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mini8s.app.deploying import runner
from mini8s.client.rest import Endpoint, Rest
from mini8s.objects import meta
from mini8s.objects.kinds import CONFIGMAPS, NAMESPACES, Obj
from tests.integration.api_process import running


class Told:
    def __init__(self) -> None:
        self.events: list[str] = []

    def event(
        self, obj: Obj, type: str, reason: str, message: str, *, field_path: str = "", component: str = ""
    ) -> None:
        del obj, type, field_path, component
        self.events.append(f"{reason} {message}")


@pytest.fixture(scope="module")
def rest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rest]:
    folder = tmp_path_factory.mktemp("api")
    with running(folder):
        rest = Rest(Endpoint(unix_socket=str(folder / "api.sock")), user_agent="manifests")
        names = {meta.name(one) for one in rest.list(NAMESPACES).items}
        for name in {"default", "kube-system"} - names:
            rest.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        yield rest
        rest.close()


def lay(place: Path, name: str, *maps: str, data: str = "1") -> None:
    path = place / name
    path.write_text(
        "".join(
            f"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {one}}}\ndata: {{value: '{data}'}}\n"
            for one in maps
        )
    )
    os.utime(path, (1e9, 1e9))


def maps(rest: Rest) -> dict[str, str]:
    listed = rest.list(CONFIGMAPS, "default").items
    return {meta.name(one): one["data"]["value"] for one in listed if "value" in one.get("data", {})}


def test_what_lies_there_is_in_the_cluster(rest: Rest, tmp_path: Path) -> None:
    told = Told()
    deploying = runner.Deploying(rest, tmp_path, told)
    lay(tmp_path, "shop.yaml", "one", "two")
    deploying.step()
    assert maps(rest) == {"one": "1", "two": "1"}
    deploying.step()
    assert told.events == ["AppliedManifest shop.yaml: applied 2 objects"]

    lay(tmp_path, "shop.yaml", "one", data="2")
    deploying.step()
    assert maps(rest) == {"one": "2"}
    assert "PrunedManifest shop.yaml: removed ConfigMap default/two" in told.events

    changed = rest.get(CONFIGMAPS, "default", "one") | {"data": {"value": "by hand"}}
    rest.update(CONFIGMAPS, changed)
    lay(tmp_path, "shop.yaml", "one", "three", data="3")
    deploying.step()
    deploying.step()
    assert maps(rest) == {"one": "by hand", "three": "3"}
    conflicts = [one for one in told.events if one.startswith("ApplyManifestFailed")]
    assert len(conflicts) == 1
    assert "shop.yaml: ConfigMap default/one: Apply failed with 1 conflict" in conflicts[0]

    later = runner.Deploying(rest, tmp_path, Told())  # a restart remembers what it put there
    (tmp_path / "shop.yaml").unlink()
    rest.delete(CONFIGMAPS, "default", "three")
    rest.create(
        CONFIGMAPS,
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "three", "namespace": "default"},
            "data": {"value": "another's"},
        },
    )
    later.step()
    assert maps(rest) == {"three": "another's"}  # another object of that name is not ours
