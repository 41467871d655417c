"""A short-lived process that puts another authority in the place of the cluster's, or ends that:
`python -m mini8s.app.rotate begin|finish < QUESTION`, a JSON object with `data_dir` and the longest life of a
certificate in `seconds`. Prints what it did and how it stands as JSON. Exit code REFUSED and a sentence on
standard error: there is nothing to finish.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta

from mini8s.app import authority
from mini8s.app.certifying import REFUSED
from mini8s.app.layout import server_files
from mini8s.objects.time import format_time
from mini8s.wire import pem, tls
from mini8s.wire.codec import decode_json, encode_json


def main() -> int:
    os.umask(0o077)
    asked = decode_json(sys.stdin.buffer.read())
    files, begun = server_files(asked["data_dir"]), False
    if sys.argv[1] == "begin":
        begun = authority.begin(files, datetime.now(UTC), timedelta(seconds=asked["seconds"]))
    else:
        known = authority.load(files)
        if known.until is None or known.pending:
            sys.stderr.write("no change of the authority is to be finished\n")
            return REFUSED
        authority.finish(files)
    known = authority.load(files)
    newest, *_ = pem.certificates(known.bundle)
    said = {
        "begun": begun,
        "subject": tls.subject(newest),
        "sha256": pem.fingerprint(newest),
        "until": format_time(known.until) if known.until else "",
    }
    sys.stdout.buffer.write(encode_json(said))
    return 0


if __name__ == "__main__":
    sys.exit(main())
