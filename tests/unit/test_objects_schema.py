"""Types, unknown fields, defaults: with field paths, and never on the object that was given."""

from __future__ import annotations

import copy

import pytest

from mini8s.objects import schema
from mini8s.objects.errors import NotFound
from mini8s.objects.kinds import DEPLOYMENTS, EVENTS, KINDS, LEASES, NODES, PODS, ROLES, SECRETS, SERVICES
from mini8s.objects.schema.types import Shape


def container(**more):
    return {"name": "c", "image": "x:1", **more}


def pod(**spec):
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"containers": [container()], **spec},
    }


def told(kind, obj):
    problems = schema.validate(kind, obj)
    return [(cause.field, cause.message) for cause in problems.errors], problems.unknown


def test_every_kind_has_a_type():
    for kind in KINDS:
        assert schema.of(kind).shape is Shape.OBJECT
        assert "x-kubernetes-group-version-kind" in schema.definitions()[schema.definition_name(kind)]
    assert schema.of_version_kind("autoscaling/v1", "Scale").field("spec").schema.fields.keys() == {
        "replicas"
    }
    with pytest.raises(NotFound):
        schema.of_version_kind("v1", "Nothing")


PORTS = [{"containerPort": "80"}]


@pytest.mark.parametrize(
    ("spec", "path", "given", "type"),
    [
        ({"containers": [container(ports=PORTS)]}, "containers[0].ports[0].containerPort", "string", "int32"),
        ({"containers": {}}, "containers", "object", "[]Container"),
        ({"hostNetwork": "yes"}, "hostNetwork", "string", "bool"),
        ({"nodeName": 5}, "nodeName", "number", "string"),
        ({"priority": 1.5}, "priority", "number 1.5", "int32"),
        ({"priority": 1 << 31}, "priority", "number 2147483648", "int32"),
        ({"priority": True}, "priority", "bool", "int32"),
        ({"activeDeadlineSeconds": 1 << 63}, "activeDeadlineSeconds", f"number {1 << 63}", "int64"),
        ({"nodeSelector": {"a.b/c": 1}}, "nodeSelector[a.b/c]", "number", "string"),
        ({"nodeSelector": []}, "nodeSelector", "array", "map[string]string"),
    ],
)
def test_wrong_types(spec, path, given, type):
    message = f"json: cannot unmarshal {given} into field spec.{path} of type {type}"
    assert told(PODS, pod(**spec)) == ([(f"spec.{path}", message)], [])


def test_what_a_string_must_say():
    limits = {"limits": {"cpu": "much", "memory": True}}
    bad = pod(containers=[container(resources=limits, livenessProbe={"httpGet": {"port": 1.5}})])
    bad["metadata"]["deletionTimestamp"] = "tomorrow"
    errors, _ = told(PODS, bad)
    assert [field for field, _ in errors] == [
        "metadata.deletionTimestamp",
        "spec.containers[0].resources.limits.cpu",
        "spec.containers[0].resources.limits.memory",
        "spec.containers[0].livenessProbe.httpGet.port",
    ]
    assert told(SECRETS, {"data": {"a": "?"}})[0] == [("data.a", "data.a: illegal base64 data")]
    assert told(SECRETS, {"data": {"a": "aGk="}}) == ([], [])


def test_unknown_fields_and_nulls():
    odd = pod(containers=[container(imagee="y", env=None)], hostname=None)
    odd["extra"] = {"deep": 1}
    assert told(PODS, odd) == ([], ["spec.containers[0].imagee", "extra"])
    assert told(PODS, [])[0] == [("", "json: cannot unmarshal array into value of type Pod")]
    assert told(PODS, {"metadata": {"managedFields": [{"fieldsV1": {"f:x": {}}}]}}) == ([], [])


def completed(kind, obj):
    before = copy.deepcopy(obj)
    made = schema.apply_defaults(kind, obj)
    assert obj == before
    assert schema.apply_defaults(kind, made) == made
    assert schema.validate(kind, made).errors == []
    return made


def test_a_pods_defaults():
    made = completed(PODS, pod(volumes=[{"name": "v"}, {"name": "w", "secret": {"secretName": "s"}}]))["spec"]
    assert made == {
        "containers": [
            {
                "name": "c",
                "image": "x:1",
                "imagePullPolicy": "IfNotPresent",
                "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
            }
        ],
        "volumes": [
            {"name": "v", "emptyDir": {}},
            {"name": "w", "secret": {"secretName": "s", "defaultMode": 420}},
        ],
        "restartPolicy": "Always",
        "dnsPolicy": "ClusterFirst",
        "terminationGracePeriodSeconds": 30,
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "enableServiceLinks": True,
    }


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("x", "Always"), ("x:latest", "Always"), ("x:1", "IfNotPresent"), ("h:5000/x", "Always"),
        ("h:5000/x:1", "IfNotPresent"), ("x@sha256:00", "IfNotPresent"),
    ],
)  # fmt: skip
def test_pull_policy(image, policy):
    made = completed(PODS, pod(containers=[{"name": "c", "image": image}]))
    assert made["spec"]["containers"][0]["imagePullPolicy"] == policy


def test_what_was_said_stays():
    said = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "enableServiceLinks": False}
    probe = {"tcpSocket": {"port": "web"}, "periodSeconds": 5, "failureThreshold": 0}
    made = completed(PODS, pod(**said, containers=[container(livenessProbe=probe, image="")]))["spec"]
    assert {key: made[key] for key in said} == said
    assert made["containers"][0]["livenessProbe"] == {
        "tcpSocket": {"port": "web"},
        "periodSeconds": 5,
        "failureThreshold": 3,
        "successThreshold": 1,
        "timeoutSeconds": 1,
    }


