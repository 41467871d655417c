"""Pulls that fail: what the pod's status says meanwhile."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.api import FakeEvents
from fakes.runtime import FakeRuntime

from mini8s.agent.kubelet.container_status import Waiting
from mini8s.agent.kubelet.images.images import Images, ImageWait
from mini8s.util.clock import FakeClock

POD: dict[str, Any] = {
    "metadata": {"namespace": "default", "name": "p", "uid": "u1"},
    "spec": {"containers": [{"name": "c", "image": "web:1"}]},
}


def waiting(images: Images, attempt: int = 0) -> Waiting:
    with pytest.raises(ImageWait) as caught:
        images.ensure(POD, POD["spec"]["containers"][0], attempt)
    return caught.value.waiting


def test_a_second_try_does_not_look_like_a_first() -> None:
    clock, asked = FakeClock(), []
    images = Images(FakeRuntime(clock.now), FakeEvents(), clock, asked.append)
    assert waiting(images) == Waiting("ContainerCreating")
    images.pull_next()
    assert asked == ["u1"]
    failed = waiting(images)
    assert failed.reason == "ImagePullBackOff"
    clock.step(11)
    again = waiting(images)
    assert again.reason == "ErrImagePull"
    assert again.message.startswith('failed to pull image "web:1"')
    assert failed.message.endswith(again.message)


@pytest.mark.parametrize(
    ("image", "attempt", "goes_on"),
    [("192.0.2.1/web:1", 1, True), ("192.0.2.1/web:1", 0, False), ("web:1", 1, False)],
)
def test_what_ran_here_before_runs_again_while_its_registry_cannot_be_reached(
    image: str, attempt: int, goes_on: bool
) -> None:
    """Whatever its pull policy; a registry that says no is obeyed, and a first start needs its image."""
    clock = FakeClock()
    runtime = FakeRuntime(clock.now)
    runtime.local.add(image)
    images = Images(runtime, FakeEvents(), clock, lambda uid: None)
    container = {"name": "c", "image": image, "imagePullPolicy": "Always"}
    with pytest.raises(ImageWait):
        images.ensure(POD, container, attempt)
    images.pull_next()
    if goes_on:
        images.ensure(POD, container, attempt)
        return
    with pytest.raises(ImageWait) as caught:
        images.ensure(POD, container, attempt)
    assert caught.value.waiting.reason == "ImagePullBackOff"
