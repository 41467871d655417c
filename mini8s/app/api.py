"""The API process: store, registry and HTTP server put together. `hub.patch` must have run before."""

from __future__ import annotations

import logging
import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event

from mini8s.api.app import create_app
from mini8s.api.audit.policy import BadPolicy, Judge
from mini8s.api.audit.trail import Write
from mini8s.api.authn import Tokens, authenticator
from mini8s.api.join import Joining
from mini8s.api.service_accounts import ServiceAccounts
from mini8s.api.tokens import BadTokenFile, BootstrapTokens, any_of, read_static
from mini8s.api.upkeep import Upkeep
from mini8s.app import audit_log, certifying, first_objects, host, hub, networks, sealing
from mini8s.app.admitting import Admitting
from mini8s.app.cluster import Cluster
from mini8s.app.host import HostError
from mini8s.app.layout import ServerFiles, server_files
from mini8s.app.news import News
from mini8s.app.process import limit_arenas, settle
from mini8s.app.renewal import Renewal
from mini8s.app.rotation import Rotation
from mini8s.app.sealing import KeysHeld, Sealer, UnknownKind, sealed_prefixes
from mini8s.app.signing import token_signer
from mini8s.app.snapshots import note
from mini8s.app.snapshots.base import SnapshotError
from mini8s.app.supervisor import FATAL, Ready
from mini8s.app.wsgi import CannotListen, Tls, TlsFiles, serve
from mini8s.config import ServerSettings
from mini8s.objects import ip
from mini8s.objects.errors import ApiError, Conflict, ServiceUnavailable
from mini8s.objects.kinds import Obj
from mini8s.objects.names import SUFFIX_LENGTH, SUFFIX_LETTERS
from mini8s.registry.base import Context, Registry, User
from mini8s.registry.machine import Machine
from mini8s.registry.token_requests import Issuer
from mini8s.store.base import Corrupt, Damaged, Locked, StoreError, Unavailable, Unreadable
from mini8s.store.sqlite import SqliteStore, open_store
from mini8s.util.clock import SystemClock
from mini8s.wire.codec import decode_json

log = logging.getLogger(__name__)

FIRST_RENEWAL_SECONDS = 3.0
EXPIRE_SECONDS = 60.0  # how often events that have had their time are looked for
SWITCH_SECONDS = 0.0005  # the store's native writer waits for the interpreter at each step
AGAIN = 75  # EX_TEMPFAIL of sysexits(3): the supervisor starts it again
SERVER = User("system:apiserver", ("system:masters",))


def run(settings: ServerSettings, ready: Ready, news: News) -> int:
    """Serve until told to stop; the exit code. A store or an address that can't be had is final."""
    limit_arenas()
    os.umask(0o077)
    sys.setswitchinterval(SWITCH_SECONDS)
    files = server_files(settings.data_dir)
    files.database.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with sealing.changing(files.secret_keys, wait=True):
            sealer = Sealer(files.secret_keys, sealed_prefixes(settings.encrypt_also))
            store = open_store(
                str(files.database),
                loop=hub.GeventLoop(),
                compact_minutes=settings.compact_minutes,
                compact_revisions=settings.compact_revisions,
                ephemeral_flush_seconds=settings.ephemeral_flush_seconds,
                sealer=sealer,
            )
    except Damaged as error:
        return _repair(settings, files, error)
    except (Corrupt, Locked, Unavailable, Unreadable, UnknownKind) as error:
        log.error("%s", error)  # noqa: TRY400  a sentence for the operator, not a defect
        return FATAL
    try:
        _serve(settings, files, store, sealer, ready, news)
    except BadPolicy as error:
        log.error("--audit-policy-file %s: %s", settings.audit_policy_file, error)  # noqa: TRY400
        return FATAL
    except (BadTokenFile, CannotListen) as error:
        log.error("%s", error)  # noqa: TRY400
        return FATAL
    finally:
        store.close()
    return 0


def _repair(settings: ServerSettings, files: ServerFiles, damage: Damaged) -> int:
    """The exit code: of another start, with what took the database's place, or of the last."""
    from mini8s.app import safety  # hardly ever needed

    try:
        safety.repaired(settings, files, damage, SystemClock().now())
    except (HostError, SnapshotError, OSError) as error:
        log.error("%s", error)  # noqa: TRY400
        return FATAL
    return AGAIN


