"""`mini8s snapshot`: everything that a server needs to be that cluster again, in one file."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from pathlib import Path

import click

from mini8s.app import host
from mini8s.app.layout import ServerFiles, agent_files, server_files
from mini8s.app.local_time import local_zone
from mini8s.app.snapshots import archive, base, note, restore, run, take
from mini8s.cli.errors import CommandError
from mini8s.cli.options import data_dir_option
from mini8s.cli.output import data_option, echo_listed
from mini8s.objects import cron

_folder = click.option(
    "--dir", "folder", default="", help="Folder of snapshots; the server's own when empty."
)
_opened = click.option("--decrypt-with", default="", help="File with the passphrase of encrypted ones.")


@click.group("snapshot")
def command() -> None:
    """Save, list, restore and delete snapshots of the server on this host."""
    if os.geteuid() != 0:
        raise CommandError("snapshots are for root alone: there are the cluster's keys in them")


@command.command("save")
@data_dir_option
@_folder
@click.option("--name", default=base.ON_DEMAND, help="What the file's name begins with.")
@click.option("--encrypt-with", default="", help="File with a passphrase to encrypt it with.")
@click.option("--to-command", default="", help="Shell command that gets it on its standard input.")
def save(data_dir: str, folder: str, name: str, encrypt_with: str, to_command: str) -> None:
    """Take a snapshot now, with the server running or not."""
    files, said = _server(data_dir)
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", name):
        raise CommandError(f"--name {name!r} is not of lower case letters, digits and dashes")
    wish = take.Wish(
        folder=_dir(folder, said, files),
        node=said.node or host.node_name(""),
        why=name,
        passphrase_file=encrypt_with or said.encrypt_with,
        command=to_command,
    )
    try:
        click.echo(run.sentence(run.noted(files, wish, datetime.now(UTC))))
    except base.SnapshotError as error:
        raise CommandError(str(error)) from error


@command.command("list")
@data_option
@data_dir_option
@_folder
@_opened
def list_them(output: str | None, data_dir: str, folder: str, decrypt_with: str) -> None:
    """Show the snapshots that there are, the oldest first."""
    files, said = _server(data_dir)
    place = _dir(folder, said, files)
    rows = [_row(place / one.name, one, decrypt_with or said.encrypt_with) for one in take.found(place)]
    if not rows and not output:
        click.echo(f"there is no snapshot in {place}")
        return
    echo_listed(("Name", "Taken", "Size", "Revision", "mini8s"), rows, output)


@command.command("schedule")
@data_dir_option
def schedule(data_dir: str) -> None:
    """Say when the server takes snapshots, and what became of the last."""
    files, said = _server(data_dir)
    last = note.last(files)
    if said.schedule:
        times, when = cron.parse(said.schedule), datetime.now(UTC)
        following = times.after(when, local_zone())
        click.echo(f"schedule:  {said.schedule} (--snapshot-schedule)")
        click.echo(f"next:      {_time(following) if following else 'never'}")
        age = f", none older than {said.max_age} days" if said.max_age else ""
        click.echo(f"kept:      {said.retention}{age}, in {said.folder}")
    else:
        click.echo("schedule:  none: give the server --snapshot-schedule")
    taken = f"{last.name}, {_time(datetime.fromtimestamp(last.taken, UTC))}" if last.taken else "none yet"
    click.echo(f"last:      {taken}")
    if last.error:
        click.echo(f"failed:    {last.error}")


@command.command("delete")
@data_dir_option
@_folder
@click.argument("names", nargs=-1, required=True)
def delete(data_dir: str, folder: str, names: tuple[str, ...]) -> None:
    """Delete snapshots by their names."""
    files, said = _server(data_dir)
    place = _dir(folder, said, files)
    known = {one.name for one in take.found(place)}
    for name in names:
        if name not in known:
            raise CommandError(f"there is no snapshot {name} in {place}")
    for name in names:
        (place / name).unlink()
        click.echo(f"deleted {name}")


@command.command("restore")
@data_dir_option
@_opened
@click.argument("snapshot")
def restore_it(data_dir: str, decrypt_with: str, snapshot: str) -> None:
    """Make the data folder what a snapshot has: a file, or the name of one in the server's folder. The server
    must not run. What is in the folder is set aside."""
    files, agent = server_files(data_dir), agent_files(data_dir)
    source = Path(snapshot)
    if not source.exists() and source.name == snapshot:
        source = _dir("", note.practice(files), files) / snapshot
    try:
        secret = _secret(source, decrypt_with or note.practice(files).encrypt_with)
        with host.lock(files.lock):  # a running server has it
            done = restore.restore(files, agent, source.absolute(), secret, datetime.now(UTC))
    except (base.SnapshotError, host.HostError) as error:
        raise CommandError(str(error)) from error
    click.echo(
        f"restored the cluster as it was on {_time(done.manifest.taken)} ({done.manifest.node}) into "
        f"{files.root}; it goes on at revision {done.revision}"
    )
    if done.set_aside:
        click.echo(f"what was there is in {done.set_aside}: remove it when all is well")
    click.echo(
        "next: start the server; agents whose --server leads to another address need the new one and a "
        "restart, and leave their pods running"
    )


def _server(data_dir: str) -> tuple[ServerFiles, note.Practice]:
    files = server_files(data_dir)
    if not files.root.exists():
        raise CommandError(f"{files.root} does not exist: has a server been started here?")
    return files, note.practice(files)


def _dir(folder: str, said: note.Practice, files: ServerFiles) -> Path:
    return Path(folder or said.folder or files.snapshots).absolute()


def _secret(path: Path, passphrase_file: str) -> bytes:
    if not passphrase_file or not archive.is_sealed(path):
        return b""
    from mini8s.app.snapshots.seal import passphrase

    return passphrase(passphrase_file)


def _row(path: Path, one: base.Named, passphrase_file: str) -> tuple[str, ...]:
    size = f"{path.stat().st_size / 1024:.0f} KiB"
    try:
        said = archive.read_manifest(path, _secret(path, passphrase_file))
    except base.SnapshotError:
        sealed = archive.is_sealed(path) and not passphrase_file
        return (one.name, _time(one.when), size, "encrypted" if sealed else "damaged", "")
    return (one.name, _time(said.taken), size, str(said.revision), said.mini8s)


def _time(when: datetime) -> str:
    zone = local_zone()
    return when.astimezone(zone).isoformat(sep=" ", timespec="seconds")
