"""`mini8s token`: what another host needs to join."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime, timedelta

import click

from mini8s.app.layout import server_files
from mini8s.app.token import Token
from mini8s.cli.connect import connect, connection_options
from mini8s.cli.errors import CommandError
from mini8s.cli.options import data_dir_option
from mini8s.cli.output import data_option, echo_listed
from mini8s.objects import bootstrap_tokens
from mini8s.objects.errors import NotFound
from mini8s.objects.kinds import SECRETS, Obj
from mini8s.objects.time import human_duration
from mini8s.wire import pem

_MOST_SECONDS = 3650 * 86400
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@click.group("token", invoke_without_command=True)
@data_dir_option
@click.pass_context
def command(context: click.Context, data_dir: str) -> None:
    """Print the token with which other hosts join this server, or make, list and delete ones that end."""
    if context.invoked_subcommand:
        return
    path = server_files(data_dir).node_token
    try:
        click.echo(path.read_text().strip())
    except FileNotFoundError:
        raise CommandError(f"{path} does not exist: has a server been started here?") from None
    except PermissionError:
        raise CommandError(f"{path} is for root alone") from None


def _duration(_context: click.Context, _param: click.Parameter, value: str) -> timedelta:
    """As Go writes it, and days."""
    if not re.fullmatch(r"0|(\d+[smhd])+", value):
        raise click.BadParameter(f"{value!r} is not a duration such as 90m, 24h or 7d (0: no end)")
    parts = re.findall(r"(\d+)([smhd])", value)
    seconds = sum(int(number) * _UNITS[unit] for number, unit in parts)
    if seconds > _MOST_SECONDS:
        raise click.BadParameter(f"{value!r} is longer than the cluster's authority lives: 0 is for no end")
    return timedelta(seconds=seconds)


@command.command("create")
@click.option("--ttl", default="24h", callback=_duration, help="How long it is good for; 0: without end.")
@click.option("--usage", type=click.Choice(["agent"]), default="agent", help="Who may join with it.")
@click.option("--description", default="", help="What it is for.")
@connection_options
def create(ttl: timedelta, usage: str, description: str, kubeconfig: str, data_dir: str) -> None:  # noqa: ARG001
    """Make a token that ends, and print it."""
    rest = connect(kubeconfig, data_dir)
    newest, *_ = pem.certificates(rest.request("GET", "/cacerts").body)
    letters = "".join(secrets.choice(bootstrap_tokens.LETTERS) for _ in range(22))
    token = f"{letters[:6]}.{letters[6:]}"
    expires = datetime.now(UTC) + ttl if ttl else None
    rest.create(SECRETS, bootstrap_tokens.made(token, expires, description))
    click.echo(str(Token(token, ca=pem.fingerprint(newest))))


@command.command("list")
@data_option
@connection_options
def list_(output: str | None, kubeconfig: str, data_dir: str) -> None:
    """List the tokens that end, without their secrets."""
    rest = connect(kubeconfig, data_dir)
    found = rest.list(SECRETS, bootstrap_tokens.NAMESPACE, fields=f"type={bootstrap_tokens.TYPE}").items
    names = ("Token", "TTL", "Expires", "Usages", "Description")
    echo_listed(names, [_cells(secret, datetime.now(UTC)) for secret in found], output)


def _cells(secret: Obj, now: datetime) -> list[str]:
    end = bootstrap_tokens.expires(secret)
    left = human_duration(max(0.0, (end - now).total_seconds())) if end else "<forever>"
    usages = (
        one for one in bootstrap_tokens.USAGES if bootstrap_tokens.text(secret, f"usage-bootstrap-{one}")
    )
    return [
        bootstrap_tokens.text(secret, "token-id"),
        left,
        bootstrap_tokens.text(secret, "expiration") or "<never>",
        ",".join(usages),
        bootstrap_tokens.text(secret, "description"),
    ]


@command.command("delete")
@click.argument("tokens", nargs=-1, required=True, metavar="TOKEN...")
@connection_options
def delete(tokens: tuple[str, ...], kubeconfig: str, data_dir: str) -> None:
    """Delete tokens, named by their ids or as they were printed."""
    rest = connect(kubeconfig, data_dir)
    for text in tokens:
        name = text.rpartition("::")[2].partition(".")[0]
        try:
            rest.delete(SECRETS, bootstrap_tokens.NAMESPACE, bootstrap_tokens.PREFIX + name)
        except NotFound:
            raise CommandError(f"there is no token {name}") from None
        click.echo(f"token {name} deleted")
