"""Hosts for tests do what tests rely on: their engines, their cables, their reboots, their end."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from hosts import Host, HostError, Hosts, groups
from hosts.ending import in_namespace
from hosts.leftovers import Leftovers, command
from hosts.place import Place

from scripts import images

PREFIX = "m8t"


@pytest.fixture(scope="module")
def pair(image_archives: list[str]) -> Iterator[Hosts]:
    with Hosts(PREFIX) as made:
        made.down()  # of a run that was killed
        for host in made.up(2):
            for path in image_archives:
                host.docker("load", "--input", str(path))
        yield made


def reaches(host: Host, other: Host) -> bool:
    found = host.call("curl", "-s", "--max-time", "2", f"http://{other.ip}:{images.PORT}/healthz")
    return found.stdout == "ok\n"


def test_each_host_has_an_engine_and_a_network_of_its_own(pair: Hosts) -> None:
    one, two = pair
    one.docker("run", "--detach", "--name=web", "--network=host", "--env=GREETING=hi", "mini8s-hello:v1")
    assert two.docker("ps", "--quiet") == ""
    wait_for(lambda: reaches(two, one))
    page = two.run("curl", "-s", f"http://{one.ip}:{images.PORT}/")
    assert page.startswith("hello v1 from ")
    assert page.endswith(": hi\n")
    assert not reaches(one, two)


def test_a_cut_cable_stops_packets_until_it_is_mended(pair: Hosts) -> None:
    one, two = pair
    two.cut()
    assert not reaches(two, one)
    two.mend()
    wait_for(lambda: reaches(two, one))


def test_the_web_server_answers_what_is_under_way_before_it_ends(pair: Hosts) -> None:
    one, two = pair
    slow = two.popen(
        "curl", "-s", f"http://{one.ip}:{images.PORT}/cgi-bin/slow?3", stdout=subprocess.PIPE, text=True
    )
    name = one.place.host(one.number)
    wait_for(lambda: "sleep 3" in {command(pid) for pid in in_namespace(name)})
    one.docker("stop", "web")
    assert slow.communicate(timeout=60)[0] == "slept 3\n"
    assert one.docker("inspect", "--format={{.State.ExitCode}}", "web") == "0\n"


def test_a_reboot_ends_everything_but_keeps_the_files(pair: Hosts) -> None:
    one, _ = pair
    one.docker("start", "web")
    sleeper = one.popen("sleep", "600")
    one.run("nft", "add", "table", "inet", "mine")
    one.run("ip", "link", "add", "x1", "type", "veth", "peer", "name", "x2")
    one.reboot()
    assert sleeper.wait(timeout=60) == -9
    assert one.run("nft", "list", "tables") == ""
    assert "x1" not in one.run("ip", "link")
    state = one.docker("inspect", "--format={{.State.Status}} {{.State.ExitCode}}", "web")
    assert state.startswith("exited")


def test_nothing_out_there_is_waited_for(pair: Hosts) -> None:
    began = time.monotonic()
    assert pair[1].call("curl", "-s", "http://192.0.2.1/").returncode == 7
    assert time.monotonic() - began < 30, "one that is dropped is sent again for two minutes"


def test_what_is_wrong_is_said_in_one_sentence(pair: Hosts) -> None:
    with pytest.raises(HostError, match="there is no host 9"):
        pair[9]
    with pytest.raises(HostError, match="h1: false ended with 1"):
        pair[1].run("false")
    with pytest.raises(ValueError, match="a prefix of hosts"):
        Hosts("../etc")


def test_the_shell_sees_the_same_hosts(pair: Hosts) -> None:
    command = [sys.executable, "-m", "hosts", "ls"]
    environment = {"PYTHONPATH": "tests", "MINI8S_HOSTS_PREFIX": PREFIX, "PATH": "/usr/sbin:/usr/bin"}
    listed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert [line.split()[:4] for line in listed.splitlines()] == [
        ["1", "h1", "10.99.0.11", "up"],
        ["2", "h2", "10.99.0.12", "up"],
    ]


def test_down_leaves_nothing_even_with_containers_running(image_archives: list[str]) -> None:
    place = Place.of("m8x")
    before = Leftovers.of_machine()
    with Hosts("m8x") as made:
        made.down()
        host = made.up(1)[0]
        host.docker("load", "--input", str(image_archives[-1]))
        for group in ("", "--cgroup-parent=/m8x-elsewhere"):
            host.run("sh", "-c", f"docker run --detach --network=none {group} mini8s-busybox:1 sleep 600")
        left = Leftovers.of(place).lines()
        assert any("dockerd" in line for line in left)
        assert any(line.startswith("mounts: ") for line in left)
    assert Leftovers.after(before, place).lines() == []
    assert not list(groups.hierarchy().glob("m8x*"))


def wait_for(condition: object, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.05)


def test_a_folder_that_is_not_its_own_is_left_alone() -> None:
    hosts = Hosts("m8o")
    theirs = hosts.place.folder / "1" / "thesis"
    theirs.parent.mkdir(parents=True, exist_ok=True)
    try:
        theirs.touch()
        with pytest.raises(HostError, match="MINI8S_HOSTS_PREFIX"):
            hosts.up(1)
        hosts.down()
        assert theirs.exists()
    finally:
        theirs.unlink()
        theirs.parent.rmdir()
        hosts.place.folder.rmdir()
