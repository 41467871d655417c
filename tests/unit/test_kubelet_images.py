"""Pulls that fail: what the pod's status says meanwhile."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.api import FakeEvents
from fakes.runtime import FakeRuntime

from mini8s.agent.kubelet.container_status import Waiting
from mini8s.agent.kubelet.images import Images, ImageWait
from mini8s.util.clock import FakeClock

POD: dict[str, Any] = {
    "metadata": {"namespace": "default", "name": "p", "uid": "u1"},
    "spec": {"containers": [{"name": "c", "image": "web:1"}]},
}


def waiting(images: Images) -> Waiting:
    with pytest.raises(ImageWait) as caught:
        images.ensure(POD, POD["spec"]["containers"][0], 0)
    return caught.value.waiting


def test_a_second_try_does_not_look_like_a_first() -> None:
    clock, asked = FakeClock(), []
    images = Images(FakeRuntime(clock.now), FakeEvents(), clock, asked.append)
    assert waiting(images) == Waiting("ContainerCreating")
    images.pull_next(0)
    assert asked == ["u1"]
    failed = waiting(images)
    assert failed.reason == "ImagePullBackOff"
    clock.step(11)
    again = waiting(images)
    assert again.reason == "ErrImagePull"
    assert again.message.startswith('failed to pull image "web:1"')
    assert failed.message.endswith(again.message)
