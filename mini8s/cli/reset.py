"""`mini8s reset`: a host as it was before mini8s."""

from __future__ import annotations

from pathlib import Path

import click

from mini8s.app.host import HostError
from mini8s.app.removal import Removal
from mini8s.cli.errors import CommandError
from mini8s.cli.options import data_dir_option, setting_option


@click.command("reset")
@data_dir_option
@setting_option("docker_host", "Address of the Docker engine.")
@setting_option("write_kubeconfig", "The administrator's kubeconfig that the server wrote.", "--kubeconfig")
@setting_option("cgroup_root", "Control group above those of pods.")
@click.option("--keep-data", is_flag=True, help="Leave the data folder and the kubeconfig.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def command(
    *, data_dir: str, docker_host: str, kubeconfig: str, cgroup_root: str, keep_data: bool, yes: bool
) -> None:
    """End all pods of this host and take away what mini8s made on it: network, mounts, and its data."""
    if not yes:
        what = "All pods of this host end" + ("." if keep_data else f", and {data_dir} is removed for good.")
        click.confirm(f"{what} Go on?", abort=True, err=True)
    removal = Removal(
        data_dir=Path(data_dir).absolute(),
        docker_host=docker_host,
        kubeconfig=Path(kubeconfig),
        cgroup_root=cgroup_root,
        keep_data=keep_data,
    )
    try:
        problems = list(removal.run())
    except HostError as error:
        raise CommandError(f"{error}: stop it first") from error
    for problem in problems:
        click.echo(f"this stays: {problem}", err=True)
    if problems:
        raise CommandError("not everything could be removed")
