"""Signing requests: what each signer signs, who is approved without a person, and when requests go."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from fakes.world import World

from mini8s.app import certify
from mini8s.controllers.kinds.signing.approver import Approver
from mini8s.controllers.kinds.signing.cleaner import Cleaner
from mini8s.controllers.kinds.signing.signer import Signer
from mini8s.controllers.settings import ControllerSettings
from mini8s.objects import node_keys
from mini8s.objects.errors import BadRequest
from mini8s.objects.kinds import NAMESPACES, SECRETS, SIGNINGREQUESTS, Obj
from mini8s.objects.signers import CLIENT, KUBELET_CLIENT, KUBELET_SERVING
from mini8s.wire import tls

EC_KEY = ec.generate_private_key(ec.SECP256R1())
LIFE = 86400
NODE = "system:node:pi"
CLIENT_USAGES, SERVER_USAGES = (["digital signature", f"{side} auth"] for side in ("client", "server"))


def request(common: str, *groups: str, names: tuple[x509.GeneralName, ...] = (), key: Any = EC_KEY) -> bytes:
    subject = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    subject.append(x509.NameAttribute(NameOID.COMMON_NAME, common))
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def node_request(*names: x509.GeneralName) -> bytes:
    return request(NODE, "system:nodes", names=names)


class Signing(World):
    def __init__(self) -> None:
        settings = ControllerSettings(certificate_seconds=LIFE, server_node="server")
        super().__init__([Approver, Signer, Cleaner], settings, authority=self.authority)
        self.ca = tls.new_ca("ca", self.clock.now())
        self.api.create(NAMESPACES, {"metadata": {"name": "kube-system"}})

    def authority(self, spec: Obj, seconds: int) -> bytes:
        pem, life = base64.b64decode(spec["request"]), timedelta(seconds=seconds)
        try:
            return certify.certificate(self.ca, pem, spec["usages"], self.clock.now(), life)
        except certify.Refused as error:
            raise BadRequest(str(error)) from error

    def ask(self, pem: bytes, signer: str, usages: list[str], *, approve: bool = True, **spec: Any) -> Obj:
        """The request after a person approved it and everything settled."""
        text = base64.b64encode(pem).decode()
        spec = {"request": text, "signerName": signer, "usages": usages, "username": "ann"} | spec
        self.api.create(SIGNINGREQUESTS, {"metadata": {"name": "x"}, "spec": spec})
        if approve:
            self.decide("Approved")
        self.settle()
        return self.get(SIGNINGREQUESTS, "x")

    def decide(self, word: str) -> None:
        now = self.clock.now().isoformat(timespec="seconds").replace("+00:00", "Z")
        condition = {"type": word, "status": "True", "reason": "ByHand", "lastUpdateTime": now}
        change = {"status": {"conditions": [condition]}}
        self.api.patch(SIGNINGREQUESTS, "", "x", change, subresource="approval")


@pytest.fixture
def world() -> Iterator[Signing]:
    made = Signing()
    yield made
    made.close()


def issued(csr: Obj) -> x509.Certificate:
    return x509.load_pem_x509_certificate(base64.b64decode(csr["status"]["certificate"]))


def said(csr: Obj) -> list[tuple[str, str]]:
    return [(one["type"], one.get("message", "")) for one in csr["status"]["conditions"]]


def test_a_user_gets_what_he_asked_for_and_no_more(world: Signing) -> None:
    pem = request("ann", "dev", "ops", names=(x509.DNSName("ann.example"),))
    made = issued(world.ask(pem, CLIENT, ["client auth"]))
    by = x509.load_pem_x509_certificate(world.ca.certificate)
    made.verify_directly_issued_by(by)
    signed_with = made.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    assert signed_with == by.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert tls.subject(made.public_bytes(serialization.Encoding.PEM)) == "ann"
    groups = made.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    assert [group.value for group in groups] == ["dev", "ops"]
    purposes = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    with pytest.raises(x509.ExtensionNotFound):
        made.extensions.get_extension_for_class(x509.KeyUsage)
    assert made.not_valid_after_utc == world.clock.now() + timedelta(seconds=LIFE)


def test_what_is_signed_is_what_was_judged(world: Signing) -> None:
    """Other readers of PEM take a block with no line break after its head; ours does not."""
    hidden = request("eve", "system:masters").replace(b"-----\n", b"-----", 1)
    made = issued(world.ask(hidden + request("ann", "dev"), CLIENT, ["client auth"]))
    groups = made.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    assert [group.value for group in groups] == ["dev"]


def test_names_that_no_signer_knows_are_no_defect(world: Signing) -> None:
    names = (x509.RegisteredID(NameOID.COMMON_NAME), x509.DNSName("ann.example"))
    made = issued(world.ask(request("ann", names=names), CLIENT, ["client auth"]))
    given = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(given) == [x509.DNSName("ann.example")]


@pytest.mark.parametrize(("asked", "given"), [(3600, 3600), (LIFE + 1, LIFE)])
def test_how_long_it_lives(world: Signing, asked: int, given: int) -> None:
    made = issued(world.ask(request("ann"), CLIENT, ["client auth"], expirationSeconds=asked))
    assert made.not_valid_after_utc == world.clock.now() + timedelta(seconds=given)


def test_a_certificate_does_not_outlive_its_authority(world: Signing) -> None:
    world.clock.step((tls.CA_LIFE - timedelta(hours=2)).total_seconds())
    made = issued(world.ask(request("ann"), CLIENT, ["client auth"]))
    assert made.not_valid_after_utc == tls.expires(world.ca.certificate)


def test_nobody_signs_before_somebody_approves(world: Signing) -> None:
    csr = world.ask(request("ann"), CLIENT, ["client auth"], approve=False)
    assert "status" not in csr
    world.decide("Denied")
    world.settle()
    assert said(world.get(SIGNINGREQUESTS, "x")) == [("Denied", "")]


def test_other_signers_requests_are_left_alone(world: Signing) -> None:
    assert said(world.ask(request("ann"), "example.com/signer", ["client auth"])) == [("Approved", "")]


REFUSED = [
    (CLIENT, request("ann"), ["server auth"], "invalid usage for client certificate: server auth"),
    (
        CLIENT,
        request("ann"),
        ["digital signature"],
        "missing required usage for client certificate: client auth",
    ),
    (KUBELET_CLIENT, request(NODE), CLIENT_USAGES, "subject organization is not system:nodes"),
    (
        KUBELET_CLIENT,
        request("pi", "system:nodes"),
        CLIENT_USAGES,
        "subject common name does not begin with system:node:",
    ),
    (KUBELET_CLIENT, node_request(x509.DNSName("pi")), CLIENT_USAGES, "DNS subjectAltNames are not allowed"),
    (
        KUBELET_CLIENT,
        node_request(),
        ["client auth"],
        "usages did not match [client auth digital signature key encipherment]",
    ),
    (KUBELET_SERVING, node_request(), SERVER_USAGES, "DNS or IP subjectAltName is required"),
    (
        KUBELET_SERVING,
        node_request(x509.DNSName("pi"), x509.UniformResourceIdentifier("spiffe://pi")),
        SERVER_USAGES,
        "URI subjectAltNames are not allowed",
    ),
    (
        CLIENT,
        request("ann", key=rsa.generate_private_key(65537, 1024)),
        ["client auth"],
        "the key is none of",
    ),
]


@pytest.mark.parametrize(("signer", "pem", "usages", "why"), REFUSED, ids=[row[3][:30] for row in REFUSED])
def test_what_a_signer_does_not_sign_has_failed(
    world: Signing, signer: str, pem: bytes, usages: list[str], why: str
) -> None:
    csr = world.ask(pem, signer, usages)
    assert "certificate" not in csr["status"]
    (_, (word, message)) = said(csr)
    assert (word, message[: len(why)]) == ("Failed", why)
    assert world.writes()
    world.settle()
    assert world.writes() == []


def test_a_request_that_its_key_did_not_sign_has_failed(world: Signing) -> None:
    der = x509.load_pem_x509_csr(request("ann", "dev")).public_bytes(serialization.Encoding.DER)
    text = base64.b64encode(der.replace(b"dev", b"ops"))
    pem = b"-----BEGIN CERTIFICATE REQUEST-----\n" + text + b"\n-----END CERTIFICATE REQUEST-----\n"
    assert said(world.ask(pem, CLIENT, ["client auth"]))[1] == (
        "Failed",
        "unable to verify certificate request signature",
    )


def test_a_kubelets_serving_certificate(world: Signing) -> None:
    names = (x509.DNSName("pi"),)
    made = issued(world.ask(node_request(*names), KUBELET_SERVING, [*SERVER_USAGES, "key encipherment"]))
    assert list(made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value) == list(names)
    assert made.extensions.get_extension_for_class(x509.KeyUsage).value.key_encipherment


@pytest.mark.parametrize(
    ("user", "right", "message"),
    [
        (NODE, "selfnodeclient", "Auto approving self kubelet client certificate after SubjectAccessReview."),
        (NODE, "nodeclient", "Auto approving kubelet client certificate after SubjectAccessReview."),
        ("ann", "nodeclient", "Auto approving kubelet client certificate after SubjectAccessReview."),
    ],
)
def test_kubelets_are_approved_where_a_role_says_so(
    world: Signing, user: str, right: str, message: str
) -> None:
    world.api.allowed.add((user, right))
    csr = world.ask(node_request(), KUBELET_CLIENT, CLIENT_USAGES, approve=False, username=user)
    assert said(csr) == [("Approved", message)]
    assert issued(csr)


@pytest.mark.parametrize(
    ("user", "right", "signer"),
    [
        (NODE, "", KUBELET_CLIENT),
        ("ann", "selfnodeclient", KUBELET_CLIENT),  # which is about oneself
        (NODE, "nodeclient", CLIENT),
    ],
)
def test_all_others_wait_for_a_person(world: Signing, user: str, right: str, signer: str) -> None:
    world.api.allowed.add((user, right))
    assert "status" not in world.ask(node_request(), signer, CLIENT_USAGES, approve=False, username=user)


@pytest.mark.parametrize(
    ("node", "key", "good"),
    [("pi", tls.key_id(node_request()), True), ("pi", "another", False), ("server", "", False)],
)
def test_a_node_that_joined_is_its_key(world: Signing, node: str, key: str, good: bool) -> None:
    if key:
        world.api.create(SECRETS, node_keys.made(node, key))
    csr = world.ask(request(f"system:node:{node}", "system:nodes"), KUBELET_CLIENT, CLIENT_USAGES)
    assert ("certificate" in csr["status"]) is good
    assert good or "mini8s node replace" in said(csr)[1][1]


@pytest.mark.parametrize(
    ("word", "stays", "goes"), [("", 24 * 3600 - 1, 1), ("Denied", 3599, 1), ("Approved", 3599, 1)]
)
def test_when_requests_go(world: Signing, word: str, stays: float, goes: float) -> None:
    world.ask(request("ann"), CLIENT, ["client auth"], approve=word == "Approved")
    if word == "Denied":
        world.decide(word)
    world.settle()
    world.step(stays)
    assert world.names(SIGNINGREQUESTS) == ["x"]
    world.step(goes)
    assert world.names(SIGNINGREQUESTS) == []


def test_one_whose_certificate_ended_goes(world: Signing) -> None:
    world.ask(request("ann"), CLIENT, ["client auth"], expirationSeconds=600)
    world.step(600)
    assert world.names(SIGNINGREQUESTS) == []
