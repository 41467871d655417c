"""`mini8s apply`: make the server hold what files say, and nothing that they said last time and don't any
more."""

from __future__ import annotations

import json

import click

from mini8s.cli import manifests
from mini8s.cli.connect import connect, connection_options
from mini8s.cli.resources import kind_of_object, namespace_option, title
from mini8s.client.rest import Rest
from mini8s.objects import diff, meta
from mini8s.objects.errors import Conflict, NotFound
from mini8s.objects.kinds import Obj
from mini8s.wire import codec

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"  # kubectl's, so that both may take turns
TRIES = 5
_ESCAPES = str.maketrans({letter: f"\\u{ord(letter):04x}" for letter in "<>&\u2028\u2029"})


@click.command("apply")
@click.option("-f", "--filename", "files", multiple=True, required=True, help="File, folder, or - for stdin.")
@namespace_option
@click.option(
    "--dry-run",
    type=click.Choice(["none", "server"]),
    default="none",
    show_default=True,
    help="With server, it says what it would do, and nothing is stored.",
)
@connection_options
def command(files: tuple[str, ...], namespace: str, dry_run: str, kubeconfig: str, data_dir: str) -> None:
    """Create or change objects so that they are as in the files."""
    rest = connect(kubeconfig, data_dir)
    query = {"fieldManager": "mini8s", "fieldValidation": "Strict"}
    if dry_run == "server":
        query["dryRun"] = "All"
    suffix = " (server dry run)" if dry_run == "server" else ""
    for obj in manifests.read(files, namespace):
        done = apply(rest, obj, query)
        click.echo(f"{title(kind_of_object(obj), meta.name(obj))} {done}{suffix}")


def apply(rest: Rest, obj: Obj, query: dict[str, str]) -> str:
    """created, configured or unchanged."""
    for _ in range(TRIES - 1):
        try:
            return _apply_once(rest, obj, query)
        except Conflict:
            continue  # somebody else changed it in between: look again
    return _apply_once(rest, obj, query)


def _apply_once(rest: Rest, obj: Obj, query: dict[str, str]) -> str:
    kind, wanted = kind_of_object(obj), with_last_applied(obj)
    try:
        current = rest.get(kind, meta.namespace(obj), meta.name(obj))
    except NotFound:
        rest.create(kind, wanted, query=query)
        return "created"
    before = meta.annotations(current).get(LAST_APPLIED)
    original = codec.decode_json(before.encode()) if before else {}
    patch = diff.three_way(original, wanted, current)
    if not patch:
        return "unchanged"
    patch.setdefault("metadata", {})["resourceVersion"] = current["metadata"]["resourceVersion"]
    after = rest.patch(kind, meta.namespace(obj), meta.name(obj), patch, query=query)
    return "unchanged" if meta.revision(after) == meta.revision(current) else "configured"


def with_last_applied(obj: Obj) -> Obj:
    """The object with itself, as it was given, in the annotation that the next apply compares with."""
    annotations = {key: value for key, value in meta.annotations(obj).items() if key != LAST_APPLIED}
    bare = obj | {"metadata": obj["metadata"] | {"annotations": annotations}}
    return obj | {
        "metadata": obj["metadata"] | {"annotations": annotations | {LAST_APPLIED: _as_kubectl_writes(bare)}}
    }


def _as_kubectl_writes(obj: Obj) -> str:
    """JSON to the letter, so that neither of us takes the other's annotation for a change: keys in order, and
    what HTML gives a meaning escaped."""
    text = json.dumps(obj, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.translate(_ESCAPES) + "\n"
