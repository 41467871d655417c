"""The API process alone, over a real store: `python api_server.py FOLDER PORT [SECONDS]`.

FOLDER holds server.crt, server.key and ca.crt; the store and the unix socket go there too. Prints `ready`.
SECONDS is how long it waits for slow clients, instead of its own, longer limits. SIGUSR1 compacts the store.
"""

# ruff: noqa: PLC0415  nothing may be imported before the patch
from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mini8s.api.join import Joining


def main(folder: Path, port: int, patience: int = 0) -> int:
    from mini8s.app import hub

    hub.patch()  # before anything else imports ssl or socket
    logging.basicConfig(level="INFO", stream=sys.stderr)
    if patience:
        from mini8s.app import handler, wsgi

        wsgi.HANDSHAKE_SECONDS = wsgi.KEEPALIVE_SECONDS = patience
        handler.HEADER_SECONDS = handler.BODY_SECONDS = handler.DISCARD_SECONDS = patience
    return run(folder, port)


def run(folder: Path, port: int) -> int:
    import secrets
    import signal
    import uuid

    import gevent

    sys.path.insert(0, str(Path(__file__).parents[1]))  # a script's own folder is all it has
    from fakes.policy import seed
    from fakes.tokens import issuer

    from mini8s.api.app import create_app
    from mini8s.api.authn import authenticator
    from mini8s.app.hub import GeventLoop
    from mini8s.app.wsgi import CannotListen, Tls, TlsFiles, serve
    from mini8s.registry.base import User
    from mini8s.registry.machine import Machine
    from mini8s.store.sqlite import open_store
    from mini8s.util.clock import SystemClock

    tokens = {"janes-token": User("jane", ("system:authenticated",))}
    store = open_store(str(folder / "state.db"), loop=GeventLoop())
    registry = Machine(
        store,
        service_cidr="10.43.0.0/16",
        node_port_range="30000-32767",
        cluster_cidr="10.42.0.0/16",
        cluster_dns="10.43.0.10",
        clock=SystemClock(),
        new_uid=lambda: str(uuid.uuid4()),
        new_suffix=lambda: secrets.token_hex(3)[:5],
        issuer=issuer(),
    )
    gevent.signal_handler(signal.SIGUSR1, lambda: store.compact(store.revision))
    seed(registry, SystemClock().now())
    app = create_app(
        registry,
        authenticate=authenticator(tokens.get),
        joining=_joining(folder),
        ready={"store": lambda: ""},
        stats=store.stats,
        server_address=f"127.0.0.1:{port}",
    )
    try:
        serve(
            app,
            bind_address="127.0.0.1",
            port=port,
            tls=Tls(TlsFiles(*(str(folder / name) for name in ("server.crt", "server.key", "ca.crt")))),
            unix_socket=str(folder / "api.sock"),
            on_ready=lambda: print("ready", flush=True),
            on_stop=app.close,
        )
    except CannotListen as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        store.close()
    return 0


def _joining(folder: Path) -> Joining:
    from mini8s.api.join import Joining
    from mini8s.objects.errors import Unauthorized

    def check_token(token: str) -> None:
        if token != "secret":
            raise Unauthorized("the server does not accept this token")

    return Joining((folder / "ca.crt").read_bytes, check_token, lambda node, csr: {"node": node, "csr": csr})


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), *map(int, sys.argv[3:])))
