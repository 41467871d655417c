"""Images of a host: what is pinned stays, who may be removed, and where one is pulled from."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.runtime import FakeRuntime

from mini8s.agent.kubelet.images.pins import Pins, tags
from mini8s.agent.runtime.docker.layers import Layers
from mini8s.app.host import HostError
from mini8s.app.host_images import HostImages
from mini8s.util.clock import FakeClock


@pytest.fixture
def runtime(tmp_path: Path) -> FakeRuntime:
    made = FakeRuntime(FakeClock().now)
    made.archives[str(tmp_path / "app.tar")] = ["app:1", "app:2"]
    made.pullable |= {"web:1", "10.0.0.9:5000/tool:1"}
    made.welcome["10.0.0.9:5000/tool:1"] = {"till"}
    return made


@pytest.fixture
def images(runtime: FakeRuntime, tmp_path: Path) -> HostImages:
    return HostImages(runtime, str(tmp_path), str(tmp_path / "registries.yaml"))


def kept(images: HostImages) -> dict[str, str]:
    return {one.image.names[0]: one.kept for one in images.listed()}


def test_what_is_imported_is_pinned_and_stays_until_it_is_not(images: HostImages, tmp_path: Path) -> None:
    assert images.bring(str(tmp_path / "app.tar"), pin=True) == ["app:1", "app:2"]
    assert kept(images) == {"app:1": "yes", "app:2": "yes"}
    assert Pins(tmp_path).names() == {"app:1", "app:2"}, "the agent reads the same"
    with pytest.raises(HostError, match="app:1 stays: it is pinned: unpin it first"):
        images.remove("app:1")
    images.unpin("app:1")
    with pytest.raises(HostError, match="app:1 is not pinned"):
        images.unpin("app:1")
    images.remove("app:1")
    assert kept(images) == {"app:2": "yes"}
    with pytest.raises(HostError, match="there is no image app:1 on this host"):
        images.pin("app:1")


def test_a_pin_of_an_image_that_is_gone_can_be_taken_back(images: HostImages, tmp_path: Path) -> None:
    Pins(tmp_path).add(["old:latest"])
    images.unpin("old")
    assert Pins(tmp_path).names() == frozenset()


def test_an_image_is_pulled_as_the_agent_does(
    images: HostImages, runtime: FakeRuntime, tmp_path: Path
) -> None:
    (tmp_path / "registries.yaml").write_text(
        "mirrors: {shop.example: {endpoint: ['https://10.0.0.9:5000']}}\n"
        "configs: {'10.0.0.9:5000': {auth: {username: till, password: x}, tls: {ca_file: /ca}}}\n"
    )
    seen: list[tuple[int, int]] = []
    images.pull("shop.example/tool:1", pin=True, progress=lambda *pair: seen.append(pair))
    assert seen == [(1000, 1000)]
    assert runtime.trusted == {"10.0.0.9:5000": {"ca.crt": "/ca"}}
    assert kept(images) == {"shop.example/tool:1": "yes"}
    images.pull("web:1", pin=False)
    assert kept(images)["web:1"] == ""
    with pytest.raises(HostError, match="none:1: pull access denied"):
        images.pull("none:1", pin=True)


def test_an_engine_or_a_file_that_fails_is_one_sentence(
    images: HostImages, runtime: FakeRuntime, tmp_path: Path
) -> None:
    with pytest.raises(HostError, match="/no/where is no image archive"):
        images.bring("/no/where", pin=True)
    (tmp_path / "registries.yaml").write_text("mirors: {}\n")
    with pytest.raises(HostError, match="there is no mirors"):
        images.pull("web:1", pin=False)
    runtime.down = True
    with pytest.raises(HostError):
        images.listed()


def test_pins_that_somebody_broke_pin_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pins = Pins(tmp_path)
    pins.add(["a:1"])
    for text in ("{", "{}"):
        (tmp_path / "agent/pinned-images.json").write_text(text)
        assert pins.names() == frozenset()
    assert "no image is pinned" in caplog.text
    pins.add(["b:1"])
    assert pins.names() == {"b:1"}


def test_a_digest_is_pinned_only_where_there_is_no_tag() -> None:
    assert tags(["a:1", "a@sha256:0"]) == ["a:1"]
    assert tags(["a@sha256:0"]) == ["a@sha256:0"]


def test_progress_is_the_sum_of_the_layers() -> None:
    seen: list[tuple[int, int]] = []
    layers = Layers(lambda *pair: seen.append(pair))
    for said in (
        {"status": "Pulling from library/web", "id": "1"},
        {"status": "Downloading", "id": "a", "progressDetail": {"current": 10, "total": 100}},
        {"status": "Downloading", "id": "b", "progressDetail": {"current": 5, "total": 50}},
        {"status": "Download complete", "id": "a", "progressDetail": {}},
        {"status": "Extracting", "id": "a", "progressDetail": {"current": 1, "total": 100}},
        {"stream": "Loaded image: web:1"},
    ):
        layers.hear(said)
    assert seen == [(10, 100), (15, 150), (105, 150)]
