"""Who a container runs as, what it may, and what a node refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mini8s.agent.kubelet.isolation.admission import rejection
from mini8s.agent.kubelet.isolation.devices import ANNOTATION, devices
from mini8s.agent.kubelet.isolation.policy import Policy
from mini8s.agent.kubelet.isolation.security import Refused, Security, security
from mini8s.agent.runtime.specs import Confinement, Device

Obj = dict[str, Any]


def pod(context: Obj | None = None, container: Obj | None = None, **spec: Any) -> Obj:
    main = {"name": "main", "image": "web", "securityContext": container}
    return {
        "metadata": {
            "name": "web",
            "namespace": "shop",
            "uid": "u1",
            "annotations": spec.pop("annotations", {}),
        },
        "spec": {"containers": [main], "securityContext": context, **spec},
    }


def no_profile(name: str) -> str:
    raise FileNotFoundError(2, "No such file or directory", name)


def asked(whole: Obj, image_user: str = "", profile: Callable[[str], str] = no_profile) -> Security:
    return security(whole, whole["spec"]["containers"][0], lambda: image_user, profile)


@pytest.mark.parametrize(
    ("context", "container", "image_user", "user"),
    [
        ({}, {}, "app", ""),
        ({"runAsUser": 7}, {}, "", "7"),
        ({"runAsUser": 7}, {"runAsUser": 8}, "", "8"),
        ({"runAsUser": 7, "runAsGroup": 5}, {"runAsUser": 8}, "", "8:5"),
        ({"runAsGroup": 5}, {}, "app:staff", "app:5"),
        ({"runAsGroup": 5}, {}, "", "0:5"),
    ],
)
def test_users(context: Obj, container: Obj, image_user: str, user: str) -> None:
    assert asked(pod(context, container), image_user).user == user


UNSURE = "cannot verify user is non-root"
WHO = '(pod: "web_shop(u1)", container: main)'


@pytest.mark.parametrize(
    ("context", "container", "image_user", "said"),
    [
        ({"runAsNonRoot": True}, {"runAsUser": 0}, "", f"container's runAsUser breaks non-root policy {WHO}"),
        ({"runAsNonRoot": True}, {}, "", f"container has runAsNonRoot and image will run as root {WHO}"),
        ({"runAsNonRoot": True}, {}, "0:7", f"container has runAsNonRoot and image will run as root {WHO}"),
        (
            {"runAsNonRoot": True},
            {},
            "app",
            f"container has runAsNonRoot and image has non-numeric user (app), {UNSURE} {WHO}",
        ),
        ({"runAsNonRoot": True}, {"runAsNonRoot": False}, "", ""),
        ({"runAsNonRoot": True}, {}, "100:0", ""),
        ({"runAsNonRoot": True, "runAsUser": 9}, {}, "root", ""),
    ],
)
def test_non_root(context: Obj, container: Obj, image_user: str, said: str) -> None:
    if not said:
        asked(pod(context, container), image_user)
        return
    with pytest.raises(Refused) as refused:
        asked(pod(context, container), image_user)
    assert str(refused.value) == said


def test_groups_of_the_pod() -> None:
    assert asked(pod({"supplementalGroups": [4, 6], "fsGroup": 6})).groups == ["4", "6"]


def test_what_confines() -> None:
    assert asked(pod()).confinement == Confinement()
    whole = pod(
        {
            "seccompProfile": {"type": "Localhost", "localhostProfile": "p.json"},
            "seLinuxOptions": {"level": "s0:c1"},
        },
        {"procMount": "Unmasked", "appArmorProfile": {"type": "Localhost", "localhostProfile": "tight"}},
    )
    expected = Confinement('{"a": 1}', "tight", ("level:s0:c1",), unmasked=True)
    assert asked(whole, profile=lambda _: '{"a": 1}').confinement == expected
    loose = pod({"seccompProfile": {"type": "Unconfined"}}, {"appArmorProfile": {"type": "Unconfined"}})
    assert asked(loose).confinement == Confinement("unconfined", "unconfined")


def test_an_annotation_of_old_names_the_apparmor_profile() -> None:
    key = "container.apparmor.security.beta.kubernetes.io/main"
    assert asked(pod(annotations={key: "localhost/tight"})).confinement.apparmor == "tight"
    assert asked(pod(annotations={key: "runtime/default"})).confinement.apparmor == ""


@pytest.mark.parametrize(("text", "said"), [(None, "No such file"), ("{", "Expecting property name")])
def test_a_seccomp_profile_that_cannot_be_used(text: str | None, said: str) -> None:
    wanted = pod({"seccompProfile": {"type": "Localhost", "localhostProfile": "p.json"}})
    with pytest.raises(Refused, match=f'cannot load seccomp profile "p.json": {said}'):
        asked(wanted, profile=no_profile if text is None else lambda _: str(text))


@pytest.mark.parametrize(
    ("whole", "said"),
    [
        (pod(hostUsers=False), "hostUsers: false is not supported"),
        (pod({"supplementalGroupsPolicy": "Strict"}), "supplementalGroupsPolicy: Strict is not supported"),
        (pod({}, {"windowsOptions": {"hostProcess": True}}), "windowsOptions are not supported"),
    ],
)
def test_what_docker_cannot_do_is_refused(whole: Obj, said: str) -> None:
    with pytest.raises(Refused, match=said):
        asked(whole)


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("", []),
        ("/dev/ttyUSB0", [Device("/dev/ttyUSB0", "/dev/ttyUSB0", "rwm")]),
        ("/dev/ttyUSB1:/dev/modem , /dev/ttyUSB0:r", [
            Device("/dev/ttyUSB1", "/dev/modem", "rwm"), Device("/dev/ttyUSB0", "/dev/ttyUSB0", "r"),
        ]),
        ("/dev/ttyUSB0:/dev/tty:rw", [Device("/dev/ttyUSB0", "/dev/tty", "rw")]),
    ],
)  # fmt: skip
def test_devices(said: str, found: list[Device]) -> None:
    assert devices(pod(annotations={ANNOTATION: said}), ["/dev/ttyUSB*"]) == found


@pytest.mark.parametrize(
    "said", ["ttyUSB0", "/dev/ttyUSB0:x:rw", "/dev/a:/dev/b:/dev/c", "/dev/ttyUSB0/../mem", ":"]
)
def test_devices_that_cannot_be_read(said: str) -> None:
    with pytest.raises(Refused, match="is not SOURCE"):
        devices(pod(annotations={ANNOTATION: said}), ["*"])


def test_a_node_allows_no_device_unless_told() -> None:
    with pytest.raises(Refused, match=r"device /dev/mem is not allowed on this node \(--allow-device\)"):
        devices(pod(annotations={ANNOTATION: "/dev/mem"}), ["/dev/tty*"])


def sysctls(*names: str) -> Obj:
    return pod({"sysctls": [{"name": name, "value": "1"} for name in names]})


@pytest.mark.parametrize(
    ("whole", "reason"),
    [
        (pod(), ""),
        (pod(os={"name": "windows"}), "PodOSNotSupported"),
        (sysctls("net.ipv4.tcp_syncookies", "net/ipv4/tcp_fin_timeout"), ""),
        (sysctls("net.core.somaxconn"), ""),
        (sysctls("kernel.msgmax"), "SysctlForbidden"),
        (pod({"appArmorProfile": {"type": "Localhost", "localhostProfile": "tight"}}), "AppArmor"),
        (pod({"appArmorProfile": {"type": "RuntimeDefault"}}), ""),
    ],
)
def test_what_a_node_never_begins(whole: Obj, reason: str) -> None:
    found = rejection(whole, Policy(allowed_unsafe_sysctls=["net.core.*"]))
    assert (found.reason if found else "") == reason
    assert rejection(whole, replace(Policy(), apparmor=True, allowed_unsafe_sysctls=["*"])) is None or (
        reason == "PodOSNotSupported"
    )


def test_profiles_are_in_the_data_folder(tmp_path: Path) -> None:
    folder = tmp_path / "agent" / "seccomp"
    folder.mkdir(parents=True)
    (folder / "p.json").write_text("{}")
    assert Policy(data_dir=tmp_path).seccomp_profile("p.json") == "{}"
