"""`mini8s image`: images of this host, which no registry need have."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from mini8s.app.host import HostError
from mini8s.cli.errors import CommandError
from mini8s.cli.options import data_dir_option, setting_option
from mini8s.cli.output import data_option, echo_data, echo_rows
from mini8s.cli.progress import amount

if TYPE_CHECKING:
    from mini8s.app.host_images import HostImages

_COLUMNS = ("Image", "ID", "Size", "Pinned", "Used by")
_names = click.argument("names", nargs=-1, required=True, metavar="NAME...")


@click.group("image")
@click.pass_context
@data_dir_option
@setting_option("docker_host", "Address of the Docker engine.")
@setting_option("private_registry", "File with mirrors and credentials of registries.")
def command(context: click.Context, data_dir: str, docker_host: str, private_registry: str) -> None:
    """Import, list, pull, pin and remove images on this host, through its engine. What is pinned is never
    collected."""
    context.obj = (docker_host, data_dir, private_registry)


@command.command("import")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--no-pin", is_flag=True, help="Let them go when nobody uses them and the disk is full.")
@click.pass_obj
def bring(given: tuple[str, str, str], files: tuple[str, ...], no_pin: bool) -> None:
    """Load archives, as docker save writes them, packed or not, and pin what they bring: nobody else may have
    it."""
    with _images(given) as images:
        for path in files:
            with amount(path) as progress:
                names = images.bring(path, pin=not no_pin, progress=progress)
            for name in names:
                click.echo(f"imported {name}")
            if not names:
                click.echo(f"{path} brought no image with a name")


@command.command("pull")
@_names
@click.option("--pin", is_flag=True, help="Keep them for good.")
@click.pass_obj
def pull(given: tuple[str, str, str], names: tuple[str, ...], pin: bool) -> None:
    """Fetch images by the agent's own mirrors and credentials."""
    with _images(given) as images:
        for name in names:
            with amount(name) as progress:
                image = images.pull(name, pin=pin, progress=progress)
            click.echo(f"pulled {name} ({_size(image.size_bytes)})")


@command.command("list")
@data_option
@click.pass_obj
def list_them(given: tuple[str, str, str], output: str | None) -> None:
    """Show the images, whether they are pinned, and by which pods they are used."""
    with _images(given) as images:
        found = sorted(images.listed(), key=lambda one: (list(one.image.names) or [""], one.image.id))
    if output:
        echo_data(
            [
                {
                    "names": list(one.image.names),
                    "id": one.image.id,
                    "bytes": one.image.size_bytes,
                    "pinned": one.kept,
                    "usedBy": list(one.used_by),
                }
                for one in found
            ],
            output,
        )
        return
    echo_rows(
        _COLUMNS,
        [
            (
                next((name for name in one.image.names if "@" not in name), "<none>"),
                one.image.id.removeprefix("sha256:")[:12],
                _size(one.image.size_bytes),
                one.kept or "no",
                ",".join(one.used_by),
            )
            for one in found
        ],
    )


@command.command("pin")
@_names
@click.pass_obj
def pin(given: tuple[str, str, str], names: tuple[str, ...]) -> None:
    """Never collect these images."""
    with _images(given) as images:
        for name in names:
            images.pin(name)
            click.echo(f"pinned {name}")


@command.command("unpin")
@_names
@click.pass_obj
def unpin(given: tuple[str, str, str], names: tuple[str, ...]) -> None:
    """Let these images go when nobody uses them and the disk is full."""
    with _images(given) as images:
        for name in names:
            images.unpin(name)
            click.echo(f"unpinned {name}")


@command.command("rm")
@_names
@click.pass_obj
def remove(given: tuple[str, str, str], names: tuple[str, ...]) -> None:
    """Remove images that no container has and that are not pinned."""
    with _images(given) as images:
        for name in names:
            images.remove(name)
            click.echo(f"removed {name}")


@contextmanager
def _images(given: tuple[str, str, str]) -> Iterator[HostImages]:
    from mini8s.app.host_images import HostImages, engine  # the engine's library takes a moment

    docker_host, data_dir, private_registry = given
    runtime = engine(docker_host)
    try:
        yield HostImages(runtime, data_dir, private_registry)
    except HostError as error:
        raise CommandError(str(error)) from error
    finally:
        runtime.close()


def _size(count: int) -> str:
    """As Docker says it."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} B"
