"""What a host must not share with its cluster."""

from __future__ import annotations

import pytest

from mini8s.app.host import HostError, require_apart

HEAD = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"
RANGES = {"--cluster-cidr": "10.42.0.0/16", "--service-cidr": "10.43.0.0/16"}
APART = [
    "eth0 00000000 0100630A 0003 0 0 0 00000000 0 0 0",  # the default route
    "eth0 0000630A 00000000 0001 0 0 0 00FFFFFF 0 0 0",  # 10.99.0.0/24
    "m8p0123 05002A0A 00000000 0005 0 0 0 FFFFFFFF 0 0 0",  # a pod
    "eth0 00022A0A 0C00630A 0003 0 0 0 00FFFFFF 0 0 0",  # another host's pods
    "lo 00002C0A 00000000 0001 0 0 0 0000FFFF 0 0 0",  # 10.44.0.0/16
]


def test_ranges_of_nobody_else() -> None:
    require_apart(RANGES, HEAD + "\n".join(APART))


@pytest.mark.parametrize(
    ("link", "target", "mask", "said"),
    [
        ("eth1", "00052A0A", "00FFFFFF", "--cluster-cidr 10.42.0.0/16 overlaps with 10.42.5.0/24"),
        ("wg0", "0000000A", "000000FF", "overlaps with 10.0.0.0/8, a network of this host at wg0"),
        ("eth1", "80012B0A", "80FFFFFF", "--service-cidr 10.43.0.0/16 overlaps with 10.43.1.128/25"),
    ],
)
def test_a_range_that_a_link_has(link: str, target: str, mask: str, said: str) -> None:
    line = f"{link} {target} 00000000 0001 0 0 0 {mask} 0 0 0"
    with pytest.raises(HostError, match=said):
        require_apart(RANGES, HEAD + "\n".join([*APART, line]))
