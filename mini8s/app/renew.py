"""A short-lived process that renews what is due: `python -m mini8s.app.renew server|agent [again] <
SETTINGS`, where SETTINGS are those of the server or the agent as JSON, which may run in an earlier release.
`again`: also what is not due, since the authority is another.

Prints the seconds until the next renewal. One sentence on standard error and exit code 1: it could not be
done, and is to be tried again.
"""

from __future__ import annotations

import logging
import sys

from mini8s.app import agent, server
from mini8s.app.host import HostError
from mini8s.app.join import JoinRefused, ServerAway
from mini8s.config import AgentSettings, ServerSettings, known
from mini8s.wire.codec import decode_json


def main() -> int:
    logging.basicConfig(level=logging.WARNING)
    said = decode_json(sys.stdin.buffer.read())
    try:
        if sys.argv[1] == "server":
            left = server.prepare(known(ServerSettings, said))
        else:
            left = agent.renew(known(AgentSettings, said), again="again" in sys.argv[2:])
    except (HostError, JoinRefused, ServerAway, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{left}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