def test_limits_are_requests_of_pods_but_not_of_templates():
    hungry = container(resources={"limits": {"cpu": "0.5", "memory": "1024Mi"}, "requests": {"cpu": 0.25}})
    made = completed(PODS, pod(containers=[hungry]))["spec"]["containers"][0]["resources"]
    assert made == {"limits": {"cpu": "500m", "memory": "1Gi"}, "requests": {"cpu": "250m", "memory": "1Gi"}}
    template = completed(DEPLOYMENTS, {"spec": {"template": {"spec": {"containers": [hungry]}}}})
    spec = template["spec"]["template"]["spec"]
    assert spec["containers"][0]["resources"]["requests"] == {"cpu": "250m"}
    assert "enableServiceLinks" not in spec


def test_unknown_fields_and_nulls_are_dropped():
    odd = pod(containers=[container(imagee="y", env=None)])
    odd["metadata"]["creationTimestamp"] = None
    made = completed(PODS, odd)
    assert "imagee" not in made["spec"]["containers"][0]
    assert "env" not in made["spec"]["containers"][0]
    assert "creationTimestamp" not in made["metadata"]


def test_host_ports_on_the_hosts_network():
    ports = [{"containerPort": 80}]
    made = completed(PODS, pod(hostNetwork=True, containers=[container(ports=ports)]))
    assert made["spec"]["containers"][0]["ports"] == [
        {"containerPort": 80, "hostPort": 80, "protocol": "TCP"}
    ]


def test_a_deployments_defaults():
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}
    for strategy in ({}, {"strategy": {}}, {"strategy": {"rollingUpdate": {}}}):
        assert completed(DEPLOYMENTS, {"spec": strategy})["spec"] == {
            "replicas": 1,
            "revisionHistoryLimit": 10,
            "progressDeadlineSeconds": 600,
            "strategy": rolling,
        }
    recreate = completed(DEPLOYMENTS, {"spec": {"replicas": 0, "strategy": {"type": "Recreate"}}})["spec"]
    assert recreate["strategy"] == {"type": "Recreate"}
    assert recreate["replicas"] == 0


def test_a_services_defaults():
    made = completed(SERVICES, {"spec": {"ports": [{"port": 80}, {"port": 1, "targetPort": "web"}]}})["spec"]
    assert made == {
        "type": "ClusterIP",
        "sessionAffinity": "None",
        "internalTrafficPolicy": "Cluster",
        "ports": [
            {"port": 80, "protocol": "TCP", "targetPort": 80},
            {"port": 1, "protocol": "TCP", "targetPort": "web"},
        ],
    }
    balanced = completed(SERVICES, {"spec": {"type": "LoadBalancer", "sessionAffinity": "ClientIP"}})["spec"]
    assert balanced["externalTrafficPolicy"] == "Cluster"
    assert balanced["allocateLoadBalancerNodePorts"] is True
    assert balanced["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 10800}}
    external = completed(SERVICES, {"spec": {"type": "ExternalName", "externalName": "x"}})["spec"]
    assert "internalTrafficPolicy" not in external


def test_small_defaults():
    assert completed(SECRETS, {"data": {}})["type"] == "Opaque"
    node = completed(NODES, {"status": {"capacity": {"cpu": "2"}}})
    assert node["status"]["allocatable"] == {"cpu": "2"}


def test_defaults_are_not_shared():
    one, other = completed(PODS, pod()), completed(PODS, pod())
    one["spec"]["securityContext"]["runAsUser"] = 1
    assert other["spec"]["securityContext"] == {}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("2026-01-01T01:00:00+01:00", "2026-01-01T00:00:00Z"),
        ("2026-01-01t00:00:00.25z", "2026-01-01T00:00:00Z"),
    ],
)
def test_times_are_kept_as_the_api_writes_them(given, kept):
    """The official Python client sends back +00:00 where it was given Z."""
    made = schema.apply_defaults(PODS, {"metadata": {"creationTimestamp": given}})
    assert made["metadata"]["creationTimestamp"] == kept


def test_times_of_leases_have_microseconds():
    for given in ("2026-01-01T01:00:00.25+01:00", "2026-01-01T00:00:00.250000Z"):
        made = schema.apply_defaults(LEASES, {"spec": {"renewTime": given}})
        assert made["spec"]["renewTime"] == "2026-01-01T00:00:00.250000Z"


def test_a_time_that_is_none_in_utc():
    found = schema.validate(PODS, {"metadata": {"creationTimestamp": "0001-01-01T00:00:00+14:00"}})
    assert [cause.field for cause in found.errors] == ["metadata.creationTimestamp"]


def test_line_ends_in_bytes_are_none_of_them():
    secret = {"data": {"a": "YW\r\nJj\n"}}
    assert not schema.validate(SECRETS, secret).errors
    assert schema.apply_defaults(SECRETS, secret)["data"] == {"a": "YWJj"}


def test_an_event_always_says_about_what():
    assert schema.apply_defaults(EVENTS, {})["involvedObject"] == {}


def test_what_is_empty_is_left_out_where_go_leaves_it_out():
    made = schema.apply_defaults(
        PODS,
        {
            "metadata": {"labels": {}, "finalizers": [], "annotations": {"a": ""}},
            "spec": {"containers": [], "nodeSelector": {}, "volumes": [{"name": "v", "emptyDir": {}}]},
        },
    )
    assert made["metadata"] == {"annotations": {"a": ""}}
    assert made["spec"]["containers"] == []
    assert "nodeSelector" not in made["spec"]
    assert made["spec"]["volumes"] == [{"name": "v", "emptyDir": {}}]
    assert schema.apply_defaults(ROLES, {"rules": []}) == {"rules": []}