def _serve(
    settings: ServerSettings,
    files: ServerFiles,
    store: SqliteStore,
    sealer: Sealer,
    ready: Ready,
    news: News,
) -> None:
    signer = token_signer(settings.data_dir)
    name = f"https://kubernetes.default.svc.{settings.cluster_domain}"
    issuer = Issuer(name, audiences=(name,), sign=signer.sign, prepare=signer.prepare)
    registry = _registry(settings, store, issuer)
    accounts = ServiceAccounts(
        registry,
        issuer=issuer.name,
        audiences=issuer.audiences,
        keys=decode_json(files.token_keys.read_bytes()),
        now=SystemClock().now,
    )
    settings = replace(settings, advertise_address=host.advertised(settings))
    first_objects.ensure(registry, _context, settings, networks.first_addresses(settings.service_cidr)[0])
    here = "" if settings.disable_agent else settings.node_name
    admitting = Admitting(registry, _context, files.node_token, here)
    renewal, renew_now = Renewal("server", settings), Event()
    tls = Tls(TlsFiles(*map(str, (files.serving, files.serving_key, files.ca))))
    news.subscribe(partial(_reload, settings, renewal, renew_now))
    housekeeping = [gevent.spawn(_expire, registry), gevent.spawn(_renew, renewal, renew_now)]
    app = create_app(
        registry,
        authenticate=authenticator(_tokens(settings, registry, accounts)),
        accounts=accounts,
        joining=_joining(settings, files, admitting),
        upkeep=Upkeep(
            partial(rotate, store, sealer, files.secret_keys),
            Rotation(settings, admitting, renewal, tls.refresh),
        ),
        ready={"store": lambda: store.trouble},
        stats=lambda: store.stats() | note.figures(files),
        auditing=_auditing(settings, news),
        server_address=f"{ip.in_url(settings.advertise_address)}:{settings.https_listen_port}",
    )
    serve(
        app,
        bind_address=settings.bind_address,
        port=settings.https_listen_port,
        tls=tls,
        unix_socket=str(files.socket),
        on_ready=partial(_ready, ready),
        on_stop=app.close,
    )
    gevent.killall(housekeeping)
    signer.close()


def _registry(settings: ServerSettings, store: SqliteStore, issuer: Issuer) -> Machine:
    return Machine(
        store,
        service_cidr=settings.service_cidr,
        node_port_range=settings.service_node_port_range,
        cluster_cidr=settings.cluster_cidr,
        cluster_dns=settings.cluster_dns,
        node_masks=networks.node_masks(settings),
        clock=SystemClock(),
        new_uid=_uids().__next__,
        new_suffix=_suffix,
        issuer=issuer,
    )


def _tokens(settings: ServerSettings, registry: Registry, accounts: Tokens) -> Tokens:
    """Upstream's order. Raises BadTokenFile."""
    static = [read_static(settings.token_auth_file)] if settings.token_auth_file else []
    return any_of(*static, accounts, BootstrapTokens(registry, SystemClock().now))


def _auditing(settings: ServerSettings, news: News) -> tuple[Judge, Write] | None:
    """Raises BadPolicy."""
    if not settings.audit_policy_file:
        return None
    policy = audit_log.CurrentPolicy(settings.audit_policy_file)
    news.subscribe(policy.reload)
    return policy, audit_log.writer(settings, SystemClock().now)


def _ready(ready: Ready) -> None:
    ready()
    settle()


def _context() -> Context:
    return Context(SERVER, SystemClock().now())


def _uids() -> Iterator[str]:
    """Random UUIDs (RFC 9562, version 4). A call of the system for each would take longer than the rest."""
    while True:
        many = os.urandom(16 * 64).hex()
        for at in range(0, len(many), 32):
            text = many[at : at + 32]
            variant = "89ab"[int(text[16], 16) & 3]
            yield f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"


def _suffix() -> str:
    return "".join(secrets.choice(SUFFIX_LETTERS) for _ in range(SUFFIX_LENGTH))


def rotate(store: SqliteStore, sealer: Sealer, keys: Path) -> int:
    """A new key for all that is encrypted; the old ones go when nothing is under them any more. A start in
    between finishes it. How many stored values were rewritten. Raises Conflict, ServiceUnavailable."""
    try:
        with sealing.changing(keys, wait=False):
            sealer.renew()
            done = store.reseal()
    except KeysHeld as error:
        raise Conflict("a snapshot is being taken: try again when it is done") from error
    except (StoreError, OSError) as error:
        raise ServiceUnavailable(f"the old keys stay until all is under a new one: {error}") from error
    log.info("%d stored values are under a new key", done)
    return done


def _expire(registry: Machine) -> None:
    while True:
        gevent.sleep(EXPIRE_SECONDS)
        forget_old_events(registry)


def _renew(renewal: Renewal, now: Event) -> None:
    now.wait(FIRST_RENEWAL_SECONDS)  # the parent has just looked, and a start has enough to do
    while True:
        now.clear()
        now.wait(renewal.step())


def _reload(settings: ServerSettings, renewal: Renewal, renew_now: Event, said: Mapping[str, Any]) -> None:
    """What a reload brings: names for the certificate."""
    if "tls_san" in said:
        renewal.change(replace(settings, tls_san=tuple(said["tls_san"])))
        renew_now.set()


def forget_old_events(registry: Machine) -> None:
    try:
        registry.expire()
    except ApiError as error:
        log.warning("old events stay for now: %s", error)


def _joining(settings: ServerSettings, files: ServerFiles, admitting: Admitting) -> Joining:
    def sign(node_name: str, request: str) -> Obj:
        signed = _sign(settings, node_name, request)
        admitting.check_key(node_name, signed["key"], signed["authority"])
        log.info("node %s has a new certificate", node_name)
        ca = files.ca.read_text()
        return Cluster.of(settings).to_json() | {"certificate": signed["certificate"], "ca": ca}

    return Joining(files.ca.read_bytes, admitting.check_token, sign)


def _sign(settings: ServerSettings, node_name: str, request: str) -> Obj:
    """The certificate and the id of its key, from a short-lived process. Raises BadRequest,
    ServiceUnavailable."""
    asked = {
        "data_dir": settings.data_dir,
        "node": node_name,
        "seconds": settings.certificate_seconds,
        "request": request,
    }
    signed: Obj = decode_json(certifying.ask("mini8s.app.sign", asked))
    return signed
