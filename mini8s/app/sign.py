"""A short-lived process that signs one node's request: `python -m mini8s.app.sign DATA_DIR NODE
SECONDS < request.pem`, SECONDS being the certificate's life. Prints the
certificate and the id of its key as JSON.

The API server starts it for each join, so that `cryptography` and the authority's key stay out of its memory.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

from mini8s.app.bootstrap import load_authority, node_leaf
from mini8s.app.layout import server_files
from mini8s.wire import tls
from mini8s.wire.codec import encode_json


def main() -> int:
    data_dir, node_name, seconds = sys.argv[1:]
    authority = load_authority(server_files(data_dir))
    try:
        request = sys.stdin.buffer.read()
        certificate = tls.sign_request(
            authority,
            request,
            node_leaf(node_name),
            datetime.now(UTC),
            timedelta(seconds=int(seconds)),
        )
    except tls.BadRequestForCertificate as error:
        sys.stderr.write(f"{error}\n")
        return 1
    said = {"certificate": certificate.decode(), "key": tls.key_id(request)}
    sys.stdout.buffer.write(encode_json(said))
    return 0


if __name__ == "__main__":
    sys.exit(main())
