"""What `mini8s describe` makes of an object's keys."""

from __future__ import annotations

import pytest

from mini8s.cli.describe import _title, description


@pytest.mark.parametrize(
    ("key", "title"),
    [
        ("revisionHistoryLimit", "Revision History Limit"),
        ("clusterIP", "Cluster IP"),
        ("clusterIPs", "Cluster IPs"),
        ("ipFamilyPolicy", "IP Family Policy"),
        ("podCIDR", "Pod CIDR"),
        ("dnsPolicy", "DNS Policy"),
        ("kubernetes.io/arch", "kubernetes.io/arch"),
    ],
)
def test_keys_are_spelled_out(key: str, title: str) -> None:
    assert _title(key) == title


def test_names_that_people_gave_stay_as_they_are() -> None:
    obj = {
        "kind": "ConfigMap",
        "metadata": {"name": "signs", "labels": {"app": "web"}},
        "data": {"greetingText": "hello"},
    }
    lines = list(description(obj))
    assert "  app:                    web" in lines
    assert "  greetingText:           hello" in lines


def test_a_long_title_keeps_its_distance() -> None:
    obj = {"kind": "Service", "metadata": {"name": "web"}, "spec": {"internalTrafficPolicy": "Cluster"}}
    assert "  Internal Traffic Policy: Cluster" in list(description(obj))
