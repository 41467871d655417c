"""The shell's side of the hosts: `scripts/hosts`."""

from __future__ import annotations

import os
import sys

from hosts import Host, HostError, Hosts
from hosts.leftovers import Leftovers

USAGE = """usage: scripts/hosts up N            make hosts 1 to N
       scripts/hosts exec K CMD...   run a command on host K (docker, mini8s and kubectl find theirs)
       scripts/hosts cut K | mend K  pull host K's cable, plug it in again
       scripts/hosts reboot K        power host K off and on; its files stay
       scripts/hosts ls              the hosts there are
       scripts/hosts down            remove them all
       scripts/hosts leftovers       what a set that was not taken down left behind
MINI8S_HOSTS_PREFIX (m8) names the set; several live side by side."""


def main(arguments: list[str]) -> int:
    hosts = Hosts()
    match arguments:
        case ["up", count] if count.isdigit():
            for host in hosts.up(int(count)):
                print(line(host))
        case ["exec", number, *command] if number.isdigit() and command:
            host = hosts[int(number)]
            os.execvpe("sh", host.command(*command), {**os.environ, **host.environment})
        case ["cut" | "mend" | "reboot" as verb, number] if number.isdigit():
            getattr(hosts[int(number)], verb)()
        case ["ls"]:
            for host in hosts:
                print(line(host))
        case ["down"]:
            hosts.down()
        case ["leftovers"]:
            found = Leftovers.of(hosts.place).lines()
            print("\n".join(found))
            return 1 if found else 0
        case _:
            print(USAGE, file=sys.stderr)
            return 2
    return 0


def line(host: Host) -> str:
    return f"{host.number}  {host.name}  {host.ip}  {'up' if host.is_up else 'down'}  {host.docker_host}"


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (HostError, RuntimeError, ValueError) as error:
        sys.exit(f"hosts: {error}")
