"""A short-lived process that signs one node's request: `python -m mini8s.app.sign < QUESTION`, a JSON object
with `data_dir`, `node`, the certificate's life in `seconds`, and the `request` as PEM. Prints the
certificate, the id of its key and the authority's hash as JSON; exit code REFUSED and a sentence on standard
error: the request is at fault.

The API server starts it for each join, so that `cryptography` and the authority's key stay out of its memory.
Words have names, because a package that was put under a running server brings this file's next release.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

from mini8s.app import authority
from mini8s.app.bootstrap import node_leaf
from mini8s.app.certifying import REFUSED
from mini8s.app.layout import server_files
from mini8s.wire import pem, tls
from mini8s.wire.codec import decode_json, encode_json


def main() -> int:
    asked = decode_json(sys.stdin.buffer.read())
    pair = authority.load(server_files(asked["data_dir"])).pair
    request, life = asked["request"].encode(), timedelta(seconds=asked["seconds"])
    try:
        certificate = tls.sign_request(pair, request, node_leaf(asked["node"]), datetime.now(UTC), life)
    except tls.BadRequestForCertificate as error:
        sys.stderr.write(f"{error}\n")
        return REFUSED
    said = {
        "certificate": certificate.decode(),
        "key": tls.key_id(request),
        "authority": pem.fingerprint(pair.certificate),
    }
    sys.stdout.buffer.write(encode_json(said))
    return 0


if __name__ == "__main__":
    sys.exit(main())
