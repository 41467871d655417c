"""What every cluster gets from files that come with the program, as k3s has its packaged components
(https://docs.k3s.io/installation/packaged-components).

Each start lays them anew into a folder of its own below the auto-deploy folder, whose code applies them,
tells when somebody else has changed what they say, and takes away what `--disable` names. The API creates
what is missing of them before that, so that no claim comes before its class.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import mini8s.app
from mini8s.app.layout import server_files, write_private
from mini8s.config import ServerSettings
from mini8s.objects import ip
from mini8s.objects.kinds import Obj
from mini8s.wire import codec

FOLDER = "packaged"
COMPONENTS = ("priority-classes", "dns", "local-storage", "ingress")
_HEAD = """\
# Comes with mini8s, which writes it anew at each start: what you change here is lost.
# A file {name}.yaml.skip beside it keeps mini8s's hands off what it is about{more}.
"""


def lay(settings: ServerSettings) -> None:
    """Make the folder what this release has. Raises OSError."""
    folder = server_files(settings.data_dir).manifests / FOLDER
    wanted = [name for name in COMPONENTS if name not in settings.disable]
    for name in wanted:
        write_private(folder / f"{name}.yaml", text(settings, name).encode())
    for path in folder.glob("*.yaml"):
        if path.stem not in wanted:
            path.unlink()


def text(settings: ServerSettings, name: str) -> str:
    """The file of a component."""
    said = (Path(mini8s.app.__path__[0]) / "manifests" / f"{name}.yaml").read_text()
    more = f", and --disable {name} takes that away" if name in _optional() else ""
    dns = ip.split(settings.cluster_dns)
    filled = said.replace("%{CLUSTER_DNS}%", dns[0] if dns else "")
    filled = filled.replace("%{CLUSTER_DNS_ALL}%", ", ".join(f'"{one}"' for one in dns))
    filled = filled.replace("%{CLUSTER_DNS_POLICY}%", "RequireDualStack" if len(dns) > 1 else "SingleStack")
    return _HEAD.format(name=name, more=more) + filled


def objects(settings: ServerSettings, *, disabled: bool = False) -> Iterator[Obj]:
    """What the components say that are there, or those that are not wanted. What is to be left alone is
    neither."""
    folder = server_files(settings.data_dir).manifests / FOLDER
    for name in COMPONENTS:
        left_alone = (folder / f"{name}.yaml.skip").exists()
        if (name in settings.disable) == disabled and not left_alone:
            yield from codec.decode_yaml_documents(text(settings, name).encode())


def _optional() -> tuple[str, ...]:
    choices: tuple[str, ...] = ServerSettings.__dataclass_fields__["disable"].metadata["choices"]
    return choices
